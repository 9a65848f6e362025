"""The pages without a browser: who gets in, what a form must carry, and what is shown when a service is away."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from deploy.issuer import PEOPLE, DevelopmentIssuer
from deploy.serve import app
from services.workbench.acts import ACTS
from services.workbench.app import inside
from services.workbench.pages.allocations import shade
from shared.settings import Settings, SettingsError, settings

#: Nothing listens there: every service is away.
AWAY = " ".join(f"{service}=http://127.0.0.1:9" for service in ("sink", "credit", "insurance", "guarantee"))


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    DevelopmentIssuer(tmp_path / "issuer", settings({}))
    return settings(
        {
            "HEARTWOOD_JWKS": str(tmp_path / "issuer" / "jwks.json"),
            "HEARTWOOD_SERVICES": AWAY,
            "HEARTWOOD_STATE": str(tmp_path),
        }
    )


@pytest.fixture
def client(configured: Settings) -> Iterator[FlaskClient]:
    with app("workbench", configured).test_client() as client:
        yield client


def proof(page: str) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', page)
    assert found, page
    return found[1]


def sign_in(client: FlaskClient, role: str, institution: str, next_page: str = "/") -> None:
    form = {"proof": proof(client.get("/sign-in").text), "role": role, "institution": institution, "next": next_page}
    assert client.post("/sign-in", data=form).status_code == 303


def test_nobody_sees_a_page_without_signing_in(client: FlaskClient) -> None:
    for rule in client.application.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.endpoint.startswith("pages.") and rule.endpoint not in (
            "pages.sign_in", "pages.alive",
        ):  # fmt: skip
            path = re.sub(r"<[^>]*uuid[^>]*>", "01a22dc6-1e84-77fe-8d82-69f932ff082a", rule.rule)
            path = re.sub(r"<any[^>]*>", "loan", path)
            path = re.sub(r"<[^>]*>", "approve", path)
            answer = client.get(path)
            assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/sign-in"), rule.rule


def test_a_form_that_no_page_of_ours_made_is_refused(client: FlaskClient) -> None:
    role, institution = PEOPLE[0]
    form = {"role": role, "institution": institution}
    assert client.post("/sign-in", data=form).status_code == 403
    assert client.post("/sign-in", data={**form, "proof": "guessed"}).status_code == 403
    for path in ("/sign-out", "/language", "/apply"):
        assert client.post(path, data={"language": "en"}).status_code == 403


def test_nobody_becomes_somebody_who_is_not_offered(client: FlaskClient) -> None:
    form = {"proof": proof(client.get("/sign-in").text), "role": "officer", "institution": "bank-of-others"}
    assert client.post("/sign-in", data=form).status_code == 403


def test_a_forged_or_foreign_token_is_nobody(client: FlaskClient, tmp_path: Path) -> None:
    other = DevelopmentIssuer(tmp_path / "another", settings({})).token("officer", "bank-yanmen")
    for token in ("nonsense", other):
        with client.session_transaction() as kept:
            kept["token"] = token
        assert client.get("/loans").location.startswith("/sign-in")


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_signing_in_leads_nowhere_else(address: str) -> None:
    assert inside(address) == "/"


def test_the_language_changes_and_the_page_stays(client: FlaskClient) -> None:
    page = client.get("/sign-in?next=/forests").text
    assert "选择您的身份" in page
    answer = client.post("/language", data={"proof": proof(page), "language": "en", "next": "/sign-in?next=/forests"})
    assert answer.location == "/sign-in?next=/forests"
    assert "Who are you today?" in client.get(answer.location).text


def test_a_service_that_is_away_is_told_and_nothing_breaks(client: FlaskClient) -> None:
    sign_in(client, "insurer", "insurer-jinbei")
    answer = client.get("/policies")
    assert answer.status_code == 200
    assert answer.text.count("该服务暂时无法访问") == 4, "each panel by itself"
    assert client.get("/forests").status_code == 503


def test_what_was_typed_stays_when_the_service_is_away(client: FlaskClient) -> None:
    sign_in(client, "officer", "bank-yanmen")
    page = client.get("/apply").text
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key
    form = {"proof": proof(page), "key": key[1], "borrower_reference": 'FILE-"><script>1', "amount": "120,000"}
    answer = client.post("/apply", data=form)
    assert answer.status_code == 503
    assert "FILE-&#34;&gt;&lt;script&gt;1" in answer.text, "as typed, and inert"
    assert 'value="120,000"' in answer.text
    assert f'name="key" value="{key[1]}"' in answer.text, "it may have been done: the same key again"


def test_a_run_that_could_not_be_started_may_be_sent_again(client: FlaskClient) -> None:
    sign_in(client, "insurer", "insurer-jinbei")
    page = client.get("/accumulations").text
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key
    answer = client.post("/accumulations", data={"proof": proof(page), "key": key[1], "years": "2000", "seed": "<i>"})
    assert answer.status_code == 503
    assert 'value="2000"' in answer.text
    assert 'value="&lt;i&gt;"' in answer.text
    assert f'name="key" value="{key[1]}"' in answer.text
    assert client.get("/accumulation/01a22dc6-1e84-77fe-8d82-69f932ff082a/anything.exe").status_code == 404


def test_the_dearest_limit_is_the_warmest_and_a_free_one_has_no_shade() -> None:
    dearest = Decimal("0.8")
    shades = [shade(price, dearest) for price in ("0", "0.000001", "0.2", "0.5", "0.8")]
    assert shades == [0, 1, 2, 3, 4]
    assert shade("0", Decimal(0)) == 0


@pytest.mark.parametrize("desk", ["loan", "cover"])
def test_a_desk_that_is_refused_keeps_what_was_typed(client: FlaskClient, desk: str) -> None:
    sign_in(client, *(("officer", "bank-yanmen") if desk == "loan" else ("insurer", "insurer-jinbei")))
    form = {"proof": proof(client.get(f"/what-if/{desk}").text), "term_months": "never", "asset_id": "<b>here</b>"}
    answer = client.post(f"/what-if/{desk}", data=form)
    assert answer.status_code == 503
    assert "&lt;b&gt;here&lt;/b&gt;" in answer.text
    part = client.post(f"/what-if/{desk}", data=form, headers={"X-Part": "result"})
    assert part.status_code == 200
    assert part.text.lstrip().startswith('<div class="note bad"'), "the part alone"


def test_a_session_that_ended_comes_back_to_its_form(client: FlaskClient) -> None:
    page = client.get("/sign-in").text
    answer = client.post("/apply", data={"proof": proof(page), "amount": "1"})
    assert answer.location == "/sign-in?next=/apply"


def test_a_role_sees_no_button_that_is_not_its_own(client: FlaskClient) -> None:
    sign_in(client, "auditor", "bank-yanmen")
    subject = "01a22dc6-1e84-77fe-8d82-69f932ff082a"
    for kind, acts in ACTS.items():
        for act in acts:
            assert client.get(f"/{kind}/{subject}/do/{act.name}").status_code == 404


def test_every_answer_is_guarded(client: FlaskClient) -> None:
    for path in ("/sign-in", "/nowhere", "/static/workbench.css"):
        with client.get(path) as answer:
            headers = answer.headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "unsafe" not in headers["Content-Security-Policy"]


def test_no_template_carries_a_script_or_a_style_of_its_own() -> None:
    for template in Path("services/workbench/templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<script(?! src=)|\son\w+=|\sstyle=|\|\s*safe|https?://", text), template


def test_pages_and_their_helpers_are_small() -> None:
    folder = Path("services/workbench/static")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 60_000


def test_production_is_refused_in_one_line(configured: Settings) -> None:
    from dataclasses import replace

    with pytest.raises(SettingsError, match="development issuer"):
        app("workbench", replace(configured, mode="production"))


def test_missing_addresses_are_named(configured: Settings) -> None:
    from dataclasses import replace

    with pytest.raises(SettingsError, match="guarantee"):
        app("workbench", replace(configured, services="sink=http://127.0.0.1:9 credit=http://127.0.0.1:9"))
