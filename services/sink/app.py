"""The sink service's HTTP app."""

from flask import Flask

from services.sink.routes import BLUEPRINTS
from shared import web
from shared.job_routes import job_routes
from shared.service import service
from shared.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Make the app from its settings."""
    return web.create_app(service("sink", "Heartwood sink", settings), *BLUEPRINTS, job_routes("sink"))
