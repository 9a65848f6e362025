"""Borrowers: who is registered, what is refused, who may read what, and where personal data are never found."""

import json
import re
import subprocess
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from deploy.embedded import postgres_programs
from services.credit.actions.erasure import rekey
from services.credit.actions.parties import open_personal, show_by_id
from services.credit.tables import Party, PartyMark
from shared import audit, clock, db
from shared.audit import AuditEntry
from shared.sealing import SealError, keys_of
from shared.settings import settings
from tests.conftest import Database
from tests.credit.borrowers import NAME, STREET, TRADE, amount, code, firm, person, resident, verification
from tests.harness import BANK, OTHER_BANK, Client, body, client
from tests.shared.test_sealing import ring


@pytest.fixture
def officer(credit_db: Database) -> Client:
    return client("credit", credit_db, "officer", BANK, "officer")


@pytest.fixture
def approver(credit_db: Database) -> Client:
    return client("credit", credit_db, "credit-approver", BANK, "approver")


def registered(officer: Client, asked: dict[str, Any]) -> dict[str, Any]:
    party: dict[str, Any] = body(officer.post("/v1/parties", asked), 201)
    return party


def faults(answer: Any) -> dict[str, str]:
    problem = body(answer, 422)
    return {error["pointer"]: error["detail"] for error in problem["errors"]}


# -- registered -------------------------------------------------------------------------------------------------------


def test_a_borrower_is_registered_and_shown_with_stars(officer: Client) -> None:
    party = registered(officer, person())
    shown = party["personal"]
    assert shown["name"] == "苗***"
    assert shown["identity_number"].count("*") == 13
    assert (shown["sex"], shown["occupation"]) == ("*", "*")
    assert STREET not in json.dumps(party, ensure_ascii=False)
    assert (party["masked"], party["verified_by"], party["yearly_cash_flow"]) == (True, "officer", "180000.00")
    assert body(officer.get(f"/v1/parties/{party['id']}")) == party
    assert body(officer.get("/v1/parties", kind="natural_person"))["items"] == [party]
    assert body(officer.get("/v1/parties", kind="collective"))["items"] == []


@pytest.mark.parametrize("prefix", ["91", "92", "93", "N1"])
def test_each_kind_of_organisation_is_registered_by_its_code(officer: Client, prefix: str) -> None:
    asked = firm(1, prefix)
    party = registered(officer, asked)
    assert party["kind"] == asked["kind"]
    assert party["personal"]["owners"][0]["share"] == "0.6000"
    assert "并不存在1号林业社" not in json.dumps(party, ensure_ascii=False)


def test_an_identity_is_registered_once_at_a_bank_and_again_at_another(credit_db: Database, officer: Client) -> None:
    party = registered(officer, person())
    problem = body(officer.post("/v1/parties", person(name="另一个名字")), 409)
    assert problem["errors"][0]["party_id"] == party["id"]
    other = client("credit", credit_db, "officer", OTHER_BANK, "officer")
    theirs = registered(other, person())
    assert theirs["obligor"] != party["obligor"], "a person is nobody's to follow from bank to bank"
    assert body(other.get(f"/v1/parties/{party['id']}"), 404)
    assert registered(other, firm())["obligor"] == registered(officer, firm())["obligor"], "a firm's code is public"


# -- refused ----------------------------------------------------------------------------------------------------------

YESTERDAY = (clock.today() - timedelta(days=1)).isoformat()
TOMORROW = (clock.today() + timedelta(days=1)).isoformat()


