"""Who gets in: every route against every token that does not hold, and every institution's own things."""

import time
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from deploy.issuer import ROLES
from shared.schema import SERVICES
from shared.settings import settings
from tests.conftest import Database
from tests.contracts.conformance import conforming
from tests.contracts.conftest import OWNERS, Story
from tests.credit import borrowers
from tests.harness import BANK, app, body, issuer, token
from tests.routes_check import Route, app_of, routes_of

ROUTES = [(service, route) for service in SERVICES for route in routes_of(app_of(service))]
BY_ID = [(service, route) for service, route in ROUTES if "<" in route.rule]
LISTS = [
    (service, route)
    for service, route in ROUTES
    # A template is a file, and the same for all; a report is figures, of which a stranger has none.
    if route.method == "GET"
    and "<" not in route.rule
    and not route.rule.endswith("/template")
    and "/reports/" not in route.rule
]
#: Ids of what all may see: the register, its values and the prices they rest on.
#: Whoever holds the code of a certificate may see what it certifies.
PUBLIC_IDS = {
    *("asset_id", "valuation_id", "curve_id", "history_id", "measurement_id", "planting_id", "project_id", "duty_id"),
    *("code", "evidence_id"),
}
PRIVATE_IDS = {
    *("loan_id", "cover_id", "policy_id", "claim_id", "guarantee_id", "call_id", "pledge_id", "job_id", "import_id"),
    *("footprint_id", "order_id", "land_use_id", "adoption_id", "account_id", "entry_id", "party_id", "prescreen_id"),
    "allocation_id",
    "model_id",
    "pricing_id",
    "index_cover_id",
    "accumulation_id",
    "programme_id",
    "proposal_id",
}
PUBLIC_LISTS = {
    *(("sink", name) for name in ("assets", "price-curves", "reversals", "issuances", "retirements", "plantings")),
    *(("sink", name) for name in ("blocks", "postings", "projects", "replacement-duties", "parameters", "targets")),
    *(("sink", name) for name in ("price-histories", "buffer-pools")),
    ("credit", "valuations"),
    ("credit", "serving"),
    ("guarantee", "schemes"),
}
STRANGER = "institution-nobody-knows"


def named(pairs: list[tuple[str, Route]]) -> Any:
    return pytest.mark.parametrize(("service", "route"), pairs, ids=lambda value: str(value).replace("/v1/", ""))


# -- tokens that do not hold ------------------------------------------------------------------------------------------


def mint(scopes: str, *, audience: str, key: ECKey | None = None, **claims: Any) -> str:
    """A token of our issuer, or one that only says so."""
    now = int(time.time())
    made = {
        "iss": settings({}).issuer,
        "sub": "somebody",
        "aud": [audience],
        "institution": "bank-yanmen",
        "role": "officer",
        "scope": scopes,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    } | claims
    own = issuer().key
    return jwt.encode({"alg": "ES256", "kid": own.kid}, made, key or own)


@cache
def every_scope() -> str:
    return " ".join(sorted({scope for scopes in ROLES.values() for scope in scopes}))


def held_off(service: str, route: Route) -> dict[str, tuple[str | None, int, str]]:
    """Authorization headers that must not open a route, with the answer each gets."""
    others = " ".join(scope for scope in every_scope().split() if scope != route.scope)
    thief = ECKey.generate_key("P-256")
    hour_ago = int(time.time()) - 3600
    good = mint(every_scope(), audience=service)
    return {
        "no token": (None, 401, "unauthenticated"),
        "another scheme": ("Basic c29tZWJvZHk6c2VjcmV0", 401, "unauthenticated"),
        "nonsense": ("Bearer no.token.here", 401, "unauthenticated"),
        "signed by somebody else": (
            f"Bearer {mint(every_scope(), audience=service, key=thief)}",
            401,
            "unauthenticated",
        ),
        "its signature cut off": (f"Bearer {good.rpartition('.')[0]}.", 401, "unauthenticated"),
        "expired": (f"Bearer {mint(every_scope(), audience=service, exp=hour_ago)}", 401, "unauthenticated"),
        "not yet valid": (f"Bearer {mint(every_scope(), audience=service, nbf=2**32)}", 401, "unauthenticated"),
        "for another service": (f"Bearer {mint(every_scope(), audience='another')}", 401, "unauthenticated"),
        "of another issuer": (
            f"Bearer {mint(every_scope(), audience=service, iss='https://elsewhere.example')}",
            401,
            "unauthenticated",
        ),
        "of no institution": (
            f"Bearer {mint(every_scope(), audience=service, institution='')}",
            401,
            "unauthenticated",
        ),
        "every scope but the one": (f"Bearer {mint(others, audience=service)}", 403, "forbidden"),
        "the scope of a role in words": (f"Bearer {mint('officer admin *', audience=service)}", 403, "forbidden"),
    }


