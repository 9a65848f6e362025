"""Tokens: only what the configured issuer signed for this service, for now, gets in; and keys may rotate."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from shared import auth
from shared.auth import Keys, Verifier
from shared.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from tests.shared.notes import AUDIENCE, BANK, ISSUER, Issuer, Notes, problem


def part(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def hs256_with_public_key(issuer: Issuer) -> str:
    """The public key used as if it were a shared secret."""
    signed = f"{part({'alg': 'HS256', 'kid': issuer.key.kid})}.{part(issuer.claims())}"
    secret = issuer.key.as_pem(private=False)
    return f"{signed}.{part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def forged(issuer: Issuer) -> str:
    """Another key under the right key id."""
    other = ECKey.generate_key("P-256")
    return jwt.encode({"alg": "ES256", "kid": issuer.key.kid}, issuer.claims(), other)


def with_own_key(issuer: Issuer) -> str:
    """A token that brings the key to check it with."""
    other = ECKey.generate_key("P-256", {"kid": "mine"})
    return jwt.encode({"alg": "ES256", "kid": "mine", "jwk": other.as_dict(private=False)}, issuer.claims(), other)


def changed(issuer: Issuer) -> str:
    """Claims changed after the signing."""
    head, _, signature = issuer.token().split(".")
    return f"{head}.{part(issuer.claims(institution='bank-sanggan'))}.{signature}"


def unsigned(issuer: Issuer, zeros: int, **header: Any) -> str:
    """A header of one's own, and zeros for a signature."""
    head = {"alg": "ES256", "kid": issuer.key.kid} | header
    return f"{part(head)}.{part(issuer.claims())}.{part(bytes(zeros))}"


def soon(seconds: int) -> int:
    return int(time.time()) + seconds


BAD: dict[str, Any] = {
    "expired": lambda i: i.token(exp=soon(-61)),
    "not yet valid": lambda i: i.token(nbf=soon(300)),
    "issued in the future": lambda i: i.token(iat=soon(300)),
    "of another service": lambda i: i.token(aud=["credit"]),
    "of no service": lambda i: i.token(aud=None),
    "of another issuer": lambda i: i.token(iss="https://other.example"),
    "of no issuer": lambda i: i.token(iss=None),
    "for ever": lambda i: i.token(exp=None),
    "of nobody": lambda i: i.token(sub=None),
    "of an empty person": lambda i: i.token(sub=""),
    "of a person with a long name": lambda i: i.token(sub="x" * 129),
    "of a person who is a number": lambda i: i.token(sub=7),
    "of no institution": lambda i: i.token(institution=None),
    "of an empty institution": lambda i: i.token(institution=""),
    "of a list of institutions": lambda i: i.token(institution=[BANK]),
    "of an institution with a NUL": lambda i: i.token(institution="bank\x00"),
    "of an institution with a long name": lambda i: i.token(institution="x" * 65),
    "of a client that is a number": lambda i: i.token(client_id=5),
    "with a text for a date": lambda i: i.token(exp="tomorrow"),
    "forged": forged,
    "changed": changed,
    "with a key of its own": with_own_key,
    "unsigned": lambda i: f"{part({'alg': 'none', 'kid': i.key.kid})}.{part(i.claims())}.",
    "unsigned, spelled otherwise": lambda i: f"{part({'alg': 'nOnE', 'kid': i.key.kid})}.{part(i.claims())}.",
    "signed with the public key": hs256_with_public_key,
    "signed with a shared secret": lambda i: jwt.encode(
        {"alg": "HS256", "kid": i.key.kid}, i.claims(), OctKey.generate_key(256)
    ),
    "of another algorithm than its key": lambda i: (
        f"{part({'alg': 'RS256', 'kid': i.key.kid})}.{part(i.claims())}.{part(bytes(256))}"
    ),
    "of an unknown key": lambda i: jwt.encode({"alg": "ES256", "kid": "unknown"}, i.claims(), i.key),
    "of a key id that is a list": lambda i: (
        f"{part({'alg': 'ES256', 'kid': [1]})}.{part(i.claims())}.{part(bytes(64))}"
    ),
    "with an unknown critical header": lambda i: unsigned(i, 64, crit=["x"], x=1),
    "with a header that is a list": lambda i: f"{part([])}.{part(i.claims())}.{part(bytes(64))}",
    "with a header twice": lambda i: part(b'{"alg":"none","alg":"ES256"}') + "." + i.token().split(".", 1)[1],
    "with a bottomless header": lambda _: f"{part(b'[' * 50_000)}.e30.e30",
    "with half a surrogate pair": lambda _: part(rb'{"kid":"\ud800","alg":"ES256"}') + ".e30.e30",
    "with claims that are a list": lambda i: f"{i.token().split('.')[0]}.{part([])}.{part(bytes(64))}",
    "of five parts": lambda _: "a.b.c.d.e",
    "of one part": lambda _: "abc",
    "of dots": lambda _: "..",
    "of no base64": lambda _: "%%%.%%%.%%%",
    "of other letters": lambda _: "ü.ü.ü",
    "cut short": lambda i: i.token()[:-5],
}


