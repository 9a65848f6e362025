"""The HTTP service of credit."""

from flask import Flask

from services.credit.actions.policy import scorecard
from services.credit.routes import BLUEPRINTS
from shared import web
from shared.job_routes import job_routes
from shared.service import service
from shared.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Make the app from the environment's settings; a card that is not the approved one stops it here."""
    scorecard()
    return web.create_app(
        service("credit", "Heartwood credit", settings, personal=True), *BLUEPRINTS, job_routes("credit")
    )
