"""`heartwood serve <service>`: one Flask app behind waitress on a workstation, behind gunicorn in production."""

import importlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server

from deploy.issuer import PEOPLE, DevelopmentIssuer
from shared import schema
from shared.db import engine
from shared.settings import Settings, SettingsError

#: The pages: served like a service, without a database of their own.
WORKBENCH = "workbench"

#: How waitress serves on a workstation.
WAITRESS: dict[str, Any] = {
    "threads": 8,
    "connection_limit": 200,
    "channel_timeout": 30,
    # A file of parcels; the app itself takes a megabyte of anything else. Waitress keeps what is long on disk.
    "max_request_body_size": 130 * 1024 * 1024,
    "ident": None,
}


def app(service: str, settings: Settings) -> Flask:
    """Make a service's app, once its database has this code's schema; or the workbench's."""
    if service == WORKBENCH:
        return _workbench(settings)
    _demand_schema(service, settings)
    made: Flask = importlib.import_module(f"services.{service}.app").create_app(settings)
    return made


def _workbench(settings: Settings) -> Flask:
    from services.workbench.api import Services
    from services.workbench.app import create_app
    from services.workbench.visitors import Gate, Person

    if settings.production:
        raise SettingsError(
            "the workbench signs people in by the development issuer only, which refuses production mode"
        )
    addresses = dict(pair.split("=", 1) for pair in settings.services.split() if "=" in pair)
    missing = [name for name in schema.SERVICES if name not in addresses]
    if missing or not settings.state:
        raise SettingsError(
            f"set HEARTWOOD_SERVICES to the addresses of the services ({', '.join(missing) or 'all there'}), as in"
            " 'sink=http://127.0.0.1:8101 …', and HEARTWOOD_STATE to the folder of the stack"
        )
    issuer = DevelopmentIssuer(Path(settings.state) / "issuer", settings)
    gate = Gate(tuple(Person(role, institution) for role, institution in PEOPLE), issuer.token)
    return create_app(settings, Services(addresses), gate)


def _demand_schema(service: str, settings: Settings) -> None:
    checked = engine(settings.database_url)
    try:
        schema.demand_current(service, checked)
    finally:
        checked.dispose()


def serve(service: str, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    if settings.production and service != WORKBENCH:
        _demand_schema(service, settings)  # here, where one line says it: workers would fail over and over
        # The app is made in each worker, after the fork: a producer or a pool does not survive one.
        gunicorn(lambda: app(service, settings), settings.host, settings.port)
        return
    made = app(service, settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # waitress ends in good order on that
    server = waitress(made, settings.host, settings.port)
    try:
        server.run()
    finally:
        server.close()


def waitress(made: Flask, host: str, port: int) -> Any:
    """A server for a workstation, to be run; as strict as gunicorn about where a request ends."""
    server = create_server(made, host=host, port=port, **WAITRESS)
    server.channel_class = _Channel
    return server


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what waitress 3.0 puts up with and a proxy before it may read otherwise: where a body ends told twice,
    and a header that goes on in the next line.
    """

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head of a request."""
        lines = header_plus.split(b"\r\n")[1:]
        names = [line.partition(b":")[0].strip().lower() for line in lines]
        if names.count(b"transfer-encoding") + names.count(b"content-length") > 1:
            raise ParsingError("the end of the body is told twice")
        if any(line.startswith((b" ", b"\t")) for line in lines):
            raise ParsingError("a header goes on in the next line")
        super().parse_header(header_plus)


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser


def gunicorn(make: Callable[[], Flask], host: str, port: int) -> None:
    """Serve in production what `make` makes, in every worker anew, until SIGTERM or SIGINT."""
    from gunicorn.app.base import BaseApplication
    from gunicorn.glogging import Logger

    class Quiet(Logger):  # type: ignore[misc]
        """Leaves what gunicorn says to our own log: warnings and worse."""

        def setup(self, cfg: Any) -> None:
            """Set no handler and no level."""
            self.cfg, self.error_log.propagate = cfg, True

    class Server(BaseApplication):  # type: ignore[misc]
        """gunicorn, configured here and nowhere else."""

        def load_config(self) -> None:
            """Set what differs from gunicorn's defaults."""
            options: dict[str, Any] = {
                "bind": f"{host}:{port}",
                "worker_class": "gthread",
                "workers": 2,
                "threads": 8,
                "preload_app": False,
                "graceful_timeout": 25,
                "timeout": 60,
                "max_requests": 5000,
                "max_requests_jitter": 500,
                "worker_tmp_dir": "/tmp",  # noqa: S108 - the only writable place of the image
                "control_socket_disable": True,  # it would be a file in the home folder
                "logger_class": Quiet,
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            """Make the app in the worker."""
            return make()

    Server().run()
