"""Changes of a policy in force: another sum after a revaluation, a longer term, a premium paid in parts.

A policy is endorsed, never rewritten: what it was stands in its endorsements.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.insurance.actions import PARAMETERS, aggregates, capacity, exposures, models, policies, pricing, reasons
from services.insurance.formulas.fen import whole_fen
from services.insurance.formulas.subsidy import endorsement_premium, largest_remainder
from services.insurance.tables import (
    Claim,
    Cover,
    Endorsement,
    Instalment,
    Policy,
    PolicyAsset,
    latest_surveys,
    latest_valuations,
    lock_assets,
    sum_insured_elsewhere,
)
from shared import audit, clock, money, outbox, timers
from shared.db import locked
from shared.errors import ConflictError, InvalidError, NotFoundError, StateError
from shared.events.insurance import PolicyEndorsed, PolicyReinstated
from shared.events.parts import Reason
from shared.ids import uuid7


def endorse_policy(session: Session, policy_id: UUID, sums: Mapping[UUID, Decimal], maker: str) -> Policy:
    """Insure forests for other sums from today on, at the policy's rate; the year's rest is paid or given back."""
    policy = _in_force(session, policy_id)
    assets = {asset.asset_id: asset for asset in policy.assets}
    strange = sorted(str(asset_id) for asset_id in sums if asset_id not in assets)
    if strange:
        raise InvalidError(f"the policy does not insure {', '.join(strange)}")
    p = PARAMETERS.at(clock.today())
    steps = pricing.Steps()
    _demand_room(session, policy, {assets[asset_id]: wanted for asset_id, wanted in sums.items()}, p, steps)
    before, rate = policy.sum_insured, float(policy.annual_premium / policy.sum_insured)
    for asset_id, wanted in sums.items():
        assets[asset_id].sum_insured = wanted
    total = sum((asset.sum_insured for asset in policy.assets), Decimal(0))
    premium = money.from_fen(whole_fen(rate * money.fen(total)))
    policy.sum_insured = total
    due = _due(policy, rate, total - before, steps)
    _endorse(session, policy, "revaluation", before, premium, due, steps, maker)
    return policy


def renew_policy(session: Session, policy_id: UUID, months: int, maker: str) -> Policy:
    """Let a policy in force last longer, priced anew on today's valuations and what was claimed."""
    policy = _in_force(session, policy_id)
    if policy.breached_at is not None:
        raise StateError("the owner broke the policy; it is not renewed")
    p = PARAMETERS.at(clock.today())
    steps = pricing.Steps()
    lock_assets(session, (asset.asset_id for asset in policy.assets))
    valuations = latest_valuations(session, (asset.asset_id for asset in policy.assets))
    expiry = policies.months_later(policy.expiry, months)
    surveys = latest_surveys(session, (asset.asset_id for asset in policy.assets))
    sites = [
        exposures.valued_site(valuations[one.asset_id], one.sum_insured, p, surveys.get(one.asset_id))
        for one in policy.assets
    ]
    refusals = exposures.against(sites, expiry, p)
    if refusals:
        raise ConflictError(said(refusals))
    years = min(max((clock.today() - policy.inception).days // 365, 0), 10)
    terms = pricing.Terms(
        deductible_share=float(policy.deductible), no_claims_years=years if policy.claimed == 0 else 0
    )
    price = pricing.price([site.insured for site in sites], p, steps, terms, models.champions(session))
    policy.expiry = policy.ends_on = expiry
    notice = timedelta(days=p["cancellation_notice_days"]["ordinary"])
    timers.put(session, "policy_notice", policy.id, policies.start_of(expiry - notice))
    # From today on the new premium holds, so what is left of the year costs the difference.
    due = _due(policy, 1.0, price.annual_premium - policy.annual_premium, steps)
    policy.owner_premium = price.owner_premium
    policy.premium_split = price.shown["split"]
    _endorse(session, policy, "renewal", policy.sum_insured, price.annual_premium, due, steps, maker)
    return policy


def reinstate_policy(session: Session, policy_id: UUID, asset_id: UUID, maker: str) -> Policy:
    """Insure again what settled claims took of a forest's sum, for the premium of it and of the days left."""
    policy = _in_force(session, policy_id)
    asset = next((one for one in policy.assets if one.asset_id == asset_id), None)
    if asset is None:
        raise InvalidError(f"the policy does not insure {asset_id}")
    pending = select(Claim.id).where(
        Claim.policy_id == policy.id, Claim.asset_id == asset_id, Claim.state.in_(("notified", "open"))
    )
    if asset.used == 0 or policy.breached_at is not None or session.scalar(pending.limit(1)) is not None:
        raise StateError(
            "nothing to reinstate: no claim took of the sum, one is not settled yet, or the policy is broken"
        )
    lock_assets(session, [asset_id])
    p = PARAMETERS.at(clock.today())
    site = exposures.valued_site(latest_valuations(session, [asset_id])[asset_id], asset.sum_insured, p)
    carried = sum_insured_elsewhere(session, asset_id, policy.cover_id)
    if asset.sum_insured + carried > site.limit:
        refusal = reasons.duplicate_cover(asset.county, asset.sum_insured, carried, site.limit)
        if carried == 0:
            refusal = reasons.above_value(asset.county, asset.sum_insured, site.limit, site.value)
        raise ConflictError(said([refusal]))
    steps, again = pricing.Steps(), asset.used
    due = _due(policy, float(policy.annual_premium / policy.sum_insured), again, steps)
    asset.reinstated += again
    policy.reinstated += again
    _endorse(session, policy, "reinstatement", policy.sum_insured, policy.annual_premium, due, steps, maker)
    outbox.put(
        session,
        PolicyReinstated(
            loan_id=policy.loan_id,
            bank=policy.bank,
            insurer=policy.institution,
            policy_id=policy.id,
            asset_id=asset_id,
            reinstated=again,
            premium=due,
        ),
    )
    return policy


def _due(policy: Policy, rate: float, change: Decimal, steps: pricing.Steps) -> Decimal:
    """What a change costs for the days left of the policy year; below 0 it is given back. [CNY]"""
    start, end = policies.year_of(policy, clock.today())
    days, left = (end - start).days, max((min(end, policy.expiry) - clock.today()).days, 0)
    amount = endorsement_premium(rate, money.fen(change), days, left)
    due = money.from_fen(whole_fen(amount) if amount >= 0 else -whole_fen(-amount))
    steps.note("(I71)", "endorsement_premium", due, rate=rate, change=change, days=days, days_left=left)
    return due


def said(refusals: list[Reason]) -> str:
    """Reasons in both languages, for a refusal over HTTP."""
    return " ".join(f"{one.zh} {one.en}" for one in refusals)


def _in_force(session: Session, policy_id: UUID) -> Policy:
    policy = locked(session, Policy, policy_id)
    if policy.state != "in_force":
        raise StateError(f"the policy is {policy.state}; only one in force can be changed")
    return policy


def _demand_room(
    session: Session, policy: Policy, sums: Mapping[PolicyAsset, Decimal], p: Any, steps: pricing.Steps
) -> None:
    """Refuse sums that the forests, other covers or the insurer's capacity have no room for; take the capacity."""
    lock_assets(session, (asset.asset_id for asset in sums))
    valuations = latest_valuations(session, (asset.asset_id for asset in policy.assets))
    refusals, by_county = [], dict[str, Decimal]()
    for asset, wanted in sums.items():
        valuation = valuations[asset.asset_id]
        site = exposures.valued_site(valuation, wanted, p)
        carried = sum_insured_elsewhere(session, asset.asset_id, policy.cover_id)
        if valuation.valid_until < clock.today():
            refusals.append(reasons.valuation_expired(asset.county, valuation.valid_until))
        if wanted > site.limit:
            refusals.append(reasons.above_value(asset.county, wanted, site.limit, site.value))
        elif carried + wanted > site.limit:
            refusals.append(reasons.duplicate_cover(asset.county, wanted, carried, site.limit))
        if wanted < asset.used:
            raise ConflictError(f"{asset.used} CNY was claimed on {asset.asset_id}; its sum cannot be less")
        asset.insured_value = site.value
        by_county[asset.county] = by_county.get(asset.county, Decimal(0)) + wanted - asset.sum_insured
        steps.note("(I2)", "sum_insured_limit", site.limit, of=str(asset.asset_id), insurable_value=site.value,
                   valuation_version=valuation.version, wanted=wanted)  # fmt: skip
    joining = [
        aggregates.Forest(
            one.asset_id, sums.get(one, one.sum_insured), policy.bank,
            session.get_one(Cover, policy.cover_id).guarantor or "", aggregates.place_of(valuations.get(one.asset_id)),
        )
        for one in policy.assets
    ]  # fmt: skip
    if sum(one.sum_insured for one in joining) > policy.sum_insured:
        refusals += aggregates.against(session, joining, leaving=policy.id)
    refusals = refusals or capacity.change(session, policy.cover_id, by_county)
    if refusals:
        raise ConflictError(said(refusals))


def _endorse(
    session: Session, policy: Policy, kind: Literal["revaluation", "renewal", "reinstatement"], before: Decimal,
    premium: Decimal, change: Decimal, steps: pricing.Steps, maker: str,
) -> None:  # fmt: skip
    """Enter a change beside the others, set the premium and tell the bank."""
    made = list(session.scalars(select(Endorsement).where(Endorsement.policy_id == policy.id)))
    parts = _parts(policy, abs(change))
    one = Endorsement(
        id=uuid7(),
        institution=policy.institution,
        policy_id=policy.id,
        number=len(made) + 1,
        kind=kind,
        effective_on=clock.today(),
        expiry=policy.expiry,
        sum_insured_before=before,
        sum_insured=policy.sum_insured,
        annual_premium_before=policy.annual_premium,
        annual_premium=premium,
        premium_change=change,
        split={payer: str(part if change >= 0 else -part) for payer, part in parts.items()},
        explanation=steps.rows,
        made_by=maker,
        made_at=clock.now(),
    )
    session.add(one)
    if kind == "revaluation":
        split = _parts(policy, premium)
        policy.premium_split = {payer: str(part) for payer, part in split.items()}
        policy.owner_premium = split.get("owner", policies.NOTHING)
    policy.annual_premium = premium
    if kind != "reinstatement":
        outbox.put(
            session,
            PolicyEndorsed(
                loan_id=policy.loan_id,
                bank=policy.bank,
                insurer=policy.institution,
                policy_id=policy.id,
                number=one.number,
                kind=kind,
                effective_on=one.effective_on,
                expiry=policy.expiry,
                sum_insured=policy.sum_insured,
                annual_premium=premium,
            ),
        )
    audit.record(
        session, "endorse_policy", policy.id, kind=kind, number=one.number, sum_insured=str(policy.sum_insured),
        premium_change=str(change),
    )  # fmt: skip
    session.flush()


def _parts(policy: Policy, amount: Decimal) -> dict[str, Decimal]:
    """An amount by who pays the premium, in the same shares."""
    paid = {payer: money.fen(Decimal(part)) for payer, part in policy.premium_split.items()} or {"owner": 1}
    parts = largest_remainder(money.fen(amount), list(paid.values()))
    return {payer: money.from_fen(part) for payer, part in zip(paid, parts, strict=True)}


# -- a premium in parts -----------------------------------------------------------------------------------------------


def plan_instalments(session: Session, policy_id: UUID, count: int) -> list[Instalment]:
    """Let the premium of the policy year be paid in equal parts, evenly over the year; they sum to it to the fen."""
    policy = _in_force(session, policy_id)
    if instalments_of(session, policy.id):
        raise StateError("the premium is paid in parts already")
    start, end = policies.year_of(policy, clock.today())
    parts = largest_remainder(money.fen(policy.annual_premium), [1] * count)
    if min(parts) == 0:
        raise InvalidError("the premium is too small for so many instalments")
    rows = [
        Instalment(
            policy_id=policy.id,
            number=number,
            institution=policy.institution,
            due_on=start + timedelta(days=(end - start).days * (number - 1) // count),
            amount=money.from_fen(part),
            split={payer: str(share) for payer, share in _parts(policy, money.from_fen(part)).items()},
            paid_on=None,
        )
        for number, part in enumerate(parts, 1)
    ]
    session.add_all(rows)
    _wait_for(session, policy, rows[0])
    audit.record(session, "plan_instalments", policy.id, count=count, premium=str(policy.annual_premium))
    session.flush()
    return rows


def pay_instalment(session: Session, policy_id: UUID, number: int) -> Instalment:
    """Enter that an instalment was paid; the earliest unpaid one first."""
    policy = locked(session, Policy, policy_id)
    rows = instalments_of(session, policy.id)
    found = next((row for row in rows if row.number == number), None)
    if found is None:
        raise NotFoundError(f"the policy has no instalment {number}")
    unpaid = [row for row in rows if row.paid_on is None]
    if not unpaid or unpaid[0].number != number:
        raise StateError("the earliest unpaid instalment is paid first, and none twice")
    found.paid_on = clock.today()
    timers.cancel(session, policy.id, "policy_instalment")
    if len(unpaid) > 1 and policy.state == "in_force":
        _wait_for(session, policy, unpaid[1])
    audit.record(session, "pay_instalment", policy.id, number=number, amount=str(found.amount))
    session.flush()
    return found


def miss_instalment(session: Session, policy_id: UUID) -> None:
    """The grace of an instalment is over: the cover ends with the notice that the bank is due."""
    policy = locked(session, Policy, policy_id)
    if policy.state == "in_force" and any(row.paid_on is None for row in instalments_of(session, policy.id)):
        policies.lapse_policy(session, policy.id, "non_payment")


def instalments_of(session: Session, policy_id: UUID) -> list[Instalment]:
    """The instalments of a policy in their order."""
    query = select(Instalment).where(Instalment.policy_id == policy_id).order_by(Instalment.number)
    return list(session.scalars(query))


def endorsements_of(session: Session, policy_id: UUID) -> list[Endorsement]:
    """The changes of a policy in their order."""
    query = select(Endorsement).where(Endorsement.policy_id == policy_id).order_by(Endorsement.number)
    return list(session.scalars(query))


def _wait_for(session: Session, policy: Policy, one: Instalment) -> None:
    grace: int = PARAMETERS.at(clock.today())["premium_grace_days"]
    due: date = one.due_on + timedelta(days=grace + 1)
    timers.put(session, "policy_instalment", policy.id, policies.start_of(due))