@pytest.mark.parametrize("name", BAD)
def test_a_token_that_does_not_hold_is_refused(notes: Notes, name: str) -> None:
    answer = notes.get("/v1/notes", headers={"Authorization": f"Bearer {BAD[name](notes.issuer)}"})
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic bm86b25l", "token", "Bearer  ", "Bearer a b"])
def test_what_is_no_bearer_token_is_refused(notes: Notes, header: str) -> None:
    problem(notes.get("/v1/notes", headers={"Authorization": header}), 401)


def test_no_token_is_asked_for_one(notes: Notes) -> None:
    answer = notes.get("/v1/notes", headers={"Authorization": None})
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer", "no error code where nothing was wrong with a token"


def test_a_token_in_the_address_or_the_body_is_none(notes: Notes) -> None:
    token = notes.issuer.token()
    problem(notes.get(f"/v1/notes?access_token={token}", headers={"Authorization": None}), 401)


@pytest.mark.parametrize("more", [{"exp": -30}, {"nbf": 30}, {"nbf": None, "iat": None}, {"aud": AUDIENCE}])
def test_clocks_may_differ_by_less_than_a_minute(notes: Notes, more: dict[str, Any]) -> None:
    who = {name: soon(value) if isinstance(value, int) else value for name, value in more.items()}
    assert notes.get("/v1/notes", who=who).status_code == 200


def test_the_principal_is_what_the_token_says(issuer: Issuer) -> None:
    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE)
    one = verifier.principal(f"bearer {issuer.token(role='officer', client_id='desk')}")
    assert (one.subject, one.institution, one.role, one.client) == ("ann", BANK, "officer", "desk")
    assert one.scopes == {"notes:read", "notes:write"}
    one.demand("notes:read")
    with pytest.raises(ForbiddenError, match="notes:approve"):
        one.demand("notes:approve")
    assert verifier.principal(f"Bearer {issuer.token()}").client == "ann", "a person is their own client"
    assert verifier.principal(f"Bearer {issuer.token(scope=['notes:read'])}").scopes.isdisjoint({"notes:read"})


def test_rsa_tokens_are_taken_too(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    issuer.publish(issuer.key, key)
    token = jwt.encode({"alg": "RS256", "kid": key.kid}, issuer.claims(), key)
    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE)
    assert verifier.principal(f"Bearer {token}").subject == "ann"
    assert verifier.principal(f"Bearer {issuer.token()}").subject == "ann"


# -- keys that change -------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the keys, in a test's hand."""
    at = [1000.0]
    monkeypatch.setattr(auth.time, "monotonic", lambda: at[0])
    return at


class CountedKeys(Keys):
    """Keys that count how often they are read."""

    read = 0

    def _read(self) -> bytes:
        self.read += 1
        return super()._read()


def key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": kid})