@named(ROUTES)
def test_no_token_that_does_not_hold_opens_a_route(databases: dict[str, Database], service: str, route: Route) -> None:
    http = app(service, databases[service]).test_client()
    for name, (authorization, status, kind) in held_off(service, route).items():
        headers = {"Idempotency-Key": str(uuid4())} | ({"Authorization": authorization} if authorization else {})
        sent = {} if route.method == "GET" else {"json": {}}
        answer = http.open(route.path, method=route.method, headers=headers, **sent)
        problem = body(conforming(http.application, answer), status)
        assert answer.mimetype == "application/problem+json", name
        assert problem["type"].endswith(f"/{kind}"), name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), name
        if status == 403:
            assert route.scope in answer.headers["WWW-Authenticate"], name


@named(ROUTES)
def test_the_one_scope_is_enough_to_get_past_the_door(
    databases: dict[str, Database], service: str, route: Route
) -> None:
    http = app(service, databases[service]).test_client()
    bearer = mint(route.scope, audience=service, institution=STRANGER)
    answer = http.open(route.path, method=route.method, headers={"Authorization": f"Bearer {bearer}"})
    assert answer.status_code not in (401, 403), answer.get_data(as_text=True)


# -- another institution's things -------------------------------------------------------------------------------------

_MONEY = {"amount": "1.00", "currency": "CNY"}
#: A body that gets past the schema, for each command on a private resource.
BODIES: dict[str, dict[str, Any]] = {
    "referral": {"decision": "proceed", "comment": "seen"},
    "approval": {"payload_hash": "0" * 64, "approve": True},
    "acceptance": {},
    "withdrawal": {"reason": "not wanted"},
    "disbursement": {},
    "repayments": {"amount": _MONEY},
    "fees": {"kind": "appraisal", "amount": _MONEY, "comment": "valued anew"},
    "default": {"ground": "overdue", "comment": "ninety days"},
    "enforcement": {},
    "recoveries": {"amount": _MONEY, "costs": _MONEY, "source": "carbon"},
    "closing": {},
    "lapse": {"reason": "ordinary"},
    "payment": {},
    "receipt": {"amount": _MONEY, "reference": "slip 1"},
    "retirement": {},
    "refund": {"reference": "slip 2"},
    "discharge": {},
    "entries": {"kind": "emission", "year": 2026, "tonnes": "1", "note": "counted"},
    "voiding": {"reason": "a slip"},
    "consents": {"tonnes": "1", "to": "somebody"},
    "issuance": {"payload_hash": "0" * 64},
    "rejection": {"payload_hash": "0" * 64},
    "certificate": {},
    "changes": {"employees": 3},
    "verification": borrowers.verification(),
    "disclosure": {"purpose": "contract"},
    "erasure": {"ground": "own_request"},
    "documents": {"name": "a title", "kind": "forest_title", "sha256": "0" * 64, "size": 1},
    "breach": {"reason": "felled without a permit"},
    "endorsements": {"assets": [{"asset_id": str(uuid4()), "sum_insured": _MONEY}]},
    "renewal": {"months": 12},
    "instalments": {"count": 2},
    "premium-payments": {"number": 1},
    "proposal": {"comment": "well guarded"},
    "cancellation": {},
    "validation": {"fit": True, "comment": "seen"},
    "promotion": {"role": "champion", "comment": "seen"},
    "rollback": {"comment": "seen"},
    "resumption": {},
    "review": {"grounds": "facts_missing"},
    "decision": {"decision": "uphold", "reason_code": "machine_confirmed", "explanation": "the accounts were read"},
    "top-up": {"asset_id": str(uuid4()), "tonnes": "1"},
    "binding": {"price_hash": "0" * 64},
    "assessment": {"value_before": _MONEY, "value_after": _MONEY, "severity": "0.5", "event_area_ha": "60"},
    "clearance": {"accept": True, "comment": "seen"},
    "proceeds": {"kind": "salvage", "amount": _MONEY, "reference": "slip 3", "received_on": "2026-01-01"},
    "reinstatement": {"asset_id": str(uuid4())},
    "release": {"asset_id": str(uuid4()), "tonnes": "1"},
}