def wrong_digit(number: str) -> str:
    return number[:-1] + ("0" if number[-1] != "0" else "1")


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a wrong check digit": (person(identity_number=wrong_digit(resident())), "/identity_number", "check character"),
    "a birth that was never": (person(identity_number="140699197902300010"), "/identity_number", "birth date"),
    "a child": (
        person(identity_number=resident(1, f"{clock.today().year - 10}0101")),
        "/identity_number",
        "under age",
    ),
    "a credit code for a person": (person(identity_number=code()), "/identity_number", "no resident"),
    "a wrong check character": (firm(identity_number=wrong_digit(code())), "/identity_number", "check character"),
    "a letter that no code has": (firm(identity_number="93990000MA0000O1XX"), "/identity_number", "characters"),
    "another kind's code": (firm(identity_number=code("91")), "/identity_number", "begins with 91"),
    "nobody who signs": (firm(representative=None), "/representative", "must be named"),
    "a firm of nobody": (firm(1, "91", owners=[]), "/owners", "belongs to"),
    "somebody who signs under a wrong number": (
        firm(representative={"name": "某", "identity_number": wrong_digit(resident())}),
        "/representative/identity_number",
        "check character",
    ),
    "an owner under a wrong number": (
        firm(owners=[{"name": "某", "identity_number": wrong_digit(resident()), "share": "0.5"}]),
        "/owners/0/identity_number",
        "neither",
    ),
    "more than the whole": (
        firm(owners=[{"name": "某", "identity_number": resident(n), "share": "0.6"} for n in (1, 2)]),
        "/owners",
        "more than the whole",
    ),
    "an expired document": (
        person(document={"kind": "resident_id", "valid_until": YESTERDAY}, verification=None),
        "/document/valid_until",
        "expired",
    ),
    "a licence for a person": (
        person(document={"kind": "business_licence", "valid_until": None}),
        "/document/kind",
        "resident_id",
    ),
    "a sex that the number denies": (person(sex="female"), "/sex", "otherwise"),
    "no occupation": (person(occupation=None), "/occupation", "needed"),
    "a check of tomorrow": (
        person(verification={"verified_on": TOMORROW, "valid_until": TOMORROW}),
        "/verification/verified_on",
        "not come",
    ),
    "a check that holds for ever": (
        firm(verification={"verified_on": clock.today().isoformat(), "valid_until": "2099-01-01"}),
        "/verification/valid_until",
        "at most",
    ),
    "a firm of the future": (firm(established_on=TOMORROW), "/established_on", "not come"),
    "an absurd income": (
        person(finances={"yearly_income": amount(100_000_001), "yearly_costs": amount(0)}),
        "/finances/yearly_income",
        "not believed",
    ),
    "a service above the debt": (
        person(
            finances={
                "yearly_income": amount(1),
                "yearly_costs": amount(1),
                "debts": [{"balance": amount(10), "yearly_service": amount(21)}],
            }
        ),
        "/finances/debts/0/yearly_service",
        "twice the balance",
    ),
    "a negative income": (
        person(finances={"yearly_income": {"amount": "-1.00", "currency": "CNY"}, "yearly_costs": amount(0)}),
        "/finances/yearly_income/amount",
        "An amount",
    ),
    "an income that is no number": (
        person(finances={"yearly_income": {"amount": "NaN", "currency": "CNY"}, "yearly_costs": amount(0)}),
        "/finances/yearly_income/amount",
        "An amount",
    ),
    "an infinite income": (
        person(finances={"yearly_income": {"amount": "Infinity", "currency": "CNY"}, "yearly_costs": amount(0)}),
        "/finances/yearly_income/amount",
        "An amount",
    ),
    "an industry of letters": (person(industry="forest"), "/industry", "GB/T 4754"),
    "an unknown kind": (person(kind="spirit"), "/kind", "one of"),
    "half an employee": (person(employees=1.5), "/employees", "integer"),
}


def test_what_cannot_be_right_is_refused_with_its_place(officer: Client) -> None:
    for what, (asked, pointer, told) in REFUSED.items():
        answer = officer.post("/v1/parties", asked)
        found = faults(answer)
        assert told in found.get(pointer, ""), f"{what}: {found}"
        # Whatever was wrong, the problem does not repeat it.
        said = answer.get_data(as_text=True)
        assert asked["identity_number"] not in said, what
        assert NAME not in said, what


