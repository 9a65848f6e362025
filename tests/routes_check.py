"""What must hold of every route of every service: a scope on each, no answer without a token, and all of it documented.

A service's tests parametrize over `routes_of(app_of("credit"))`; no database is needed, for nothing gets that far.
"""

import importlib
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from shared import web
from shared.settings import settings

_NOWHERE = {"HEARTWOOD_DATABASE_URL": "postgresql+psycopg://nobody@/nowhere", "HEARTWOOD_JWKS": "nowhere"}
_NOBODY = str(UUID(int=0))


@dataclass(frozen=True)
class Route:
    """One method of one address; `scope` is empty if the view demands none."""

    method: str
    rule: str
    scope: str

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"

    @property
    def path(self) -> str:
        """An address that the rule matches."""
        return re.sub(
            r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>", lambda m: {"uuid": _NOBODY, "int": "1"}.get(m[1], "x"), self.rule
        )

    @property
    def public(self) -> bool:
        """Whether it is one of the few pages that need no token."""
        return self.rule in web.PUBLIC or self.rule == "/v1/docs/<name>"

    @property
    def documented_path(self) -> str:
        """The address as OpenAPI writes it."""
        return re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", self.rule)


def app_of(service: str) -> Flask:
    """A service's real app, of a database that is nowhere."""
    made: Flask = importlib.import_module(f"services.{service}.app").create_app(settings(_NOWHERE))
    return made


def all_routes_of(app: Flask) -> list[Route]:
    """Every method of every address, the public ones too."""
    return [
        Route(method, rule.rule, getattr(app.view_functions[rule.endpoint], "scope", ""))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def routes_of(app: Flask) -> list[Route]:
    """Every method of every address that is not public."""
    return [route for route in all_routes_of(app) if not route.public]


def without_token(app: Flask, route: Route, authorization: str | None = None) -> TestResponse:
    """Ask for a route without a token, or with this header."""
    headers = {"Authorization": authorization} if authorization else {}
    return app.test_client().open(route.path, method=route.method, headers=headers)


def demand(app: Flask, route: Route, service: str) -> None:
    """Demand of one route all that must hold of every route."""
    assert route.scope.startswith(f"{service}:"), f"{route} demands no scope of {service}"
    for authorization in (None, "Bearer no.token.here", "Basic bm86b25l"):
        answer = without_token(app, route, authorization)
        assert answer.status_code == 401, f"{route} answers {answer.status_code} to nobody"
        assert answer.mimetype == "application/problem+json"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    operation = document_of(app)["paths"][route.documented_path][route.method.lower()]
    assert operation["security"] == [{"bearer": [route.scope]}]
    assert operation["summary"]
    assert {"401", "403", "503"} <= set(operation["responses"])


def document_of(app: Flask) -> dict[str, Any]:
    """The OpenAPI document that an app serves."""
    document: dict[str, Any] = app.test_client().get("/v1/openapi.json").get_json()
    return document
