"""`heartwood serve <service>`: one Flask app behind waitress on a workstation, behind gunicorn in production."""

import importlib
import signal
import sys
from typing import Any

import waitress
from flask import Flask

from shared import schema
from shared.db import engine
from shared.settings import Settings

#: How waitress serves on a workstation.
WAITRESS: dict[str, Any] = {
    "threads": 8,
    "connection_limit": 200,
    "channel_timeout": 30,
    "max_request_body_size": 2_000_000,
    "ident": None,
}


def app(service: str, settings: Settings) -> Flask:
    """Make a service's app, once its database has this code's schema."""
    checked = engine(settings.database_url)
    try:
        schema.demand_current(service, checked)
    finally:
        checked.dispose()
    made: Flask = importlib.import_module(f"services.{service}.app").create_app(settings)
    return made


def serve(service: str, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    if settings.production:
        _gunicorn(service, settings)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.serve(app(service, settings), host=settings.host, port=settings.port, **WAITRESS)


def _gunicorn(service: str, settings: Settings) -> None:
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):  # type: ignore[misc]
        """gunicorn, configured here and nowhere else."""

        def load_config(self) -> None:
            """Set what differs from gunicorn's defaults."""
            options: dict[str, Any] = {
                "bind": f"{settings.host}:{settings.port}",
                "worker_class": "gthread",
                "workers": 2,
                "threads": 8,
                "preload_app": False,
                "graceful_timeout": 25,
                "timeout": 60,
                "max_requests": 5000,
                "max_requests_jitter": 500,
                "worker_tmp_dir": "/tmp",  # noqa: S108 - the only writable place of the image
                "control_socket_disable": True,
            }
            for name, value in options.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Flask:
            """Make the app in the worker, after the fork: a producer or a pool does not survive one."""
            return app(service, settings)

    Server().run()
