"""The app of the guarantee service."""

from flask import Flask

from services.guarantee.routes import BLUEPRINTS
from shared import web
from shared.job_routes import job_routes
from shared.service import service
from shared.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Make the guarantee service's Flask app."""
    return web.create_app(service("guarantee", "Heartwood guarantee", settings), *BLUEPRINTS, job_routes("guarantee"))
