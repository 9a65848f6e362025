"""What is found in the file of an application besides what the card and the policy say: the borrower, its circle, the
forests. What cannot be right is refused with its place; the rest sends the application to a person, with its reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.credit.actions import file_reasons as reasons
from services.credit.actions import groups
from services.credit.actions.reasons import as_json as reasons_as_json
from services.credit.actions.states import BEFORE_MONEY, IN_DEFAULT
from services.credit.tables import (
    Loan,
    LoanAsset,
    Party,
    Valuation,
    live_loans_of,
    parties_acting_as,
    sharing,
    valuations_of,
)
from shared import clock
from shared.errors import InvalidError
from shared.events.parts import Reason


@dataclass(frozen=True)
class Finding:
    """Something that a person must look at."""

    reason: Reason
    #: No person may pass over it while it stands.
    stands: bool = False


def refuse(session: Session, party: Party | None, asked: dict[str, Any]) -> None:
    """Refuse an application that cannot be right, with the place of each fault; its borrower only if registered."""
    faults = list(_asset_faults(session, asked))
    if party is not None:
        faults = [*_borrower_faults(session, party, asked), *faults]
    if faults:
        raise InvalidError(
            "; ".join(f"{where}: {why.en}" for where, why in faults[:3]),
            errors=[{"pointer": where, "detail": why.en, "code": why.code, "zh": why.zh} for where, why in faults],
        )


def find(session: Session, loan: Loan, party: Party) -> list[Finding]:
    """Everything that is found in an application as things stand now, what stands in the way first."""
    found = [
        *_verification(party),
        *_forests(session, loan),
        *_circle(session, loan, party),
    ]
    return sorted(found, key=lambda finding: not finding.stands)


def as_json(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON data."""
    told = reasons_as_json([one.reason for one in found])
    return [{**data, "stands": one.stands} for data, one in zip(told, found, strict=True)]


# -- refused ----------------------------------------------------------------------------------------------------------


def _borrower_faults(session: Session, party: Party, asked: dict[str, Any]) -> Iterable[tuple[str, Reason]]:
    today = clock.today()
    if party.sealed is None:
        yield "/borrower_id", reasons.party_erased()
    if party.document_until is not None and party.document_until < today:
        yield "/borrower_id", reasons.document_expired(party.document_until)
    marks = {mark.mark for mark in party.marks if mark.kind in ("identity", "owner", "representative")}
    for leg in parties_acting_as(session, [asked["insurer"], asked["guarantor"]]):
        own = {mark.mark for mark in leg.marks if mark.kind == "identity"}
        if leg.id == party.id or own & marks:
            place = "guarantor" if leg.acts_as == asked["guarantor"] else "insurer"
            yield f"/{place}", reasons.borrower_is_leg(place, str(leg.acts_as))


def _asset_faults(session: Session, asked: dict[str, Any]) -> Iterable[tuple[str, Reason]]:
    seen_of = {asset["asset_id"]: asset["valuation_version"] for asset in asked["assets"] if asset["valuation_version"]}
    known = valuations_of(session, list(seen_of)) if seen_of else {}
    for place, asset in enumerate(asked["assets"]):
        seen, valuation = seen_of.get(asset["asset_id"]), known.get(asset["asset_id"])
        if seen is not None and valuation is not None and seen != valuation.version:
            why = reasons.valuation_superseded(str(asset["asset_id"]), seen, valuation.version)
            yield f"/assets/{place}/valuation_version", why


# -- found ------------------------------------------------------------------------------------------------------------


def identity_faults(party: Party) -> Iterable[Reason]:
    """Why nobody may say today who the borrower is: neither an application goes on nor money out while one stands."""
    today = clock.today()
    if party.sealed is None:
        yield reasons.party_erased()
    if party.document_until is not None and party.document_until < today:
        yield reasons.document_expired(party.document_until)
    if party.verified_until is None:
        yield reasons.verification_missing()
    elif party.verified_until < today:
        yield reasons.verification_expired(party.verified_until)


def _verification(party: Party) -> Iterable[Finding]:
    yield from (Finding(why, stands=True) for why in identity_faults(party))
    if party.yearly_income is None:
        yield Finding(reasons.finances_missing())


def _forests(session: Session, loan: Loan) -> Iterable[Finding]:
    known = valuations_of(session, [asset.asset_id for asset in loan.assets])
    for asset in loan.assets:
        valuation = known.get(asset.asset_id)
        if valuation is not None:
            yield from _forest(session, loan, asset, valuation)


def _forest(session: Session, loan: Loan, asset: LoanAsset, valuation: Valuation) -> Iterable[Finding]:
    name, forecast, pledged = str(asset.asset_id), valuation.forecast_tonnes, valuation.pledged_tonnes
    left = max(Decimal(0), forecast - pledged)
    if asset.tonnes > left and pledged > 0:
        yield Finding(reasons.pledged_elsewhere(name, pledged, forecast, left), stands=True)
    elif asset.asked_rank == 1 and pledged > 0:
        yield Finding(reasons.rank_taken(name, pledged), stands=True)
    others = session.execute(
        select(Loan.id, LoanAsset.tonnes)
        .join(LoanAsset, LoanAsset.loan_id == Loan.id)
        .where(LoanAsset.asset_id == asset.asset_id, Loan.id != loan.id, Loan.state.in_(BEFORE_MONEY))
        .order_by(Loan.id)
    ).all()
    if others:
        asked = sum((row.tonnes for row in others), Decimal(0))
        too_much = asked + asset.tonnes > left
        yield Finding(reasons.asset_in_application(name, str(others[0].id), asked), stands=too_much)


def _circle(session: Session, loan: Loan, party: Party) -> Iterable[Finding]:
    for other in live_loans_of(session, [party.id], BEFORE_MONEY, loan.id)[:1]:
        yield Finding(reasons.application_open(str(other.id)))
    group = groups.members(session, party.id)
    for other in live_loans_of(session, group, IN_DEFAULT, loan.id)[:1]:
        yield Finding(reasons.group_in_default(str(other.id)))
    shared: dict[str, list[str]] = {}
    for whom, kind in sharing(session, party.id):
        shared.setdefault(str(whom), []).append(kind)
    for related, kinds in list(shared.items())[:3]:
        yield Finding(reasons.related_party(related, kinds))
    for leg in parties_acting_as(session, [loan.insurer, loan.guarantor]):
        if leg.id in group:
            yield Finding(reasons.leg_related(str(leg.acts_as)))
