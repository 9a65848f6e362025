"""The HTTP door of every service: strict JSON in, problem details out, one transaction for each request.

A view is a few lines. `@blp.command` makes it a write: the scope is demanded, one transaction is opened under the
caller's institution, a repeated Idempotency-Key gets the stored answer, and row, event, answer and audit commit
together when the response is ready. `@blp.query` makes it a read. Whatever is raised becomes one problem document.
"""

import base64
import functools
import hashlib
import hmac
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

import flask_smorest
import flask_swagger_ui
import orjson
import structlog
from flask import Blueprint as FlaskBlueprint
from flask import Flask, Request, Response, current_app, g, jsonify, request, send_from_directory
from flask.json.provider import DefaultJSONProvider
from flask.sessions import NullSession, SessionInterface
from flask.typing import ResponseReturnValue
from flask_smorest.utils import unpack_tuple_response
from marshmallow import RAISE, ValidationError, fields, validate
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import Gauge as _Gauge
from sqlalchemy import Select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from shared import audit, idempotency, strict_json, trace
from shared.auth import Principal, Verifier
from shared.db import act_for, is_lost, is_passing
from shared.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PreconditionMissingError,
    RefusalError,
    UnavailableError,
    UnreadableError,
    UnsupportedMediaError,
)
from shared.fields import Amount, Base, Quantity, faults
from shared.trace import request_id, traceparent

log = structlog.get_logger(__name__)

PROBLEMS = "https://heartwood.example/problems/"
MAX_BODY = 1_000_000
#: Bytes of an upload in memory at once.
_READ_AT_ONCE = 64 * 1024
Check = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Service:
    """What an app needs from outside: its name, its database, its keys."""

    name: str
    title: str
    sessions: sessionmaker[Session]
    verifier: Verifier
    cursor_key: bytes
    #: Says whether the service is ready, by part; raises what is wrong.
    ready: Check
    version: str


class Metrics:
    """What is worth watching of an HTTP door."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "heartwood_http_requests_total", "Requests by route and status", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "heartwood_http_request_seconds", "Time to answer by route", ["route"], registry=self.registry
        )
        self.outbox_age = _Gauge(
            "heartwood_outbox_oldest_age_seconds", "Age of the oldest unsent event", registry=self.registry
        )
        self._found: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        found = self._found.get((route, status))
        if found is None:
            # Routes and statuses are few, and finding the figure of a label costs more than counting.
            found = self.requests.labels(route, str(status)), self.seconds.labels(route)
            self._found[route, status] = found
        found[0].inc()
        found[1].observe(seconds)


# -- the app ----------------------------------------------------------------------------------------------------------


class _Parser(FlaskParser):
    """webargs with our JSON reader, and as strict about the query as about the body."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE}

    def _raw_load_json(self, req: Any) -> Any:
        return _body()


