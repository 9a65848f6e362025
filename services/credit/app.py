"""The HTTP service of credit."""

from flask import Flask

from services.credit.actions.models import REGISTER, shipped_card
from services.credit.routes import BLUEPRINTS
from shared import web
from shared.job_routes import job_routes
from shared.model_routes import model_routes
from shared.service import service
from shared.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Make the app from the environment's settings; a shipped card that is not what was signed stops it here."""
    shipped_card()
    return web.create_app(
        service("credit", "Heartwood credit", settings, personal=True),
        *BLUEPRINTS,
        job_routes("credit"),
        model_routes("credit", REGISTER),
    )
