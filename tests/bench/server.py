"""A server to measure: `python -m tests.bench.server echo|SERVICE` on HEARTWOOD_PORT, both on the same waitress."""

import importlib
import sys
from typing import Any

import waitress
from flask import Flask, jsonify, request

from deploy.serve import WAITRESS
from shared import logs
from shared.settings import settings


def echo() -> Flask:
    """The least that Flask can do: JSON in, the same JSON out, nothing checked."""
    app = Flask("echo")

    @app.post("/v1/<path:anything>")
    def answer(anything: str) -> Any:
        return jsonify(request.get_json())

    return app


if __name__ == "__main__":
    configured = settings()
    logs.set_up("json", service=sys.argv[1], role="serve")
    kind = sys.argv[1]
    app = echo() if kind == "echo" else importlib.import_module(f"services.{kind}.app").create_app(configured)
    waitress.serve(app, host=configured.host, port=configured.port, **WAITRESS)