def _body() -> Any:
    """The JSON in the request's body, read once."""
    if "body" not in g:
        asked = request._get_current_object()  # type: ignore[attr-defined]
        if asked.environ.get("CONTENT_TYPE") != "application/json" and asked.mimetype != "application/json":
            raise UnsupportedMediaError("send the body as application/json")
        try:
            g.body = strict_json.loads(asked.get_data(cache=True))
        except strict_json.JsonError as error:
            raise UnreadableError(str(error)) from None
    return g.body


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """flask-smorest's blueprint with our parser and our three kinds of view."""

    ARGUMENTS_PARSER = _Parser()

    def command(self, method: str, rule: str, *, scope: str, if_match: bool = False) -> Callable[..., Any]:
        """Decorate a view that writes: it gets a session, and what it did commits with its answer."""
        return self._door(method, rule, functools.partial(_answer_command, if_match), scope, if_match)

    def query(self, rule: str, *, scope: str) -> Callable[..., Any]:
        """Decorate a view that reads: it gets a session that is rolled back."""
        return self._door("GET", rule, _answer_query, scope, False)

    def question(self, rule: str, *, scope: str) -> Callable[..., Any]:
        """Decorate a view that computes on what is posted and keeps nothing.

        It gets a session of no institution, so it sees public tables only, and costs nothing until it is used.
        """
        return self._door("POST", rule, _answer_question, scope, False)

    def disclosure(self, rule: str, *, scope: str) -> Callable[..., Any]:
        """Decorate a view that shows what not everybody may see: that it was shown commits, the answer is kept nowhere.

        It is asked by POST, so that nothing of what is asked stands in an address.
        """
        return self._door("POST", rule, _answer_disclosure, scope, False)

    def upload(self, rule: str, *, scope: str, largest: int) -> Callable[..., Any]:
        """Decorate a view that writes and takes a file of so many bytes at most, which `uploaded` gives it.

        Unlike of a command, `dry_run` is the view's own matter: what a dry run finds in a file comes later.
        """
        return self._door("POST", rule, functools.partial(_answer_upload, largest), scope, False, takes_file=True)

    def _door(
        self,
        method: str,
        rule: str,
        answer: Callable[..., Response],
        scope: str,
        if_match: bool,
        *,
        takes_file: bool = False,
    ) -> Callable[..., Any]:
        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            taken = {p["in"] for p in getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())}

            @functools.wraps(view)
            def door(**path: Any) -> Response:
                caller().demand(scope)
                # What a view does not take is refused, never passed over.
                if method == "GET" and "query" not in taken:
                    _demand_parameters()
                bare = method != "GET" and "json" not in taken and not takes_file
                if bare and request.get_data(cache=True) and _body() != {}:
                    raise InvalidError("this request takes no body; send none, or {}")
                return answer(view, path)

            door.scope = scope  # type: ignore[attr-defined]
            door.takes_file = takes_file  # type: ignore[attr-defined]
            refusals = [401, 403, 503]
            parameters: list[dict[str, Any]] = []
            keeps = method != "GET" and answer not in (_answer_question, _answer_disclosure)
            if keeps and method == "POST":
                parameters.append(_IDEMPOTENCY_KEY)
            if if_match:
                parameters.append(_IF_MATCH)
                refusals += [412, 428]
            if keeps and not takes_file:
                parameters.append(_DRY_RUN)
            if method != "GET":
                refusals += [400, 409, 413, 415, 422]
            else:
                refusals += [400, 422] if "query" in taken else [422]
            if "<" in rule:
                refusals.append(404)
            if "query" in taken and parameters:
                # flask-smorest lets a list of ours replace that of the arguments, so ours goes into it.
                door._apidoc["arguments"]["parameters"] += parameters  # type: ignore[attr-defined]
                parameters = []
            documented = self.doc(
                operationId=view.__name__,
                security=[{"bearer": [scope]}],
                description=(view.__doc__ or "") + f"\n\nNeeds the scope `{scope}`.",
                responses={code: HTTPStatus(code).name for code in refusals},
                **({"parameters": parameters} if parameters else {}),
                **({"requestBody": _FILE} if takes_file else {}),
            )(door)
            return self.route(rule, methods=[method])(documented)  # type: ignore[no-any-return]

        return decorate

    def arguments(self, schema: Any, *, location: str = "json", **more: Any) -> Callable[..., Any]:
        """Decorate a view with what it takes. What is right is read here; of all else webargs says what is wrong."""
        documented = super().arguments(schema, location=location, **more)
        if location != "json":
            return documented  # type: ignore[no-any-return]

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            told = documented(view)

            @functools.wraps(told)
            def read(*args: Any, **path: Any) -> Any:
                try:
                    body = schema.load(_body())
                except ValidationError:
                    return told(*args, **path)
                return view(*args, body, **path)

            return read

        return decorate

    def response(self, status_code: int, schema: Any = None, **more: Any) -> Callable[..., Any]:
        """Decorate a view with its answer: dumped after what it did is flushed, so that versions are the new ones."""
        answered = super().response(status_code, schema, **more)

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(view)
            def flushed(session: Session, *args: Any, **path: Any) -> Any:
                result = view(session, *args, **path)
                session.flush()
                return result

            documented = answered(flushed)
            if not isinstance(schema, Base):
                return documented  # type: ignore[no-any-return]

            @functools.wraps(documented)
            def answer(*args: Any, **path: Any) -> Response:
                result, status, headers = unpack_tuple_response(flushed(*args, **path))
                if isinstance(result, Response):
                    return result
                shown = schema.dump(result)
                response = Response(_written(shown), status or status_code, headers, mimetype="application/json")
                if isinstance(shown.get("version"), int):
                    response.headers["ETag"] = f'"v{shown["version"]}"'
                return response

            return answer

        return decorate


