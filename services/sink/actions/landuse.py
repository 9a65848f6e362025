"""Forest land taken by a project: the loss, units of equal value, and the fee between the state and the owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.actions.kilograms import tonnes_of, tonnes_up
from services.sink.actions.parameters import PARAMETERS
from services.sink.actions.prices import market
from services.sink.actions.refusals import invalid
from services.sink.actions.settlement import Settled, settle
from services.sink.actions.stands import Stand, check_species, growth_t_ha, part_of, stocks
from services.sink.actions.valuations import own_asset
from services.sink.formulas.ecosystem import ecosystem_carbon_value, ecosystem_oxygen_value
from services.sink.formulas.landuse import ecological_loss, equal_value_units, stock_value
from services.sink.tables import LandUseCompensation
from shared import audit, clock, money
from shared.db import locked, tenant
from shared.errors import ConflictError, StateError
from shared.ids import uuid7
from shared.parameters import InForce


@dataclass(frozen=True)
class LandUseFacts:
    """What the procedure says: who takes which forest land from whom. The stand is described, or is in the register."""

    procedure: str
    project: str
    payer: str
    forest_owner: str
    county: str
    area_ha: Decimal
    asset_id: UUID | None = None
    species: Sequence[Mapping[str, Any]] = ()
    planted_year: int | None = None
    survival: Decimal | None = None
    volume_m3_ha: Decimal | None = None
    crown_cover: Decimal | None = None


def assess(session: Session, facts: LandUseFacts) -> LandUseCompensation:
    """Assess what a project owes for the forest land it takes."""
    known = select(LandUseCompensation.id).where(LandUseCompensation.procedure == facts.procedure)
    if session.scalar(known):
        raise ConflictError("this procedure was assessed already", errors=[_PROCEDURE])
    stand = _stand(session, facts)
    p = PARAMETERS.at(clock.today())
    price = Decimal(market(session, tenant(session), p)[0].spot_price)
    years = int(p["land_use.service_years"])
    stock = float(stocks(stand, p, [clock.today()])[0])
    carbon, oxygen = _yearly_values(stand, p)
    loss = float(ecological_loss(stock, float(price), carbon, oxygen, p["valuation.discount_rate"], years))
    fee = max(money.FEN, money.yuan(loss))
    split = p["land_use.split"]
    state_amount, owner_amount = money.split(fee, [split["state"], split["owner"]])
    row = LandUseCompensation(
        id=uuid7(),
        institution=tenant(session),
        procedure=facts.procedure,
        project=facts.project,
        payer=facts.payer,
        forest_owner=facts.forest_owner,
        county=facts.county,
        area_ha=facts.area_ha,
        stand=stand.as_json() | {"asset_id": None if facts.asset_id is None else str(facts.asset_id)},
        stock_tonnes=tonnes_of(stock),
        stock_value=money.yuan(float(stock_value(stock, float(price)))),
        yearly_service_value=money.yuan(carbon + oxygen),
        service_years=years,
        unit_price=price,
        equal_tonnes=max(Decimal("0.001"), tonnes_up(equal_value_units(float(fee), float(price)))),
        fee=fee,
        split=dict(split),
        state_amount=state_amount,
        owner_amount=owner_amount,
        parameters_hash=p.digest,
        unverified_parameters=list(p.unverified),
        state="assessed",
        payment_reference=None,
        certificate_code=None,
        assessed_at=clock.now(),
        paid_at=None,
        discharged_at=None,
    )
    session.add(row)
    audit.record(session, "assess_land_use", row.id, fee=str(fee), equal_tonnes=str(row.equal_tonnes))
    session.flush()
    return row


def record_receipt(session: Session, land_use_id: UUID, amount: Decimal, reference: str) -> LandUseCompensation:
    """Record that the fee was paid; its two parts go to the state and to the owner of the forest."""
    row = _in_state(session, land_use_id, "assessed")
    if amount != row.fee:
        raise invalid("/amount", f"the fee is {row.fee} CNY")
    row.state, row.payment_reference, row.paid_at = "paid", reference, clock.now()
    audit.record(
        session,
        "record_land_use_receipt",
        row.id,
        reference=reference,
        state=str(row.state_amount),
        owner=str(row.owner_amount),
    )
    session.flush()
    return row


def discharge(session: Session, land_use_id: UUID) -> LandUseCompensation:
    """Retire units of equal value, all of them or none, when the land-use procedure is handled."""
    row = _in_state(session, land_use_id, "paid")
    certificate = settle(
        session,
        Settled(
            row.institution, "land_use", row.id, row.payer, row.project, row.equal_tonnes, row.unverified_parameters
        ),
    )
    row.state, row.certificate_code, row.discharged_at = "discharged", certificate.code, clock.now()
    session.flush()
    return row


def withdraw(session: Session, land_use_id: UUID, reason: str) -> LandUseCompensation:
    """Drop an assessment that nothing was paid for: the project takes no land after all."""
    row = _in_state(session, land_use_id, "assessed")
    row.state = "withdrawn"
    audit.record(session, "withdraw_land_use", row.id, reason=reason)
    session.flush()
    return row


def _stand(session: Session, facts: LandUseFacts) -> Stand:
    described = bool(facts.species) and facts.planted_year is not None and facts.survival is not None
    if described == (facts.asset_id is not None):
        raise invalid("/species", "give either the stand (species, planted_year, survival) or asset_id")
    if facts.asset_id is not None:
        asset = own_asset(session, facts.asset_id)
        if asset.kind != "forest":
            raise invalid("/asset_id", "lies outside of what this is for: forest land")
        if facts.area_ha > asset.area_ha:
            raise invalid("/area_ha", f"the area lies outside of the forest, which has {asset.area_ha} ha")
        return part_of(asset, facts.area_ha)
    check_species(facts.species)
    if facts.planted_year is None or facts.planted_year > clock.today().year:
        raise invalid("/planted_year", "lies in the future")
    return Stand(
        area_ha=facts.area_ha,
        species=facts.species,
        planted_year=facts.planted_year,
        survival=facts.survival or Decimal(0),
        measured_on=clock.today(),
        volume_m3_ha=facts.volume_m3_ha,
        crown_cover=facts.crown_cover,
    )


def _yearly_values(stand: Stand, p: InForce) -> tuple[float, float]:
    """What society would have had of the stand in a year: carbon bound, oxygen released. [CNY/yr]"""
    growth, area = growth_t_ha(stand, p, clock.today()), float(stand.area_ha)
    return (
        float(ecosystem_carbon_value(area, growth, **p["ecosystem.carbon"])),
        float(ecosystem_oxygen_value(area, growth, **p["ecosystem.oxygen"])),
    )


def _in_state(session: Session, land_use_id: UUID, state: str) -> LandUseCompensation:
    row = locked(session, LandUseCompensation, land_use_id)
    if row.state != state:
        raise StateError(f"the compensation is {row.state}")
    return row


_PROCEDURE = {"pointer": "/procedure", "detail": "assessed already"}
