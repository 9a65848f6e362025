"""Collateral of a loan that is paid out: more of it against a shortfall, less of it when it is no longer needed.

The register has the last word on both. Tonnes asked for count once their lien is entered; tonnes let go of count no
more from the moment they are.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions import reasons, watching
from services.credit.actions.decisions import current_collateral
from services.credit.actions.endings import parties
from services.credit.actions.policy import COVENANTS, JUDGEMENT, TERMS, policy
from services.credit.actions.servicing import CollateralError, ValuationMissingError
from services.credit.actions.states import LIVE, demand, note
from services.credit.formulas import loan_to_value as ltv
from services.credit.tables import Loan, LoanAsset, valuations_of
from shared import clock, outbox, watchers
from shared.db import locked
from shared.errors import InvalidError
from shared.events.credit import PledgeReductionOrdered, TopUpOrdered
from shared.events.parts import PledgedAsset


def top_up(session: Session, loan_id: UUID, asset_id: UUID, tonnes: Decimal) -> Loan:
    """Ask the register to pledge a further forest for a live loan; once placed it counts, and may cure a call."""
    loan = locked(session, Loan, loan_id)
    demand(loan, *LIVE)
    if any(asset.asset_id == asset_id and asset.pledge_state != "released" for asset in loan.assets):
        raise InvalidError(
            "this forest is pledged for the loan already, or asked for; pledge another one",
            errors=[{"pointer": "/asset_id", "detail": "Already among the loan's forests."}],
        )
    today, rules = clock.today(), policy(clock.today(), JUDGEMENT)
    valuation = valuations_of(session, [asset_id]).get(asset_id)
    further = pledge.collateral(asset_id, tonnes, valuation)
    found = pledge.fault(rules, further, today)
    if found is not None or valuation is None:
        why = found or reasons.valuation_missing(str(asset_id))
        raise ValuationMissingError(why.en, errors=[{"pointer": "/asset_id", **reasons.as_json([why])[0]}])
    if pledge.asset_class(rules, further) is None:
        unknown = reasons.asset_class_unknown(str(asset_id), further.methodology)
        raise CollateralError(unknown.en, errors=[{"pointer": "/asset_id", **reasons.as_json([unknown])[0]}])
    row = next((asset for asset in loan.assets if asset.asset_id == asset_id), None)
    if row is None:
        row = LoanAsset(loan_id=loan.id, asset_id=asset_id, institution=loan.institution)
        loan.assets.append(row)
    row.tonnes, row.county, row.pledge_state, row.pledge_id = tonnes, valuation.county, "none", None
    row.valuation_id, row.valuation_version = valuation.valuation_id, valuation.version
    row.value = pledge.counted_value(rules, further)
    watchers.watch(session, asset_id)
    note(session, loan, "top_up_ordered", asset=str(asset_id), tonnes=str(tonnes))
    assert loan.matures_on is not None
    outbox.put(
        session,
        TopUpOrdered(
            **parties(loan),
            term_months=_months_left(loan),
            pledges=(
                PledgedAsset(
                    asset_id=asset_id,
                    valuation_version=valuation.version,
                    county=valuation.county,
                    tonnes=tonnes,
                    value=row.value,
                ),
            ),
            place_by=clock.now() + timedelta(hours=policy(today, TERMS)["binding_deadline_hours"]),
        ),
    )
    return loan


def release(session: Session, loan_id: UUID, asset_id: UUID, tonnes: Decimal) -> Loan:
    """Let go of a part of a lien of a performing loan, if what is left carries it at the caps a new loan must keep."""
    loan = locked(session, Loan, loan_id)
    demand(loan, "performing")
    row = next((one for one in loan.assets if one.asset_id == asset_id and one.pledge_state == "placed"), None)
    if row is None:
        raise InvalidError(
            "no lien on this forest stands for the loan",
            errors=[{"pointer": "/asset_id", "detail": "Not among the loan's placed pledges."}],
        )
    if tonnes >= row.tonnes:
        raise InvalidError(
            f"{row.tonnes} t are pledged; a part of them can be released, all of them by repaying the loan",
            errors=[{"pointer": "/tonnes", "detail": f"Less than {row.tonnes}."}],
        )
    rules, today = policy(clock.today(), COVENANTS), clock.today()
    assets = current_collateral(session, loan, hold=True, pledged=True)
    faults = pledge.faults(rules, assets, today)
    if faults:
        raise ValuationMissingError(faults[0].en, errors=[{"pointer": "", **one} for one in reasons.as_json(faults)])
    if loan.covenant_reasons:
        raise CollateralError("a covenant is broken; nothing is released until it is mended")
    left = [replace(one, tonnes=float(row.tonnes - tonnes)) if one.asset_id == str(asset_id) else one for one in assets]
    for quantile, cap in rules["maximum_loan_to_value"].items():
        ratio = ltv.loan_to_value(float(loan.balance), pledge.value(rules, left, quantile))
        if ratio > cap:
            raise CollateralError(
                f"after the release the loan to value at {quantile} would be {ratio:.1%}, above the {cap:.0%} that a"
                f" new loan must keep; 解除后按 {quantile} 的贷款价值比为 {ratio:.1%},高于初始上限 {cap:.0%}"
            )
    row.tonnes -= tonnes
    note(session, loan, "release_ordered", asset=str(asset_id), tonnes=str(tonnes), left=str(row.tonnes))
    outbox.put(
        session,
        PledgeReductionOrdered(**parties(loan), asset_id=asset_id, tonnes=tonnes, reason="no longer needed"),
    )
    watching.retest(session, loan, "pledge")
    return loan


def _months_left(loan: Loan) -> int:
    """Whole months until the loan matures, rounded up: the lien must outlast it."""
    assert loan.matures_on is not None
    today = clock.today()
    months = (loan.matures_on.year - today.year) * 12 + loan.matures_on.month - today.month
    return max(1, months + (loan.matures_on.day > today.day))
