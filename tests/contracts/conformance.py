"""Whether an answer is one that the OpenAPI document promises: status, content type and every field of the body.

The tests' HTTP client asks this of every answer it gets, so that each test of a route is a contract test as well.
"""

import json
from functools import cache
from typing import Any

import jsonschema_rs
from flask import Flask
from werkzeug.test import TestResponse

from tests.routes_check import Route, all_routes_of, document_of

#: What the framework answers before an operation is chosen, or when nobody foresaw it.
_ANY_OPERATION = {"405", "500"}


class Contract:
    """The OpenAPI document of one app, ready to judge answers."""

    def __init__(self, app: Flask) -> None:
        self.document = document_of(app)
        self.routes = {(route.rule, route.method): route for route in all_routes_of(app)}
        self._urls = app.url_map.bind("localhost")
        self._validators: dict[tuple[str, str, str], Any] = {}

    def breach(self, response: TestResponse) -> str | None:
        """What is wrong with an answer; None if it is as documented or the address is none of ours."""
        request = response.request
        route = self._route(request.path, request.method)
        if route is None or route.public:
            return None
        status = str(response.status_code)
        if status in _ANY_OPERATION:
            return None
        promised = self.document["paths"][route.documented_path][route.method.lower()]["responses"]
        if status not in promised:
            return f"{route} answers {status}, which is not documented: {response.get_data(as_text=True)[:300]}"
        expected = self._resolved(promised[status]).get("content", {})
        if response.mimetype not in expected:
            return f"{route} answers {status} as {response.mimetype}, not as {', '.join(expected)}"
        if not response.mimetype.endswith("json"):
            return None  # a file, which no schema describes
        validator = self._validator(route, status, expected[response.mimetype]["schema"])
        errors = [
            f"/{'/'.join(map(str, error.instance_path))}: {error.message}"
            for error in validator.iter_errors(_content(response))
        ]
        return (
            f"{route} answers {status} with a body that is not as documented: {'; '.join(errors[:3])[:600]}"
            if errors
            else None
        )

    def _route(self, path: str, method: str) -> Route | None:
        try:
            rule, _ = self._urls.match(path, method=method, return_rule=True)
        except Exception:
            return None
        return self.routes.get((rule.rule, method))

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        name = part.get("$ref", "").rpartition("/")[2]
        resolved: dict[str, Any] = self.document["components"]["responses"][name] if name else part
        return resolved

    def _validator(self, route: Route, status: str, schema: dict[str, Any]) -> Any:
        key = (route.rule, route.method, status)
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return self._validators[key]


def _content(response: TestResponse) -> Any:
    """What an answer holds: the data of JSON, the text of a page."""
    return json.loads(response.data) if response.mimetype.endswith("json") else response.get_data(as_text=True)


@cache
def contract_of(app: Flask) -> Contract:
    """The contract of an app, read once."""
    return Contract(app)


def conforming(app: Flask, response: TestResponse) -> TestResponse:
    """The answer itself, if it is as documented."""
    breach = contract_of(app).breach(response)
    assert breach is None, breach
    return response
