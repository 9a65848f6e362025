"""Parties: registered once, checked, kept under seal, shown starred, disclosed to whoever may and says why."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions.policy import PARTIES, policy
from services.credit.formulas import identity
from services.credit.tables import Party, PartyMark, party_of_identity
from shared import audit, clock
from shared.db import found, locked, table_of, tenant
from shared.errors import ConflictError, InvalidError
from shared.ids import uuid7
from shared.sealing import Place, Sealed, keys

#: What is sealed. Everything else about a party is a figure or a day that names nobody.
PERSONAL = (
    "name",
    "identity_number",
    "phone",
    "address",
    "account",
    "sex",
    "nationality",
    "occupation",
    "representative",
    "owners",
)
_PLAIN = ("industry", "employees", "established_on", "small_or_farmer", "acts_as")
_DOCUMENTS = {
    "natural_person": ("resident_id",),
    "individual_business": ("business_licence",),
    "enterprise": ("business_licence",),
    "cooperative": ("business_licence",),
    "collective": ("registration_certificate",),
}
Fault = tuple[str, str]


def register(session: Session, asked: Mapping[str, Any], officer: str) -> Party:
    """Enter a borrower; what cannot be right is refused with its place, and so is an identity that is known."""
    today = clock.today()
    personal = {name: _written(asked[name]) for name in PERSONAL}
    kind, document = asked["kind"], asked["document"]
    faults = [
        *_personal_faults(kind, personal, today),
        *_document_faults(kind, document, today),
        *_plain_faults(asked, today),
    ]
    if asked["verification"]:
        faults += _verification_faults(asked["verification"], document["valid_until"], today, "/verification")
    _refuse(faults)
    institution, party_id, now = tenant(session), uuid7(), clock.now()
    mark = keys(session).mark(institution, "identity", personal["identity_number"])
    known = party_of_identity(session, mark)
    if known is not None:
        raise ConflictError(
            f"this identity is registered already, as party {known}",
            errors=[{"pointer": "/identity_number", "detail": "Registered already.", "party_id": str(known)}],
        )
    party = Party(
        id=party_id,
        institution=institution,
        kind=kind,
        obligor=_obligor(kind, personal["identity_number"], party_id),
        document_kind=document["kind"],
        document_until=document["valid_until"],
        created_by=officer,
        created_at=now,
        updated_at=now,
        debts=[],
    )
    _put(session, party, personal, {name: asked[name] for name in _PLAIN})
    if asked["finances"]:
        _put_finances(party, asked["finances"])
    if asked["verification"]:
        _put_verification(party, asked["verification"], officer)
    session.add(party)
    audit.record(session, "register_party", party.id, kind=kind)
    return party


def change(session: Session, party_id: UUID, asked: Mapping[str, Any]) -> Party:
    """Change what is named of a borrower; the whole must be right afterwards."""
    party = locked(session, Party, party_id)
    before = open_personal(session, party)
    personal = before | {name: _written(asked[name]) for name in PERSONAL if name in asked}
    plain = {name: asked.get(name, getattr(party, name)) for name in _PLAIN}
    finances = asked.get("finances")
    today = clock.today()
    _refuse(
        [
            *_personal_faults(party.kind, personal, today),
            *_plain_faults({**plain, "kind": party.kind, "finances": finances}, today),
        ]
    )
    _put(session, party, personal, plain)
    if "finances" in asked:
        _put_finances(party, finances)
    party.updated_at = clock.now()
    audit.record(session, "change_party", party.id, fields=sorted(asked))
    return party


def verify(session: Session, party_id: UUID, asked: Mapping[str, Any], officer: str) -> Party:
    """Note that a borrower's file was checked, by whom, and how long that holds."""
    party = locked(session, Party, party_id)
    open_personal(session, party)
    today, document = clock.today(), asked["document"]
    faults = _document_faults(party.kind, document, today) if document else []
    until = document["valid_until"] if document else party.document_until
    if not document and until is not None and until < today:
        faults.append(("/document", "The document on file has expired; name the new one."))
    _refuse([*faults, *_verification_faults(asked, until, today, "")])
    if document:
        party.document_kind, party.document_until = document["kind"], until
    _put_verification(party, asked, officer)
    party.updated_at = clock.now()
    audit.record(session, "verify_party", party.id, until=asked["valid_until"].isoformat())
    return party


