"""The workbench's web server: pages on one origin, nothing from outside, nothing that runs from a form field."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, render_template, request, session, url_for
from werkzeug.exceptions import HTTPException

from services.workbench import charts, formats
from services.workbench.api import ApiError, Services
from services.workbench.pages import PAGES
from services.workbench.visitors import Doorkeeper, Gate, demand_proof, form_proof, language, say
from shared.settings import Settings

#: Scripts, styles, pictures and forms of our own only; no page may be framed.
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
OPEN = {"pages.sign_in", "pages.post_sign_in", "pages.choose_language", "pages.alive", "static"}


def create_app(settings: Settings, services: Services, gate: Gate) -> Flask:
    """Make the app; the session's cookie is signed with a key made of the cursor key."""
    app = Flask(__name__)
    app.secret_key = b"workbench:" + settings.cursor_key.encode()
    app.config.update(
        SESSION_COOKIE_NAME="workbench",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.production,
        MAX_CONTENT_LENGTH=2_000_000,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions.update(services=services, gate=gate)
    doorkeeper = Doorkeeper(settings.jwks, settings.issuer)

    @app.before_request
    def enter() -> Any:
        g.visitor = doorkeeper.visitor(session["token"]) if session.get("token") else None
        if request.method == "POST":
            demand_proof(request)
        if g.visitor is None and request.endpoint not in OPEN:
            return redirect(url_for("pages.sign_in", next=here()))
        return None

    @app.after_request
    def guard(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if request.endpoint == "static":
            answer.headers["Cache-Control"] = "public, max-age=3600"
        return answer

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> Any:
        if error.status == 401:
            session.pop("token", None)
            return redirect(url_for("pages.sign_in", next=here()))
        return render_template("error.html", error=error), error.status

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Any:
        problem = {"title": error.name, "detail": error.description, "instance": secrets.token_hex(8)}
        return render_template("error.html", error=ApiError("workbench", error.code or 500, problem)), error.code or 500

    @app.context_processor
    def words() -> dict[str, Any]:
        return {
            "say": say,
            "language": language(),
            "proof": form_proof,
            "visitor": g.get("visitor"),
            "people": gate.people,
        }

    for name in ("money", "area", "tonnes", "percent", "number", "day", "moment", "word", "tone"):
        app.jinja_env.filters[name] = getattr(formats, name)
    app.jinja_env.globals["chart"] = charts
    app.register_blueprint(PAGES)
    return app


def here() -> str:
    """The page that was asked for, to come back to."""
    if request.method == "GET":
        return request.full_path.rstrip("?")
    # What was typed waits in the browser; the form it was typed into is at the same address.
    return request.path if str(request.endpoint).startswith("pages.post_") else "/"


def inside(address: str) -> str:
    """An address to go on to: on this site, or its first page."""
    parts = urlsplit(address)
    ours = not parts.scheme and not parts.netloc and address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if ours else "/"
