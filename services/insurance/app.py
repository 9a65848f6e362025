"""The HTTP service of insurance."""

from flask import Flask

from services.insurance.actions.models import REGISTER
from services.insurance.routes import BLUEPRINTS
from shared import web
from shared.job_routes import job_routes
from shared.model_routes import model_routes
from shared.service import service
from shared.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Make the app from the environment's settings."""
    return web.create_app(
        service("insurance", "Heartwood insurance", settings),
        *BLUEPRINTS,
        job_routes("insurance"),
        model_routes("insurance", REGISTER),
    )