def test_numbers_that_json_does_not_have_are_refused(officer: Client) -> None:
    headers = {"Authorization": f"Bearer {officer.bearer}", "Content-Type": "application/json"}
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        sent = json.dumps(person(employees=0)).replace('"employees": 0', f'"employees": {number}')
        answer = officer.http.post("/v1/parties", data=sent, headers={**headers, "Idempotency-Key": str(uuid4())})
        assert answer.status_code in (400, 422), number


# -- changed and checked ----------------------------------------------------------------------------------------------


def test_what_is_named_changes_and_the_marks_with_it(credit_db: Database, officer: Client, approver: Client) -> None:
    party = registered(officer, person())
    path = f"/v1/parties/{party['id']}"
    changed = body(officer.post(f"{path}/changes", {"phone": "+86 138 0000 0009"}, If_Match='"v1"'))
    assert changed["version"] > 1
    body(officer.post(f"{path}/changes", {"phone": "13900000001"}, If_Match='"v1"'), 412)
    assert "/sex" in faults(officer.post(f"{path}/changes", {"sex": "female"}, If_Match=f'"v{changed["version"]}"'))
    whole = body(approver.post(f"{path}/disclosure", {"purpose": "verification"}))
    assert whole["personal"]["phone"] == "+86 138 0000 0009"
    assert whole["personal"]["name"] == NAME
    with credit_db.worker_sessions() as session:
        db.act_for(session, BANK)
        marks = session.scalars(select(PartyMark).where(PartyMark.kind == "phone")).all()
        assert [mark.mark for mark in marks] == [keys_of(settings({})).mark(BANK, "phone", "13800000009")]


def test_a_check_is_noted_with_who_made_it_and_rests_on_a_document(officer: Client, credit_db: Database) -> None:
    party = registered(officer, person(verification=None))
    assert party["verified_by"] is None
    path = f"/v1/parties/{party['id']}/verification"
    colleague = client("credit", credit_db, "officer", BANK, "colleague")
    checked = body(colleague.post(path, verification(), If_Match='"v1"'))
    assert (checked["verified_by"], checked["verified_until"]) == ("colleague", verification()["valid_until"])
    until = (clock.today() + timedelta(days=30)).isoformat()
    shorter = verification() | {"document": {"kind": "resident_id", "valid_until": until}}
    told = faults(colleague.post(path, shorter, If_Match=f'"v{checked["version"]}"'))
    assert "longer than the document" in told["/valid_until"]


# -- found and disclosed ----------------------------------------------------------------------------------------------


def test_a_borrower_is_found_by_the_number_and_the_search_is_audited(credit_db: Database, officer: Client) -> None:
    party = registered(officer, person())

    def search(who: Client, number: str) -> Any:
        return body(who.post("/v1/parties/search", {"identity_number": number}))["items"]

    assert search(officer, resident()) == [party]
    assert search(officer, resident(2)) == []
    assert search(client("credit", credit_db, "officer", OTHER_BANK, "officer"), resident()) == []
    with credit_db.worker_sessions() as session:
        db.act_for(session, BANK)
        looked = select(AuditEntry.subject).where(AuditEntry.action == "search_party").order_by(AuditEntry.number)
        assert session.scalars(looked).all() == [party["id"], "nobody"]


def test_only_who_may_reads_all_of_it_and_it_is_written_down(
    credit_db: Database, officer: Client, approver: Client
) -> None:
    party = registered(officer, person())
    path = f"/v1/parties/{party['id']}/disclosure"
    body(officer.post(path, {"purpose": "contract"}), 403)
    body(approver.post(path, {"purpose": "curiosity"}), 422)
    whole = body(approver.post(path, {"purpose": "contract"}))
    assert (whole["masked"], whole["personal"]["identity_number"]) == (False, resident())
    assert whole["personal"]["address"].startswith(STREET)
    with credit_db.worker_sessions() as session:
        db.act_for(session, BANK)
        (deed,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "disclose_party")).all()
        assert (deed.actor, deed.subject, deed.detail) == ("approver", party["id"], {"purpose": "contract"})
        assert audit.verify(session, BANK) is None