def search(session: Session, identity_number: str) -> list[Party]:
    """Find who has a number, by its mark; that somebody looked is written down, the number is not."""
    party_id = party_of_identity(session, keys(session).mark(tenant(session), "identity", identity_number))
    audit.record(session, "search_party", party_id or "nobody")
    return [] if party_id is None else [found(session, Party, party_id)]


def disclose(session: Session, party_id: UUID, purpose: str) -> dict[str, Any]:
    """Show a party whole, and write down who read it and why."""
    party = found(session, Party, party_id)
    audit.record(session, "disclose_party", party.id, purpose=purpose)
    return _shown(party, open_personal(session, party), masked=False)


def show(session: Session, party: Party) -> dict[str, Any]:
    """Show a party with what is personal starred."""
    personal = None if party.sealed is None else _masked(party.kind, open_personal(session, party))
    return _shown(party, personal, masked=True)


def show_by_id(session: Session, party_id: UUID) -> dict[str, Any]:
    """Show a party by its id."""
    return show(session, found(session, Party, party_id))


def open_personal(session: Session, party: Party) -> dict[str, Any]:
    """What is under a party's seal."""
    if party.sealed is None or party.key_id is None:
        raise ConflictError("this party's data were erased")
    return keys(session).open(Sealed(party.key_id, party.sealed), _place(party))


# -- writing ----------------------------------------------------------------------------------------------------------


def _place(party: Party) -> Place:
    return Place("parties", party.id, party.institution)


def _put(session: Session, party: Party, personal: dict[str, Any], plain: Mapping[str, Any]) -> None:
    sealed = keys(session).seal(personal, _place(party))
    party.sealed, party.key_id = sealed.data, sealed.key_id
    for name, value in plain.items():
        setattr(party, name, value)
    wanted = set(_marks(session, party, personal))
    kept = {(mark.kind, mark.mark) for mark in party.marks}
    party.marks = [
        *(mark for mark in party.marks if (mark.kind, mark.mark) in wanted),
        *(PartyMark(kind=kind, mark=mark, institution=party.institution) for kind, mark in sorted(wanted - kept)),
    ]


def _put_finances(party: Party, finances: Mapping[str, Any] | None) -> None:
    party.yearly_income = finances["yearly_income"] if finances else None
    party.yearly_costs = finances["yearly_costs"] if finances else None
    party.debts = finances_as_json(finances)["debts"] if finances else []


def finances_as_json(finances: Mapping[str, Any]) -> dict[str, Any]:
    """A year's money as JSON data, decimal strings."""
    return {
        "yearly_income": str(finances["yearly_income"]),
        "yearly_costs": str(finances["yearly_costs"]),
        "debts": [
            {
                "balance": str(debt["balance"]),
                "yearly_service": str(debt["yearly_service"]),
                "ends_on": debt["ends_on"].isoformat() if debt["ends_on"] else None,
            }
            for debt in finances["debts"]
        ],
    }


def _put_verification(party: Party, verification: Mapping[str, Any], officer: str) -> None:
    party.verified_on, party.verified_until = verification["verified_on"], verification["valid_until"]
    party.verified_by = officer


def _written(value: Any) -> Any:
    """A personal field as JSON keeps it: only shares of owners are no texts yet."""
    if isinstance(value, list):
        return [{**owner, "share": str(owner["share"])} for owner in value]
    return value


def _obligor(kind: str, number: str, party_id: UUID) -> str:
    """Pseudonym for the other institutions: of a public code the same at every bank, of a person this bank's own."""
    # A hash of a person's number would give the number away to whoever tries the few that are possible.
    known_as = str(party_id) if kind == "natural_person" else number
    return hashlib.sha256(known_as.encode()).hexdigest()[:32]


