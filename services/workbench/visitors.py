"""Who looks at the pages: the signed-in person, their language, and proof that a form came from a page of ours."""

import hmac
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from flask import Request, abort, current_app, g, request, session

from services.workbench.api import Answer, ApiError, File, Panel, Services
from shared.auth import Keys, Verifier
from shared.errors import UnauthenticatedError

LANGUAGES = ("zh", "en")
SERVICES = ("sink", "credit", "insurance", "guarantee")


@dataclass(frozen=True)
class Person:
    """One of the demo's people: what they may do, and where."""

    role: str
    institution: str


@dataclass(frozen=True)
class Gate:
    """How somebody gets in: the people that may be chosen, and who mints their tokens."""

    people: tuple[Person, ...]
    mint: Callable[[str, str], str]


@dataclass(frozen=True)
class Visitor:
    """A signed-in person: who they are, as their token says, and the token itself."""

    subject: str
    institution: str
    role: str
    scopes: frozenset[str]
    token: str

    def may(self, scope: str) -> bool:
        """Whether the token carries a scope."""
        return scope in self.scopes


class Doorkeeper:
    """Checks the token in the cookie as the services do: signature, issuer, time."""

    def __init__(self, jwks: str, issuer: str) -> None:
        keys = Keys(jwks)
        # Which services a token is for differs by role; one of them is enough to say who it is.
        self._verifiers = [Verifier(keys, issuer, service) for service in SERVICES]

    def visitor(self, token: str) -> Visitor | None:
        """Whose token it is, or nobody's."""
        for verifier in self._verifiers:
            try:
                found = verifier.principal(f"Bearer {token}")
            except UnauthenticatedError:
                continue
            return Visitor(found.subject, found.institution, found.role, found.scopes, token)
        return None


def visitor() -> Visitor:
    """The signed-in person of this request; nobody gets this far without."""
    found: Visitor = g.visitor
    return found


def remember(token: str) -> None:
    """Begin a session: nothing of an earlier one stays but the language."""
    spoken = language()
    session.clear()
    session.update(token=token, language=spoken, form=secrets.token_urlsafe(16), since=int(time.time()))


def language() -> str:
    """The language of the pages: as chosen, else as the browser asks, else Chinese."""
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    return request.accept_languages.best_match(LANGUAGES) or "zh"


def say(zh: str, en: str) -> str:
    """One of two texts, in the language of the page."""
    return zh if language() == "zh" else en


def form_proof() -> str:
    """What each form carries so that no other site can post it."""
    if "form" not in session:
        session["form"] = secrets.token_urlsafe(16)
    return str(session["form"])


def demand_proof(posted: Request) -> None:
    """Refuse a post that no page of this session made."""
    if not hmac.compare_digest(posted.form.get("proof", ""), form_proof()):
        abort(403)


def services() -> Services:
    """The four services."""
    found: Services = current_app.extensions["services"]
    return found


def ask(service: str, path: str, **query: Any) -> Any:
    """What a service answers to a GET, for this person."""
    return services().ask(visitor().token, service, path, query=query).document


def panel(service: str, path: str, **query: Any) -> Panel:
    """A part of a page that is asked for now and looked at when the page is drawn; others are asked meanwhile."""
    here, token = services(), visitor().token
    if not _audience(service):
        return Panel(_failed(ApiError(service, 403, {"title": "Forbidden"})))
    return Panel(here.later(lambda: here.ask(token, service, path, query=query).document))


def file(service: str, path: str, **query: Any) -> File:
    """A file that a service makes for this person."""
    return services().file(visitor().token, service, path, query)


def file_panel(service: str, path: str, **query: Any) -> Panel:
    """A file that is asked for now and looked at when the page is drawn."""
    here, token = services(), visitor().token
    return Panel(here.later(lambda: here.file(token, service, path, query)))


def do(service: str, path: str, body: Any, key: str, etag: str | None = None) -> Answer:
    """Ask a service to do something, once however often the form is sent."""
    return services().ask(visitor().token, service, path, body=body, key=key, etag=etag)


def question(service: str, path: str, body: Any) -> Any:
    """What a service answers to a question that it keeps nothing of."""
    return services().ask(visitor().token, service, path, body=body).document


def _audience(service: str) -> bool:
    return any(scope.startswith(f"{service}:") for scope in visitor().scopes)


def _failed(error: ApiError) -> Future[Any]:
    failed: Future[Any] = Future()
    failed.set_exception(error)
    return failed
