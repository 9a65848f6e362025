"""Events of one loan and one forest, as sink and credit would tell them."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.insurance.tables import Capacity, Cover, Policy
from shared import clock, db
from shared.events.credit import (
    LegsRequested,
    LoanAccepted,
    LoanClosed,
    LoanDeclined,
    LoanDisbursed,
    LoanRepaid,
    LoanWithdrawn,
)
from shared.events.insurance import CoverQuoted
from shared.events.parts import PledgedAsset
from shared.events.sink import (
    CarbonAssetValued,
    PresentValue,
    ReversalReported,
    SpeciesShare,
    Units,
    VarianceShares,
)
from shared.ids import uuid7
from tests.conftest import Database
from tests.harness import BANK, GUARANTOR, INSURER, deliver, published

LEGS = {"bank": BANK, "insurer": INSURER, "guarantor": GUARANTOR}
HAZARDS = {
    "fire": Decimal("0.4"),
    "pest": Decimal("0.3"),
    "drought": Decimal("0.5"),
    "frost_snow": Decimal("0.5"),
    "wind": Decimal("0.2"),
    "flood": Decimal("0.1"),
}


def present_value(median: str | int) -> PresentValue:
    """A present value around a median."""
    at = Decimal(median)
    return PresentValue(
        mean=at, p05=at * Decimal("0.6"), p10=at * Decimal("0.7"), p50=at, p90=at * Decimal("1.3"), p95=at * 2
    )


def valued(asset: UUID, version: int = 1, median: str | int = 1_000_000, **more: Any) -> CarbonAssetValued:
    """A valuation of a forest."""
    fifth, zero = Decimal("0.2"), Decimal(0)
    event = CarbonAssetValued(
        asset_id=asset,
        valuation_id=uuid7(),
        version=version,
        as_of=clock.today(),
        valid_until=clock.today() + timedelta(days=180),
        methodology="example",
        inputs_hash="0" * 64,
        parameters_hash="0" * 64,
        engine_version="1",
        seed=1,
        county="youyu",
        area_ha=Decimal(100),
        species=(SpeciesShare(species="larix_principis", share=Decimal(1)),),
        longitude=Decimal("112.4"),
        latitude=Decimal("39.9"),
        title_until=date(2070, 1, 1),
        crediting_until=date(2060, 1, 1),
        hazards=HAZARDS,
        removals=(),
        price_curve="example",
        spot_price=Decimal(80),
        present_value=present_value(median),
        variance_shares=VarianceShares(growth=fifth, sampling=fifth, model=fifth, reversal=fifth, price=fifth),
        uncertainty_deduction=zero,
        buffer=zero,
        liquidity_haircut=zero,
        units=Units(free=Decimal(10000), pledged=zero, retired=zero),
        unverified_parameters=(),
    )
    return replace(event, **more)


def pledge(asset: UUID, value: str | int = 500_000, version: int = 1, county: str = "youyu") -> PledgedAsset:
    """A pledge of part of a forest."""
    return PledgedAsset(
        asset_id=asset, valuation_version=version, county=county, tonnes=Decimal(5000), value=Decimal(value)
    )


def asked(loan: UUID, *pledges: PledgedAsset, **more: Any) -> LegsRequested:
    """Credit asks for cover."""
    event = LegsRequested(
        loan_id=loan,
        **LEGS,
        obligor="farm-1",
        amount=Decimal(300_000),
        term_months=24,
        default_probability=Decimal("0.02"),
        loss_given_default=Decimal("0.4"),
        small_or_farmer=True,
        scheme="4321",
        county="youyu",
        pledges=pledges,
        answer_by=clock.now() + timedelta(hours=1),
    )
    return replace(event, **more)


def accepted(loan: UUID, cover: UUID, *pledges: PledgedAsset, **more: Any) -> LoanAccepted:
    """The borrower accepts."""
    event = LoanAccepted(
        loan_id=loan,
        **LEGS,
        amount=Decimal(300_000),
        term_months=24,
        cover_id=cover,
        guarantee_id=uuid7(),
        pledges=pledges,
        bind_by=clock.now() + timedelta(hours=1),
    )
    return replace(event, **more)


def declined(loan: UUID) -> LoanDeclined:
    """No loan."""
    return LoanDeclined(loan_id=loan, **LEGS, blocked_by="guarantee", reasons=())


def withdrawn(loan: UUID) -> LoanWithdrawn:
    """The borrower steps back."""
    return LoanWithdrawn(loan_id=loan, **LEGS, reason="changed plans")


def disbursed(loan: UUID, amount: int = 300_000) -> LoanDisbursed:
    """Money flows."""
    return LoanDisbursed(
        loan_id=loan,
        **LEGS,
        amount=Decimal(amount),
        disbursed_on=clock.today(),
        matures_on=clock.today() + timedelta(days=730),
    )


def repaid(loan: UUID, principal: str | int, balance: str | int, source: Any = "borrower") -> LoanRepaid:
    """Money comes back."""
    return LoanRepaid(
        loan_id=loan,
        **LEGS,
        repayment_id=uuid7(),
        source=source,
        amount=Decimal(principal),
        principal=Decimal(principal),
        interest=Decimal(0),
        balance=Decimal(balance),
    )


def closed(loan: UUID) -> LoanClosed:
    """The loan is over."""
    return LoanClosed(loan_id=loan, **LEGS, outcome="repaid", written_off=Decimal(0))


def reversal(asset: UUID, before: str | int = 1_000_000, after: str | int = 600_000, **more: Any) -> ReversalReported:
    """A fire takes two fifths of a forest's carbon."""
    event = ReversalReported(
        asset_id=asset,
        reversal_id=uuid7(),
        peril="fire",
        occurred_on=clock.today(),
        county="youyu",
        severity=Decimal("0.4"),
        damaged_ha=Decimal(40),
        event_area_ha=Decimal(60),
        live_carbon_lost=Decimal(4000),
        carbon_emitted=Decimal(3000),
        value_before=present_value(before),
        value_after=present_value(after),
    )
    return replace(event, **more)


# -- what happened ----------------------------------------------------------------------------------------------------


def quoted(database: Database, asset: UUID, loan: UUID, **more: Any) -> UUID:
    """Bring one forest and one loan to a quote; the cover's id."""
    deliver("insurance", database, valued(asset))
    deliver("insurance", database, asked(loan, pledge(asset), **more))
    return next(event.cover_id for event in published(database, CoverQuoted) if event.loan_id == loan)


def bound(database: Database, asset: UUID, loan: UUID, *after: Any) -> UUID:
    """Bring one forest and one loan to a policy in force, then tell what happened to the loan; the policy's id."""
    cover = quoted(database, asset, loan)
    deliver("insurance", database, accepted(loan, cover, pledge(asset)), *after, first=2)
    return row(database, Policy, cover_id=cover).id


def rows(database: Database, table: Any, institution: str = INSURER, **where: Any) -> list[Any]:
    """Rows of an institution, oldest first."""
    with database.sessions() as session:
        db.act_for(session, institution)
        key = Capacity.county if table is Capacity else next(iter(table.__table__.primary_key))
        found = session.scalars(select(table).filter_by(**where).order_by(key)).all()
        for one in found:
            if table in (Cover, Policy):
                assert one.assets is not None
        return list(found)


def row(database: Database, table: Any, institution: str = INSURER, **where: Any) -> Any:
    """The one row of an institution."""
    (one,) = rows(database, table, institution, **where)
    return one


def capacity_of(database: Database, county: str) -> tuple[Decimal, Decimal]:
    """Pending and posted of a capacity."""
    one = row(database, Capacity, county=county)
    return one.pending, one.posted
