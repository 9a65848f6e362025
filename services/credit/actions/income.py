"""The carbon's own cash: what the pledged forests are expected to issue, date by date, at today's spot price."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.credit.actions import collateral as pledge
from services.credit.actions.dates import months_after
from services.credit.formulas.income import issuance_income
from services.credit.tables import Loan, valuations_of
from shared import clock, money
from shared.db import found


def carbon_income(session: Session, loan: Loan) -> list[dict[str, Any]]:
    """Income of the pledged part of each issuance to come, by date; a forest that was never valued brings none.

    At the spot price of the valuation: our copies name the price curve and do not carry it.
    """
    today = clock.today()
    known = valuations_of(session, [asset.asset_id for asset in loan.assets])
    matures = loan.matures_on or months_after(loan.disbursed_on or today, loan.term_months)
    issuances = []
    for asset in loan.assets:
        valuation = known.get(asset.asset_id)
        if valuation is None:
            continue
        share = pledge.share(pledge.collateral(asset.asset_id, asset.tonnes, valuation))
        for removal in valuation.removals:
            on = date.fromisoformat(removal["verified_on"])
            if on < today:
                continue
            price = float(valuation.spot_price)
            expected, low = (max(0.0, float(removal[name])) for name in ("mean", "p10"))
            issuances.append(
                {
                    "asset_id": asset.asset_id,
                    "on": on,
                    "tonnes": Decimal(f"{expected * share:.3f}"),
                    "price": valuation.spot_price,
                    "income": money.yuan(issuance_income(expected, share, price)),
                    "low_income": money.yuan(issuance_income(low, share, price)),
                    "within_term": on <= matures,
                }
            )
    issuances.sort(key=lambda one: (one["on"], str(one["asset_id"])))
    return issuances


def show(session: Session, loan_id: UUID) -> dict[str, Any]:
    """The income schedule of a loan, and what of it comes before the loan matures."""
    issuances = carbon_income(session, found(session, Loan, loan_id))
    within = [one for one in issuances if one["within_term"]]
    return {
        "items": issuances,
        "income_within_term": sum((one["income"] for one in within), Decimal("0.00")),
        "low_income_within_term": sum((one["low_income"] for one in within), Decimal("0.00")),
    }