def test_a_new_key_is_found_but_not_oftener_than_the_pause(tmp_path: Path, clock: list[float]) -> None:
    issuer = Issuer(tmp_path, key("one"))
    keys = CountedKeys(str(issuer.jwks), pause=10, life=1e9)
    assert keys.keyset("one").get_by_kid("one")
    issuer.publish(key("one"), key("two"))
    for _ in range(20):
        keys.keyset("two")
    assert keys.read == 1, "too soon"
    clock[0] += 10
    assert keys.keyset("two").get_by_kid("two")
    for _ in range(20):
        keys.keyset("made-up")
    assert keys.read == 2, "whoever invents key ids makes nobody read"
    clock[0] += 1e6
    keys.keyset("two")
    assert keys.read == 2, "a known key needs no reading"


def test_a_withdrawn_key_ends(tmp_path: Path, clock: list[float]) -> None:
    issuer = Issuer(tmp_path, key("one"))
    verifier = Verifier(Keys(str(issuer.jwks), life=300), ISSUER, AUDIENCE)
    token = f"Bearer {issuer.token()}"
    assert verifier.principal(token)
    issuer.publish(key("two"))
    assert verifier.principal(token), "not at once"
    clock[0] += 300
    with pytest.raises(UnauthenticatedError):
        verifier.principal(token)