def _marks(session: Session, party: Party, personal: Mapping[str, Any]) -> Iterable[tuple[str, bytes]]:
    """The marks of a party. A person's number is of one namespace, whatever the person is to the party."""
    ring = keys(session)

    def mark(namespace: str, value: str) -> bytes:
        return ring.mark(party.institution, namespace, value)

    yield "identity", mark("identity", personal["identity_number"])
    if personal["representative"]:
        yield "representative", mark("identity", personal["representative"]["identity_number"])
    for owner in personal["owners"]:
        yield "owner", mark("identity", owner["identity_number"])
    if personal["account"]:
        yield "account", mark("account", personal["account"].replace(" ", ""))
    yield "phone", mark("phone", "".join(sign for sign in personal["phone"] if sign.isdigit()).removeprefix("86"))
    yield "address", mark("address", "".join(sign for sign in personal["address"] if sign.isalnum()))


# -- what cannot be right ---------------------------------------------------------------------------------------------


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise InvalidError(
            "; ".join(f"{where}: {what}" for where, what in faults[:3]),
            errors=[{"pointer": where, "detail": what} for where, what in faults],
        )


def _personal_faults(kind: str, personal: Mapping[str, Any], today: date) -> Iterable[Fault]:
    number = personal["identity_number"]
    if kind == "natural_person":
        yield from _resident_faults(personal, today)
    else:
        fault = identity.uscc_fault(number)
        if fault is not None:
            yield "/identity_number", f"This is no unified social credit code: {fault}."
        elif identity.uscc_holder(number) != kind:
            yield "/identity_number", f"A code that begins with {number[:2]} is not that of the kind {kind}."
        if personal["representative"] is None:
            yield "/representative", "Whoever signs for it must be named."
        if kind == "enterprise" and not personal["owners"]:
            yield "/owners", "Name whom the firm belongs to in the end, or who controls it."
    if personal["representative"] is not None:
        fault = identity.identity_number_fault(personal["representative"]["identity_number"], _as_number(today))
        if fault is not None:
            yield "/representative/identity_number", f"This is no resident identity number: {fault}."
    owned = 0.0
    for place, owner in enumerate(personal["owners"]):
        owned += float(owner["share"])
        if identity.uscc_fault(owner["identity_number"]) and identity.identity_number_fault(owner["identity_number"]):
            yield f"/owners/{place}/identity_number", "This is neither an identity number nor a credit code."
    if owned > 1 + 1e-9:
        yield "/owners", "The shares are more than the whole."


def _resident_faults(personal: Mapping[str, Any], today: date) -> Iterable[Fault]:
    number = personal["identity_number"]
    fault = identity.identity_number_fault(number, _as_number(today))
    if fault is not None:
        yield "/identity_number", f"This is no resident identity number: {fault}."
        return
    born = int(number[6:14])
    if _as_number(today) - born < policy(today, PARTIES)["minimum_age_years"] * 10_000:
        yield "/identity_number", "The person is under age."
    for name in ("sex", "nationality", "occupation"):
        if personal[name] is None:
            yield f"/{name}", "Is needed of a natural person."
    if personal["sex"] is not None and (int(number[16]) % 2 == 1) != (personal["sex"] == "male"):
        yield "/sex", "The identity number says otherwise."


def _document_faults(kind: str, document: Mapping[str, Any], today: date) -> list[Fault]:
    faults = []
    if document["kind"] not in _DOCUMENTS[kind]:
        faults.append(("/document/kind", f"A {kind} proves itself by {' or '.join(_DOCUMENTS[kind])}."))
    if document["valid_until"] is not None and document["valid_until"] < today:
        faults.append(("/document/valid_until", "The document has expired."))
    return faults


