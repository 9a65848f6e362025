"""What the pages ask of the four services: HTTP with the user's own token, several questions at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from shared import strict_json

#: One answer may take so long before its panel says that the service is away. [s]
PATIENCE = urllib3.Timeout(connect=2.0, read=20.0)


class ApiError(Exception):
    """A service did not do what was asked: its problem document, or that it is away (status 503)."""

    def __init__(self, service: str, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{service}: {status} {problem.get('title', '')}")
        self.service, self.status = service, status
        self.title, self.detail = str(problem.get("title", "")), str(problem.get("detail", ""))
        self.request_id = str(problem.get("instance", ""))
        #: What is wrong with which field: JSON Pointer → text.
        self.fields = {str(one.get("pointer", "")): str(one.get("detail", "")) for one in problem.get("errors", ())}


@dataclass(frozen=True)
class Answer:
    """What a service answered: its document, and the ETag to send back with a change."""

    document: Any
    etag: str | None


@dataclass(frozen=True)
class File:
    """What a service made to be kept or drawn, and what kind it is."""

    content: bytes
    kind: str


class Services:
    """The addresses of the services, and the connections kept open to them."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = {name: address.rstrip("/") for name, address in addresses.items()}
        self._http = urllib3.PoolManager(num_pools=8, maxsize=16, timeout=PATIENCE, retries=False)
        self._asking = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ask")

    def ask(
        self,
        token: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
        etag: str | None = None,
    ) -> Answer:
        """Ask once. A body makes it a POST, a key a repeatable one; whatever is refused raises ApiError."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        if etag is not None:
            headers["If-Match"] = etag
        sent = strict_json.canonical(body) if body is not None else None
        answer = self._send(token, service, path, query, headers, sent)
        try:
            document = strict_json.loads(answer.data) if answer.data else None
        except strict_json.JsonError:
            raise ApiError(service, 502, {"title": "Bad Gateway"}) from None
        return Answer(document, answer.headers.get("ETag"))

    def file(self, token: str, service: str, path: str, query: Mapping[str, Any]) -> File:
        """A file that a service makes; a refusal raises ApiError."""
        answer = self._send(token, service, path, query, {"Accept": "*/*"})
        return File(answer.data, answer.headers.get("Content-Type", "application/octet-stream"))

    def _send(
        self,
        token: str,
        service: str,
        path: str,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        sent: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        address = f"{self.addresses[service]}/v1{path}" + (f"?{urlencode(given)}" if given else "")
        everything = {"Authorization": f"Bearer {token}", **headers}
        try:
            answer = self._http.request("GET" if sent is None else "POST", address, body=sent, headers=everything)
        except urllib3.exceptions.HTTPError:
            raise ApiError(service, 503, {"title": "Service Unavailable"}) from None
        if answer.status >= 400:
            try:
                problem = strict_json.loads(answer.data) if answer.data else None
            except strict_json.JsonError:
                raise ApiError(service, 502, {"title": "Bad Gateway"}) from None
            raise ApiError(service, answer.status, problem if isinstance(problem, dict) else {})
        return answer

    def later(self, asked: Callable[[], Any]) -> Future[Any]:
        """Begin an asking that runs beside others."""
        return self._asking.submit(asked)


@dataclass
class Panel:
    """A part of a page that fills or fails by itself: what it shows, or why it cannot."""

    _future: Future[Any]

    @property
    def shown(self) -> Any:
        """What there is to show; None when it failed."""
        return None if self.error else self._future.result()

    @property
    def error(self) -> ApiError | None:
        """Why there is nothing to show."""
        failed = self._future.exception()
        if failed is not None and not isinstance(failed, ApiError):
            raise failed
        return failed