def test_keys_change_without_anybody_being_refused(tmp_path: Path, clock: list[float]) -> None:
    """The new key is published beside the old one, signs from then on, and the old one goes when its tokens have."""
    one, two = key("one"), key("two")
    old, new = Issuer(tmp_path, one), Issuer(tmp_path, two)
    verifier = Verifier(Keys(str(old.jwks), pause=10, life=300), ISSUER, AUDIENCE)
    old.publish(one)
    before = f"Bearer {old.token()}"
    assert verifier.principal(before)
    clock[0] += 10
    old.publish(one, two)
    after = f"Bearer {new.token()}"
    assert verifier.principal(after), "at once, for its key id is unknown"
    assert verifier.principal(before), "until it expires"
    clock[0] += 300
    old.publish(two)
    assert verifier.principal(after)
    with pytest.raises(UnauthenticatedError):
        verifier.principal(before)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were checked."""
    seen: list[str] = []
    real = auth.jwt.decode

    def decode(text: str, *more: Any, **named: Any) -> Any:
        seen.append(text)
        return real(text, *more, **named)

    monkeypatch.setattr(auth.jwt, "decode", decode)
    return seen


def test_a_signature_that_held_is_not_checked_again_for_a_while(
    tmp_path: Path, clock: list[float], checked: list[str]
) -> None:
    issuer = Issuer(tmp_path)
    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE, life=60)
    token = issuer.token()
    one = [verifier.principal(f"Bearer {token}") for _ in range(3)]
    assert one[0] == one[1] == one[2]
    assert checked == [token]
    clock[0] += 60
    verifier.principal(f"Bearer {token}")
    assert checked == [token, token]


def test_another_key_set_makes_every_signature_be_checked_again(
    tmp_path: Path, clock: list[float], checked: list[str]
) -> None:
    issuer = Issuer(tmp_path, key("one"))
    verifier = Verifier(Keys(str(issuer.jwks), pause=0, life=10), ISSUER, AUDIENCE, life=1e9)
    token = f"Bearer {issuer.token()}"
    verifier.principal(token)
    clock[0] += 10
    verifier.principal(token)
    assert len(checked) == 2
    issuer.publish(key("two"))
    clock[0] += 10
    with pytest.raises(UnauthenticatedError):
        verifier.principal(token)


@pytest.mark.parametrize("seconds", [61, -61])
def test_a_remembered_token_holds_no_longer_than_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    issuer = Issuer(tmp_path)
    now = time.time()
    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE, life=1e9)
    token = f"Bearer {issuer.token(exp=int(now) + 1, nbf=int(now))}"
    assert verifier.principal(token)
    monkeypatch.setattr(auth.time, "time", lambda: now + seconds + (1 if seconds > 0 else -1))
    with pytest.raises(UnauthenticatedError):
        verifier.principal(token)


def test_tokens_that_do_not_hold_are_not_remembered_and_of_the_others_only_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Verifier, "ROOM", 3)
    issuer = Issuer(tmp_path)
    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE)
    for number in range(10):
        assert verifier.principal(f"Bearer {issuer.token(sub=f'p{number}')}").subject == f"p{number}"
        with pytest.raises(UnauthenticatedError):
            verifier.principal(f"Bearer {forged(issuer)}")
    assert sorted(one.principal.subject for one in verifier._verified.values()) == ["p7", "p8", "p9"]


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b'{"keys": 5}',
    b'{"keys": []}',
    b'{"keys": [5]}',
    b'{"keys": [{}]}',
    b'{"keys": [{"kty": "EC", "kid": "x"}]}',
    b'{"keys": [{"kty": "quantum", "kid": "x"}]}',
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("raw", BROKEN, ids=lambda raw: repr(raw[:40]))
def test_the_last_good_keys_are_kept_while_their_place_is_broken(
    tmp_path: Path, clock: list[float], raw: bytes
) -> None:
    issuer = Issuer(tmp_path, key("one"))
    verifier = Verifier(Keys(str(issuer.jwks)), ISSUER, AUDIENCE)
    token = f"Bearer {issuer.token()}"
    assert verifier.principal(token)
    issuer.jwks.write_bytes(raw)
    clock[0] += 1000
    assert verifier.principal(token)
    issuer.jwks.unlink()
    clock[0] += 1000
    assert verifier.principal(token)


@pytest.mark.parametrize("raw", BROKEN, ids=lambda raw: repr(raw[:40]))
def test_without_any_keys_yet_the_answer_is_unavailability(notes: Notes, tmp_path: Path, raw: bytes) -> None:
    place = tmp_path / "jwks.json"
    place.write_bytes(raw)
    notes.verifier.keys = Keys(str(place), pause=0)
    answer = notes.get("/v1/notes")
    problem(answer, 503)
    assert "Retry-After" in answer.headers
    notes.issuer.publish(notes.issuer.key)
    place.write_bytes(notes.issuer.jwks.read_bytes())
    assert notes.get("/v1/notes").status_code == 200


def test_the_first_requests_all_wait_for_the_first_reading(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    started = threading.Barrier(8)

    class SlowKeys(Keys):
        def _read(self) -> bytes:
            time.sleep(0.2)
            return super()._read()

    verifier, seen = Verifier(SlowKeys(str(issuer.jwks)), ISSUER, AUDIENCE), []

    def ask() -> None:
        started.wait(60)
        seen.append(verifier.principal(f"Bearer {issuer.token()}").subject)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert seen == ["ann"] * 8


# -- keys over https --------------------------------------------------------------------------------------------------


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A server on https whose certificate is trusted for the test; answers what its `answers` say."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(private, hashes.SHA256())
    )
    pem, secret = tmp_path / "server.pem", tmp_path / "server.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = self.server.answers[self.path]  # type: ignore[attr-defined]
            self.send_response(status)
            for header in headers.items():
                self.send_header(*header)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(60)


def test_keys_come_over_https_and_a_redirect_is_not_followed(https: Any) -> None:
    one, address = key("one"), f"https://localhost:{https.server_port}"
    good = json.dumps(KeySet([one]).as_dict(private=False)).encode()
    https.answers = {
        "/jwks": (200, {}, good),
        "/moved": (302, {"Location": f"{address}/jwks"}, b""),
        "/broken": (500, {}, b"oops"),
        "/endless": (200, {}, b" " * 2_000_000 + good),
    }
    assert Keys(f"{address}/jwks").keyset("one").get_by_kid("one")
    for path in ("/moved", "/broken", "/endless"):
        with pytest.raises(UnavailableError):
            Keys(address + path).keyset("one")


def test_keys_over_plain_http_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Keys("http://127.0.0.1:1/jwks.json").keyset("one")
