"""Refusals: raised anywhere, rendered once. Each carries its HTTP status and a stable problem type."""

from collections.abc import Mapping, Sequence
from typing import Any


class RefusalError(Exception):
    """A clear no: what is wrong and what to do about it. Permanent: repeating the same thing gets the same answer."""

    status = 409
    kind = "conflict"
    title = "The request conflicts with the current state"

    def __init__(
        self, detail: str, *, errors: Sequence[Mapping[str, Any]] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


class InvalidError(RefusalError):
    """The content is well formed but cannot be right."""

    status, kind, title = 422, "invalid", "The request has invalid content"


class UnreadableError(RefusalError):
    """The content cannot be read at all."""

    status, kind, title = 400, "unreadable", "The request cannot be read"


class UnauthenticatedError(RefusalError):
    """No token, or one that does not hold."""

    status, kind, title = 401, "unauthenticated", "A valid bearer token is needed"


class ForbiddenError(RefusalError):
    """The token holds, but not for this."""

    status, kind, title = 403, "forbidden", "The token does not allow this"


class NotFoundError(RefusalError):
    """Not there, or another institution's: the answer is the same."""

    status, kind, title = 404, "not-found", "There is no such resource"


class ConflictError(RefusalError):
    """The state does not allow it."""


class StateError(ConflictError):
    """A step that the state machine does not have."""

    kind, title = "state", "The current state does not allow this step"


class PreconditionError(RefusalError):
    """If-Match names another version."""

    status, kind, title = 412, "precondition-failed", "The resource has changed since you read it"


class PreconditionMissingError(RefusalError):
    """If-Match is missing where the resource can change under one's feet."""

    status, kind, title = 428, "precondition-required", "Say which version you mean with If-Match"


class UnsupportedMediaError(RefusalError):
    """Not JSON."""

    status, kind, title = 415, "unsupported-media-type", "Send application/json"


class UnavailableError(RefusalError):
    """The database or broker is away for the moment."""

    status, kind, title = 503, "unavailable", "The service cannot answer just now"

    def __init__(self, detail: str, **more: Any) -> None:
        more.setdefault("headers", {"Retry-After": "2"})
        super().__init__(detail, **more)