def ask(http: FlaskClient, route: Route, path: str, institution: str) -> TestResponse:
    """Ask for a path as somebody of an institution who may do everything."""
    service = route.scope.partition(":")[0]
    headers = {
        "Authorization": f"Bearer {mint(every_scope(), audience=service, institution=institution)}",
        "Idempotency-Key": str(uuid4()),
    }
    if route.method == "GET":
        return conforming(http.application, http.get(path, headers=headers))
    headers["If-Match"] = '"v1"'
    given = BODIES[path.rpartition("/")[2]]
    return conforming(http.application, http.open(path, method=route.method, json=given, headers=headers))


def owner_of(service: str, name: str) -> str:
    return BANK if name == "pledge_id" else OWNERS[service]


def parameter(route: Route) -> str:
    (name,) = [part[1:-1].rpartition(":")[2] for part in route.rule.split("/") if part.startswith("<")]
    return name


def path_of(route: Route, value: str) -> str:
    return "/".join(value if part.startswith("<") else part for part in route.rule.split("/"))


@named(BY_ID)
def test_every_id_in_a_path_is_known_to_be_private_or_public(service: str, route: Route) -> None:
    assert parameter(route) in PUBLIC_IDS | PRIVATE_IDS
    assert not PUBLIC_IDS & PRIVATE_IDS


@named([(service, route) for service, route in BY_ID if parameter(route) in PRIVATE_IDS])
def test_another_institutions_resource_is_not_there_just_like_one_that_never_was(
    story: Story, service: str, route: Route
) -> None:
    http = app(service, story.databases[service]).test_client()
    name = parameter(route)
    theirs = story.ids[service].get(route.rule.rpartition(">/")[2], story.ids[service][name])
    if route.method == "GET":
        assert ask(http, route, path_of(route, theirs), owner_of(service, name)).status_code == 200
    ids = (theirs, str(uuid4()))
    answers = [ask(http, route, path_of(route, asked), STRANGER) for asked in ids]
    problems = [body(answer, 404) for answer in answers]
    for problem, asked in zip(problems, ids, strict=True):
        problem.pop("instance")
        # The answer repeats what was asked for, and nothing else tells the two apart.
        problem["detail"] = problem["detail"].replace(asked, "…")
    assert problems[0] == problems[1]
    headers = [{k for k, _ in answer.headers} for answer in answers]
    assert headers[0] == headers[1]


@named([(service, route) for service, route in BY_ID if parameter(route) in PUBLIC_IDS and route.method == "GET"])
def test_what_is_public_everybody_may_read(story: Story, service: str, route: Route) -> None:
    http = app(service, story.databases[service]).test_client()
    path = path_of(route, story.ids[service][parameter(route)])
    assert ask(http, route, path, STRANGER).status_code == 200


@named(LISTS)
def test_the_lists_of_another_institution_are_empty(story: Story, service: str, route: Route) -> None:
    http = app(service, story.databases[service]).test_client()
    answer = ask(http, route, route.rule, STRANGER)
    if (service, route.rule) == ("guarantee", "/v1/profile"):
        assert answer.status_code == 404
        return
    if (service, route.rule) == ("credit", "/v1/portfolio"):
        owned = body(ask(http, route, route.rule, OWNERS[service]))
        assert (body(answer)["loans"], owned["loans"] > 0) == (0, True)
        return
    items = body(answer)["items"]
    if (service, route.rule.rpartition("/")[2]) in PUBLIC_LISTS:
        return
    assert items == []
    owner = BANK if route.rule == "/v1/pledges" else OWNERS[service]
    assert body(ask(http, route, route.rule, owner))["items"], (
        "the owner's own list shows nothing: no proof of anything"
    )


@named(ROUTES)
def test_a_role_opens_a_route_if_and_only_if_its_scopes_say_so(
    databases: dict[str, Database], service: str, route: Route
) -> None:
    http = app(service, databases[service]).test_client()
    for role, scopes in ROLES.items():
        headers = {"Authorization": f"Bearer {token(role, STRANGER)}", "Idempotency-Key": str(uuid4())}
        status = http.open(route.path, method=route.method, headers=headers).status_code
        audience = service in {scope.partition(":")[0] for scope in scopes}
        assert (status == 401) == (not audience), role
        assert (status == 403) == (audience and route.scope not in scopes), role