_FILE_TYPE = "application/octet-stream"
_FILE = {"required": True, "content": {_FILE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "description": "A fresh UUID for each new request, the same for its repeats. Answers are kept for seven days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "description": 'The version you read, as in its ETag: "v3"',
    "schema": {"type": "string", "pattern": '^"v[0-9]{1,9}"$', "example": '"v3"'},
}
_DRY_RUN = {
    "in": "query",
    "name": "dry_run",
    "description": "Answer as usual, but write nothing and publish nothing",
    "schema": {"type": "boolean", "default": False},
}


class ProblemSchema(Base):
    """RFC 9457 problem details."""

    type = fields.String(required=True, metadata={"description": "Stable URI of this kind of problem"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(metadata={"description": "The request id"})
    errors = fields.List(
        fields.Dict(), metadata={"description": "Each with a JSON Pointer, or the query parameter, and a detail"}
    )


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest's API with problem details for errors."""

    ERROR_SCHEMA = ProblemSchema

    def handle_http_exception(self, error: HTTPException) -> Any:
        """Render werkzeug's and webargs' errors as problems, with the headers they carry."""
        messages = (getattr(error, "data", None) or {}).get("messages", {})
        errors = list(islice(_errors(messages), 100))
        status = error.code or 500
        detail = "; ".join(f"{_place(one) or '/'}: {one['detail']}" for one in errors[:3]) or str(error.description)
        headers = {name: value for name, value in error.get_headers() if name.lower() in ("allow", "retry-after")}
        return problem(status, _KINDS.get(status, "http"), error.name, detail, errors, headers)

    def _register_responses(self) -> None:
        """Document errors as what they are: problems."""
        content = {"application/problem+json": {"schema": self.ERROR_SCHEMA}}
        named = {status.name: status.phrase for status in HTTPStatus if status >= 400}
        for name, phrase in {**named, "DEFAULT_ERROR": "Any other error"}.items():
            self.spec.components.response(name, {"description": phrase, "content": content}, lazy=True)

    def _openapi_json(self) -> Response:
        return Response(self._document, mimetype="application/json")

    @functools.cached_property
    def _document(self) -> str:
        document = self.spec.to_dict()
        document["components"]["schemas"].pop("PaginationMetadata", None)  # flask-smorest's; our pages are our own
        return json.dumps(document, ensure_ascii=False)


def _documented(converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Say in JSON Schema's terms what apispec leaves in Python's or leaves out: whole patterns, the names of keys."""
    said: dict[str, Any] = {}
    for validator in field.validators:
        if isinstance(validator, validate.Regexp):
            # Python's match begins at the start by itself; a pattern of JSON Schema searches.
            body = str(validator.regex.pattern).removeprefix("^").removeprefix(r"\A")
            whole = body.removesuffix("$").removesuffix(r"\Z")
            said["pattern"] = "^" + (f"({whole})" if "|" in whole else whole) + ("$" if whole != body else "")
    names = getattr(field, "key_field", None)
    for validator in names.validators if names else ():
        if isinstance(validator, validate.OneOf):
            said["propertyNames"] = {"enum": list(validator.choices)}
    return said


_CONVENTIONS = """\
Amounts of money and other decimals are strings. Texts hold no control characters and are composed (NFC).
A POST that writes needs an Idempotency-Key; with `dry_run=true` it answers and keeps nothing.
A mutable resource has a `version`, and an ETag made of it: where If-Match is asked for, send the one you read.
Lists come newest first, in pages: send `next` as `cursor`.
Whatever goes wrong is an RFC 9457 problem. Another institution's resource is not found, like one that is not there.
"""


_KINDS = {
    400: "unreadable",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
}


class _Json(DefaultJSONProvider):
    """JSON as it is: keys in our order, characters as themselves, no spaces."""

    sort_keys, ensure_ascii = False, False

    def response(self, *args: Any, **named: Any) -> Response:
        """An answer with a line of JSON."""
        return Response(_written(self._prepare_response_obj(args, named)), mimetype=self.mimetype)


def _written(data: Any) -> bytes:
    """Data as a line of JSON."""
    return orjson.dumps(data, default=_Json.default, option=_AS_FLASK_DOES)


#: What Flask knows how to write is left to it; the encoder writes the rest.
_AS_FLASK_DOES = (
    orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_NON_STR_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


class _Request(Request):
    """A request that knows how long its body may be, without asking the app."""

    max_content_length = MAX_BODY


class _NoSessions(SessionInterface):
    """Nothing is kept of a caller between requests: who calls says so each time."""

    def __init__(self) -> None:
        self.nothing = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Give what refuses to be written."""
        return self.nothing


class _App(Flask):
    """Flask with the one thing to do before, after and at the end of a request called rather than looked for.

    Nothing is asynchronous, no session is kept, no signal is sent, and every address is served under every name.
    """

    json_provider_class = _Json
    request_class = _Request
    session_interface = _NoSessions()

    def __init__(self, service: Service) -> None:
        super().__init__(service.name, static_folder=None)
        self.service, self.metrics = service, Metrics()
        self.extensions |= {"heartwood": service, "heartwood.metrics": self.metrics}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function back."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the view of a request."""
        if request is None:
            return None
        environ = request.environ
        request.host = get_host(environ)
        return MapAdapter(
            self.url_map,
            request.host.lower(),
            environ.get("SCRIPT_NAME") or "/",
            "",
            environ["wsgi.url_scheme"],
            request.path,
            request.method,
            environ.get("QUERY_STRING", ""),
        )

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, with the headers that every answer has."""

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            there = {name for name, _ in headers}
            headers.append(("X-Request-Id", request_id()))
            headers += _HEADERS
            headers += [one for one in _DEFAULT_HEADERS if one[0] not in there]
            return start_response(status, headers, exc_info)

        return super().wsgi_app(environ, start)

    def full_dispatch_request(self) -> Response:
        """Begin, let the view answer, finish."""
        asked = request._get_current_object()  # type: ignore[attr-defined]
        try:
            _begin(self.service, asked)
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return self.finalize_request(answer)

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Response:
        """Count and log the answer."""
        response = rv if isinstance(rv, Response) else self.make_response(rv)
        return _finish(self.metrics, response)

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Leave the trace."""
        _end()

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Leave nothing."""


def create_app(service: Service, *blueprints: Blueprint) -> Flask:
    """Make the Flask app of a service from its blueprints."""
    app = _App(service)
    app.config.update(
        API_TITLE=service.title,
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": _CONVENTIONS}},
        OPENAPI_URL_PREFIX="/v1",
        OPENAPI_JSON_PATH="openapi.json",
        PROPAGATE_EXCEPTIONS=False,
    )
    app.url_map.merge_slashes = False  # one address for each resource, and no redirect

    api = Api(app)
    api.register_field(Amount, "string", "decimal")
    api.register_field(Quantity, "string", "decimal")
    api.ma_plugin.converter.add_attribute_function(_documented)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    app.register_blueprint(_open_pages(service, app.metrics))

    app.register_error_handler(RefusalError, _refusal)
    app.register_error_handler(Exception, _unexpected)
    return app


PUBLIC = ("/livez", "/readyz", "/version", "/metrics", "/v1/openapi.json", "/v1/docs")


#: What every answer says besides its content.
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=63072000"),
)
_DEFAULT_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)


def _begin(service: Service, asked: Request) -> None:
    """Before any view: begin the trace, know the caller, refuse what is not JSON."""
    # From the environment, where a header that is not there costs nothing; and the context itself, not its proxy.
    environ, kept = asked.environ, g._get_current_object()
    kept.started = time.perf_counter()
    kept.trace = trace.begin(environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_X_REQUEST_ID"))
    if asked.path in PUBLIC or asked.path.startswith("/v1/docs/"):
        return
    kept.principal = service.verifier.principal(environ.get("HTTP_AUTHORIZATION"))
    if environ.get("CONTENT_TYPE") != "application/json" and asked.method in ("POST", "PUT", "PATCH"):
        _demand_json(asked)
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMediaError("send the body without Content-Encoding")


def _demand_json(asked: Request) -> None:
    """Refuse a body that says it is something else."""
    # An address or a method that is not there is the router's to tell.
    takes_file = asked.routing_exception is not None or getattr(
        current_app.view_functions[asked.endpoint or ""], "takes_file", False
    )
    if asked.mimetype != "application/json" and not takes_file:
        has_body = bool(asked.content_length or asked.mimetype or "Transfer-Encoding" in asked.headers)
        if has_body:
            raise UnsupportedMediaError("send the body as application/json")


def _finish(metrics: Metrics, response: Response) -> Response:
    """After any view: the metrics, one line of log."""
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    route = asked.url_rule.rule if asked.url_rule else "none"
    now = time.perf_counter()
    seconds = now - g.get("started", now)
    metrics.answered(route, response.status_code, seconds)
    trace.describe(f"{asked.method} {route}", **{"http.response.status_code": response.status_code})
    if asked.path not in PUBLIC:
        log.info("request", method=asked.method, route=route, status=response.status_code, ms=round(seconds * 1e3, 1))
    return response


def _end() -> None:
    begun = g.pop("trace", None)
    if begun is not None:
        trace.end(begun)


# -- commands and queries ---------------------------------------------------------------------------------------------


def _answer_command(if_match: bool, view: Callable[..., Any], path: dict[str, Any]) -> Response:
    """Run a writing view in one transaction, with its idempotent answer and its audit."""
    dry_run = _flag("dry_run")
    asked = _asked(caller()) if request.method == "POST" else None
    if dry_run:
        asked = None  # It changes nothing, so there is nothing to do only once.
    expected = _if_match() if if_match else None
    return _kept(functools.partial(view, **path), asked, expected, dry_run)


def _answer_upload(largest: int, view: Callable[..., Any], path: dict[str, Any]) -> Response:
    """Run a writing view on a file, which is read to its end before any transaction opens."""
    if request.mimetype != _FILE_TYPE:
        raise UnsupportedMediaError(f"send the file itself as {_FILE_TYPE}")
    key = idempotency.read_key(request.headers.get("Idempotency-Key"))
    request.max_content_length = largest
    with tempfile.SpooledTemporaryFile(MAX_BODY) as file:
        digest, size = hashlib.sha256(), 0
        while chunk := request.stream.read(_READ_AT_ONCE):
            digest.update(chunk)
            size += file.write(chunk)
        if size == 0:
            raise UnreadableError("the body is empty; send the file as it is")
        g.upload = Upload(cast(BinaryIO, file), size, digest.hexdigest())
        what = f"{request.query_string.decode('latin-1')} {digest.hexdigest()}".encode()
        asked = idempotency.Request(caller().client, key, _fingerprint(what))
        return _kept(functools.partial(view, **path), asked, None, False)


@dataclass(frozen=True)
class Upload:
    """A file that came with a request; whoever reads it begins by going to its start."""

    file: BinaryIO
    size: int
    sha256: str


def uploaded() -> Upload:
    """The file that came with this request."""
    upload: Upload = g.upload
    return upload


_DOWNLOADS = {
    "svg": "image/svg+xml",
    "csv": "text/csv",
    "geojson": "application/geo+json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def download(content: bytes, name: str) -> Response:
    """A file to keep; the end of its name says what it is."""
    response = Response(content, mimetype=_DOWNLOADS[name.rpartition(".")[2]])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def downloads(*kinds: str) -> dict[int, Any]:
    """The documented answer of a view that gives a file of one of these kinds."""
    schemas = {_DOWNLOADS[kind]: {"schema": {"type": "object" if kind == "geojson" else "string"}} for kind in kinds}
    return {200: {"description": "The file", "content": schemas}}


def _kept(
    view: Callable[[Session], Any], asked: idempotency.Request | None, expected: int | None, dry_run: bool
) -> Response:
    """Run a writing view once and keep its answer; rows, events, answer and audit commit together."""
    principal, service = caller(), _service()

    def once() -> Response:
        with transaction(service, principal) as session:
            if asked and (answer := idempotency.earlier_answer(session, asked)) is not None:
                return _stored(answer)
            if expected is not None:
                session.info["expected_version"] = expected
            response = _response(view(session))
            if asked and response.status_code < 500:
                idempotency.keep(
                    session,
                    asked,
                    response.status_code,
                    response.get_data(),
                    response.headers.get("ETag"),
                    response.headers.get("Location"),
                )
            if dry_run:
                session.rollback()
                response.headers["Dry-Run"] = "true"
            else:
                audit.seal(session)
        return response

    return _persistently(once)


def _persistently(once: Callable[[], Response]) -> Response:
    """Do a whole transaction, again if its failure may pass."""
    attempt = 0
    while True:
        try:
            return once()
        except Exception as error:
            if not _may_repeat(error, attempt):
                raise
            time.sleep(0.01 * 4**attempt)
            attempt += 1


def _may_repeat(error: Exception, attempt: int) -> bool:
    """Whether to try the whole transaction again: a deadlock, a serialization failure or a row changed underneath is
    nobody's fault; a connection that is lost may only have been an old one, but a database that is away stays away.
    """
    if is_lost(error):
        return attempt == 0
    return attempt < 3 and (is_passing(error) or isinstance(error, StaleDataError))


def _asked(principal: Principal) -> idempotency.Request:
    """Whose request this is, under which key, and what makes it the same as an earlier one."""
    key = idempotency.read_key(request.headers.get("Idempotency-Key"))
    body = strict_json.canonical(_body()) if request.get_data(cache=True) else b""
    return idempotency.Request(client=principal.client, key=key, fingerprint=_fingerprint(body))


def _fingerprint(body: bytes) -> str:
    return idempotency.fingerprint(_service().cursor_key, request.method, request.path, body)


def _answer_query(view: Callable[..., Any], path: dict[str, Any]) -> Response:
    """Run a reading view; nothing it does is kept."""
    principal, service = caller(), _service()

    def once() -> Response:
        with service.sessions() as session:
            # One moment for all it reads: a loan and its guarantee are two rows, and an event may come in between.
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            act_for(session, principal.institution)
            response = _response(view(session, **path))
            session.rollback()
        return response

    return _persistently(once)


def _answer_question(view: Callable[..., Any], path: dict[str, Any]) -> Response:
    """Run a view that keeps nothing; a repeat of it is as good as the first."""
    _demand_parameters()
    service = _service()

    def once() -> Response:
        with closing(_Unopened(service.sessions)) as session:
            return _response(view(session, **path))

    return _persistently(once)


def _answer_disclosure(view: Callable[..., Any], path: dict[str, Any]) -> Response:
    """Run a view whose reading is written down; a repeat of it is another reading."""
    _demand_parameters()
    return _kept(functools.partial(view, **path), None, None, False)


class _Unopened:
    """A session that opens when it is first used: most questions never read the database."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._opened: Session | None = None

    def __getattr__(self, name: str) -> Any:
        """Open, and go on as the session itself."""
        if self._opened is None:
            self._opened = self._sessions()
        return getattr(self._opened, name)

    def flush(self) -> None:
        """Write nothing: there is nothing that a question keeps."""

    def close(self) -> None:
        """Let go of the session, if there is one."""
        if self._opened is not None:
            self._opened.close()


@contextmanager
def transaction(service: Service, principal: Principal) -> Iterator[Session]:
    """One transaction under the caller's institution: commits when the block ends, rolls back if it raises."""
    with service.sessions.begin() as session:
        act_for(session, principal.institution)
        session.info["actor"] = principal.subject
        yield session


def caller() -> Principal:
    """The person or machine behind this request."""
    principal: Principal = g.principal
    return principal


def _service() -> Service:
    service: Service = current_app.extensions["heartwood"]
    return service


def _demand_parameters(*names: str) -> None:
    """Refuse query parameters other than these: a misspelt one must not be passed over."""
    if not request.query_string:
        return
    if unknown := sorted(set(request.args) - set(names)):
        errors = [{"parameter": name[:64], "detail": "Unknown query parameter."} for name in unknown[:100]]
        raise InvalidError(f"unknown query parameter: {unknown[0][:64]}", errors=errors)


def _flag(name: str) -> bool:
    _demand_parameters(name)
    values = request.args.getlist(name) or ["false"]
    if values not in (["true"], ["false"]):
        raise InvalidError(f"{name} is true or false", errors=[{"parameter": name, "detail": "true or false, once"}])
    return values == ["true"]


def _if_match() -> int:
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise PreconditionMissingError('send If-Match with the version you read, as in its ETag: "v3"')
    # Gateways that compress make an ETag weak; the version in it stays the same.
    match = _ETAG.fullmatch(header)
    if match is None:
        raise UnreadableError('If-Match is an ETag of ours, such as "v3"')
    return int(match[1])


_ETAG = re.compile(r'(?:W/)?"?v([0-9]{1,9})"?', re.ASCII)


def _response(answer: Any) -> Response:
    """What a view gave as an answer; most give one."""
    return answer if isinstance(answer, Response) else current_app.make_response(answer)


def _stored(answer: idempotency.IdempotentAnswer) -> Response:
    response = Response(answer.body, answer.status, mimetype="application/json")
    response.headers["Idempotency-Replayed"] = "true"
    if answer.etag:
        response.headers["ETag"] = answer.etag
    if answer.location:
        response.headers["Location"] = answer.location
    return response


# -- pages ------------------------------------------------------------------------------------------------------------


def page(session: Session, statement: Select[Any], key: Any, query: dict[str, Any], **filters: Any) -> dict[str, Any]:
    """One page of a list, newest first, by a key that sorts by time (a UUIDv7).

    The cursor is the last key seen, signed together with the filters it belongs to.
    """
    secret = _service().cursor_key
    scope = repr((request.path, caller().institution, sorted((k, str(v)) for k, v in filters.items())))
    if query["cursor"] is not None:
        statement = statement.where(key < _open_cursor(secret, scope, query["cursor"]))
    rows: Sequence[Any] = session.scalars(statement.order_by(key.desc()).limit(query["limit"] + 1)).all()
    items, more = rows[: query["limit"]], len(rows) > query["limit"]
    return {"items": items, "next": _make_cursor(secret, scope, getattr(items[-1], key.key)) if more else None}


def _make_cursor(secret: bytes, scope: str, last: UUID) -> str:
    tag = hmac.new(secret, scope.encode() + last.bytes, hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(tag + last.bytes).decode().rstrip("=")


def _open_cursor(secret: bytes, scope: str, cursor: str) -> UUID:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raw = b""
    # Made again rather than taken apart, so that only the one spelling of a cursor is right.
    if len(raw) == 32:
        last = UUID(bytes=raw[16:])
        if hmac.compare_digest(_make_cursor(secret, scope, last).encode(), cursor.encode()):
            return last
    raise UnreadableError("this cursor is not one of ours, or belongs to another list; start without one")


# -- problems ---------------------------------------------------------------------------------------------------------


def problem(
    status: int,
    kind: str,
    title: str,
    detail: str,
    errors: Sequence[Any] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """An RFC 9457 problem document."""
    body: dict[str, Any] = {
        "type": PROBLEMS + kind,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request_id(),
    }
    if errors:
        body["errors"] = list(errors)
    response = jsonify(body)
    response.status_code, response.mimetype = status, "application/problem+json"
    response.headers.update(headers or {})
    return response


def _refusal(error: RefusalError) -> Response:
    return problem(error.status, error.kind, error.title, error.detail, error.errors, error.headers)


def _unexpected(error: Exception) -> Response:
    if is_passing(error):
        return _refusal(UnavailableError("the database is busy or away; repeat the request with the same key"))
    if isinstance(error, PoolTimeoutError):
        return _refusal(UnavailableError("too many requests at once; repeat the request with the same key"))
    if isinstance(error, StaleDataError):
        return _refusal(ConflictError("somebody else changes this just now; read it again"))
    if isinstance(error, IntegrityError) and getattr(error.orig, "sqlstate", "") == "23505":
        return _refusal(ConflictError("this exists already"))
    if isinstance(error, DataError):
        return _refusal(InvalidError("a value is out of range"))
    log.error("unexpected error", error=type(error).__name__, exc_info=error)
    return problem(500, "internal", "Internal error", "something went wrong on our side; the request id finds it")


def _errors(messages: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Flatten marshmallow's messages: a JSON Pointer into the body, or the name of a query parameter."""
    for location, inner in messages.items():
        for pointer, detail in faults(inner):
            if location == "json":
                yield {"pointer": pointer, "detail": detail}
            else:
                yield {"parameter": pointer.removeprefix("/"), "detail": detail}


def _place(error: dict[str, str]) -> str:
    return error.get("pointer") or error.get("parameter") or ""


# -- open pages -------------------------------------------------------------------------------------------------------

_SWAGGER = Path(flask_swagger_ui.__file__).parent / "dist"
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCS_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/v1/docs/swagger-ui.css"><div id="swagger-ui"></div>
<script src="/v1/docs/swagger-ui-bundle.js"></script><script src="/v1/docs/start.js"></script></html>"""
#: Without validatorUrl the page would show the document to a validator on the internet.
_DOCS_START = (
    "SwaggerUIBundle({url: '/v1/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null});"
)
_DOCS_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")


def _open_pages(service: Service, metrics: Metrics) -> FlaskBlueprint:
    """Health, version, metrics and the API's own documentation: what needs no token."""
    pages = FlaskBlueprint("open", __name__)

    @pages.get("/livez")
    def get_livez() -> ResponseReturnValue:
        return {"status": "ok"}

    @pages.get("/readyz")
    def get_readyz() -> ResponseReturnValue:
        state = service.ready()
        if "outbox_oldest_age_seconds" in state:
            metrics.outbox_age.set(float(state["outbox_oldest_age_seconds"]))
        return state, 200 if state.get("ready") else 503

    @pages.get("/version")
    def get_version() -> ResponseReturnValue:
        return {"service": service.name, "version": service.version}

    @pages.get("/metrics")
    def get_metrics() -> ResponseReturnValue:
        return Response(generate_latest(metrics.registry), mimetype="text/plain")

    @pages.get("/v1/docs")
    def get_docs() -> ResponseReturnValue:
        page_ = Response(_DOCS_PAGE.format(title=service.title), mimetype="text/html")
        page_.headers["Content-Security-Policy"] = _DOCS_POLICY
        return page_

    @pages.get("/v1/docs/<name>")
    def get_docs_file(name: str) -> ResponseReturnValue:
        if name == "start.js":
            return Response(_DOCS_START, mimetype="text/javascript")
        if name not in _DOCS_FILES:
            raise NotFoundError("the pages have no such file")
        return send_from_directory(_SWAGGER, name)

    return pages


__all__ = [
    "Api",
    "Blueprint",
    "Service",
    "caller",
    "create_app",
    "page",
    "problem",
    "traceparent",
    "transaction",
    "uploaded",
]
