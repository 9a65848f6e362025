"""A server to measure: `python -m tests.bench.server echo|credit` on HEARTWOOD_PORT, both on the same waitress."""

import sys
from typing import Any

import waitress
from flask import Flask, jsonify, request

from deploy.serve import WAITRESS
from services.credit.app import create_app
from shared import logs
from shared.settings import settings


def echo() -> Flask:
    """The least that Flask can do: JSON in, the same JSON out, nothing checked."""
    app = Flask("echo")

    @app.post("/v1/score")
    def answer() -> Any:
        return jsonify(request.get_json())

    return app


if __name__ == "__main__":
    configured = settings()
    logs.set_up("json", service=sys.argv[1], role="serve")
    app = echo() if sys.argv[1] == "echo" else create_app(configured)
    waitress.serve(app, host=configured.host, port=configured.port, **WAITRESS)