def _verification_faults(
    verification: Mapping[str, Any], document_until: date | None, today: date, where: str
) -> list[Fault]:
    on, until = verification["verified_on"], verification["valid_until"]
    longest = timedelta(days=policy(today, PARTIES)["verification_maximum_days"])
    faults = []
    if on > today:
        faults.append((f"{where}/verified_on", "This day has not come yet."))
    if until < today:
        faults.append((f"{where}/valid_until", "This day has passed."))
    if until > on + longest:
        faults.append((f"{where}/valid_until", f"A check holds for {longest.days} days at most."))
    if document_until is not None and until > document_until:
        faults.append((f"{where}/valid_until", "A check cannot hold longer than the document it rests on."))
    return faults


def _plain_faults(asked: Mapping[str, Any], today: date) -> Iterable[Fault]:
    if asked["established_on"] is not None and asked["established_on"] > today:
        yield "/established_on", "This day has not come yet."
    if asked["finances"]:
        yield from finance_faults(asked["kind"], asked["finances"], today)


def finance_faults(kind: str, finances: Mapping[str, Any], today: date, where: str = "/finances") -> Iterable[Fault]:
    """What cannot be right about a year's money: a figure too many by its zeros, most often."""
    limits = policy(today, PARTIES)
    most = limits["absurd_yearly_amount"]["natural_person" if kind == "natural_person" else "organisation"]
    for name in ("yearly_income", "yearly_costs"):
        if finances[name] > most:
            yield f"{where}/{name}", f"More than CNY {most:,} a year is not believed; is it in yuan?"
    for place, debt in enumerate(finances["debts"]):
        if debt["balance"] > most * 10:
            yield f"{where}/debts/{place}/balance", f"More than CNY {most * 10:,} is not believed; is it in yuan?"
        if debt["yearly_service"] > debt["balance"] * 2:
            yield f"{where}/debts/{place}/yearly_service", "More than twice the balance in a year is not believed."
        if debt["ends_on"] is not None and debt["ends_on"] < today and debt["balance"] > 0:
            yield f"{where}/debts/{place}/ends_on", "It has ended, and yet there is a balance."


def _as_number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


# -- showing ----------------------------------------------------------------------------------------------------------


def _shown(party: Party, personal: dict[str, Any] | None, *, masked: bool) -> dict[str, Any]:
    columns = {column.key: getattr(party, column.key) for column in table_of(Party).columns}
    debts = [
        {
            "balance": Decimal(debt["balance"]),
            "yearly_service": Decimal(debt["yearly_service"]),
            "ends_on": date.fromisoformat(debt["ends_on"]) if debt["ends_on"] else None,
        }
        for debt in party.debts
    ]
    if personal is not None:
        owners = [{**owner, "share": Decimal(owner["share"])} for owner in personal["owners"]]
        personal = {**personal, "owners": owners}
    return {
        **columns,
        "personal": personal,
        "masked": masked,
        "debts": debts,
        "yearly_cash_flow": party.yearly_cash_flow,
    }


def _masked(kind: str, personal: Mapping[str, Any]) -> dict[str, Any]:
    def person(one: Mapping[str, Any]) -> dict[str, Any]:
        starred = {"name": _starred(one["name"], 1), "identity_number": identity.masked_number(one["identity_number"])}
        return {**one, **starred}

    account = personal["account"]
    return {
        "name": _starred(personal["name"], 1 if kind == "natural_person" else 2),
        "identity_number": identity.masked_number(personal["identity_number"]),
        "phone": identity.masked_number(personal["phone"]),
        "address": _starred(personal["address"], 3),
        "account": None if account is None else identity.masked_number(account),
        **{name: None if personal[name] is None else "*" for name in ("sex", "nationality", "occupation")},
        "representative": person(personal["representative"]) if personal["representative"] else None,
        "owners": [person(owner) for owner in personal["owners"]],
    }


def _starred(text: str, shown: int) -> str:
    """The first characters, never all of them, and stars that do not tell how long the rest is."""
    return text[: min(shown, len(text) - 1)] + "***"