# -- kept -------------------------------------------------------------------------------------------------------------


def dump(credit_db: Database) -> str:
    """Everything that the database holds, as text: what is bytes there is read as text where it can be."""
    program = postgres_programs() / "pg_dump"
    url = credit_db.admin_url.replace("postgresql+psycopg", "postgresql")
    done = subprocess.run(
        [str(program), "--data-only", "--inserts", url], capture_output=True, text=True, timeout=60, check=True
    )
    said = done.stdout
    return said + "".join(
        bytes.fromhex(coded).decode("utf-8", "ignore") for coded in re.findall(r"\\x([0-9a-f]{16,})", said)
    )


def test_personal_data_are_found_nowhere_in_the_database_or_the_logs(
    credit_db: Database, officer: Client, approver: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    party = registered(officer, person())
    path = f"/v1/parties/{party['id']}"
    key = str(uuid4())
    for _ in range(2):
        body(officer.post("/v1/parties", firm(), Idempotency_Key=key), 201)
    body(officer.post("/v1/parties", person()), 409)
    body(officer.post("/v1/parties/search", {"identity_number": resident()}))
    body(approver.post(f"{path}/disclosure", {"purpose": "contract"}))
    body(officer.post(f"{path}/changes", {"occupation": TRADE + "二"}, If_Match='"v1"'))
    officer.post("/v1/parties", person(2, identity_number=wrong_digit(resident(2))))
    planted = [
        NAME,
        STREET,
        TRADE,
        resident(),
        resident(2)[:-1],
        person()["phone"],
        person()["account"],
        firm()["representative"]["identity_number"],
        firm()["owners"][0]["identity_number"],
        firm()["identity_number"],
        firm()["phone"],
    ]
    said = dump(credit_db)
    assert party["id"] in said, "the dump is of this database"
    assert [word for word in planted if word in said] == []
    out, err = capfd.readouterr()
    assert [word for word in planted if word in out + err] == []


def test_a_record_moved_to_another_row_or_bank_does_not_open(credit_db: Database, officer: Client) -> None:
    one, two = registered(officer, person(1)), registered(officer, person(2))
    with credit_db.worker_sessions.begin() as session:
        db.act_for(session, BANK)
        stolen = session.get_one(Party, one["id"])
        session.execute(update(Party).where(Party.id == two["id"]).values(sealed=stolen.sealed, key_id=stolen.key_id))
    with db.sessions(credit_db.app, keys=keys_of(settings({})))() as session:
        db.act_for(session, BANK)
        with pytest.raises(SealError):
            show_by_id(session, UUID(two["id"]))


def test_keys_change_in_batches_while_every_record_opens(credit_db: Database, officer: Client) -> None:
    parties = [registered(officer, person(serial)) for serial in range(1, 6)]
    old = keys_of(settings({}))
    new = ring("2026")
    both = type(old)("2026", {**new.sealing, **old.sealing}, old.marking)
    sessions = db.sessions(credit_db.worker, keys=both, actor="rekey")
    done = []
    while not done or done[-1] == 2:
        with sessions.begin() as session:
            db.act_for(session, BANK)
            done.append(rekey(session, 2))
            audit.seal(session)
    assert done == [2, 2, 1]
    only_new = type(old)("2026", new.sealing, old.marking)
    with db.sessions(credit_db.app, keys=only_new)() as session:
        db.act_for(session, BANK)
        for party in parties:
            row = session.get_one(Party, party["id"])
            assert open_personal(session, row)["name"] == NAME
            assert row.version == party["version"], "nothing that anybody sees has changed"


def test_the_database_keeps_one_institution_from_the_others_marks(credit_db: Database, officer: Client) -> None:
    registered(officer, person())
    with credit_db.sessions() as session:
        db.act_for(session, OTHER_BANK)
        assert session.execute(text("SELECT count(*) FROM party_marks")).scalar() == 0
        assert session.execute(text("SELECT count(*) FROM parties")).scalar() == 0
