"""A case underwritten by a rulebook: judged, priced, decided, with its reasons.

`underwrite` is a function of its arguments alone. The decision, its replay, the what-if and the search for a path to
yes all come through it, so that none of them can say what another would not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from services.credit.actions import collateral as pledge
from services.credit.actions import pricing, reasons, rules, scoring
from services.credit.actions.collateral import Collateral
from services.credit.actions.policy import JUDGEMENT, PRICE, Policy, policy
from services.credit.actions.pricing import Price, PriceInputs
from services.credit.actions.rules import Breach
from services.credit.actions.scoring import Facts, Judgement
from services.credit.formulas.scorecard import Card
from services.credit.scorecard_file import Scorecard
from shared.events.parts import Reason
from shared.models import Served


@dataclass(frozen=True)
class Rulebook:
    """What cases are underwritten by: the card and the coefficients of a day."""

    card: Scorecard
    judged_by: Policy
    priced_by: Policy

    def texts(self) -> dict[str, str]:
        """All of it, by SHA-256, to be kept."""
        return {
            self.card.sha256: self.card.text,
            self.judged_by.sha256: self.judged_by.text,
            self.priced_by.sha256: self.priced_by.text,
        }


def rulebook(on: date, champion: Served) -> Rulebook:
    """The rulebook in force on a day, with the card that decides."""
    return Rulebook(champion.model, policy(on, JUDGEMENT), policy(on, PRICE))


@lru_cache(maxsize=64)
def kept_card(sha256: str, text: str) -> Scorecard:
    """A card as it was kept with a decision."""
    document = json.loads(text)
    return Scorecard(card=Card.from_document(document), document=document, sha256=sha256)


@dataclass(frozen=True, slots=True)
class Legs:
    """What the legs bear, as far as they have answered."""

    #: [CNY]
    sum_insured: float = 0.0
    #: Share of a loss that each guarantor bears; None: not answered, so the share that was applied for is counted.
    guarantors: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is underwritten. Without legs it is judged and not priced."""

    facts: Facts
    assets: tuple[Collateral, ...]
    legs: Legs | None = None


@dataclass(frozen=True, slots=True)
class Underwritten:
    """What a rulebook says of a case; no price while the collateral is not valued."""

    judgement: Judgement
    price: Price | None
    price_inputs: PriceInputs | None
    outcome: str
    reasons: tuple[Reason, ...]
    breaches: tuple[Breach, ...]


def underwrite(book: Rulebook, case: Case) -> Underwritten:
    """Judge and price a case."""
    judgement = scoring.judge(book.judged_by, book.card, case.facts, case.assets)
    breaches = judgement.breaches
    if case.legs is None or judgement.value is None:
        return Underwritten(judgement, None, None, judgement.outcome, judgement.reasons, breaches)
    inputs = _price_inputs(book, case.facts, judgement, case.assets, case.legs)
    made = pricing.price(book.priced_by, inputs)
    limit = book.priced_by["maximum_rate"]
    if made.annual_rate <= limit:
        return Underwritten(judgement, made, inputs, judgement.outcome, judgement.reasons, breaches)
    # A rate above what the bank offers turns an approval into a question for a person.
    why = reasons.rate_too_high(made.annual_rate, limit)
    told = (why, *judgement.reasons)[: book.judged_by["most_reasons"]]
    outcome = "refer" if judgement.outcome == "approve" else judgement.outcome
    return Underwritten(judgement, made, inputs, outcome, told, (*breaches, Breach("rate-cap", why)))


def _price_inputs(
    book: Rulebook, facts: Facts, judgement: Judgement, assets: Sequence[Collateral], legs: Legs
) -> PriceInputs:
    return PriceInputs(
        amount=facts.amount,
        term_months=facts.term_months,
        default_probability=judgement.default_probability,
        default_probability_without_fire=judgement.default_probability_without_fire,
        default_probability_given_fire=judgement.default_probability_given_fire,
        fire_probability=judgement.fire_probability,
        carbon_value=sum(pledge.present_values(assets, book.priced_by["recovery_quantile"])),
        sum_insured=legs.sum_insured,
        guarantors={"primary": facts.guaranteed_share} if legs.guarantors is None else dict(legs.guarantors),
        counted_value=pledge.value(book.judged_by, assets, book.judged_by["margin_quantile"]),
        spot_price=max(asset.spot_price for asset in assets),
    )


def rules_applied(book: Rulebook, found: Underwritten) -> list[dict[str, Any]]:
    """Every rule of the decision: what it said, and which coefficients of which day it was applied with."""
    unknown = (*found.judgement.unknown, *(("rate-cap",) if found.price is None else ()))
    return rules.applied((book.judged_by, book.priced_by), found.breaches, unknown, found.judgement.band)


# -- as data ----------------------------------------------------------------------------------------------------------


def case_as_json(case: Case) -> dict[str, Any]:
    """A case, to store."""
    made = scoring.inputs_as_json(case.facts, case.assets)
    return made | {"legs": None if case.legs is None else asdict(case.legs)}


def case_from_json(data: Mapping[str, Any]) -> Case:
    """A stored case, to underwrite again."""
    facts, assets = scoring.inputs_from_json(data)
    return Case(facts, tuple(assets), None if data["legs"] is None else Legs(**data["legs"]))


def as_json(book: Rulebook, found: Underwritten) -> dict[str, Any]:
    """What was decided, to store."""
    return {
        "outcome": found.outcome,
        "reasons": reasons.as_json(found.reasons),
        "judgement": scoring.as_json(found.judgement),
        "price": None if found.price is None else pricing.as_json(found.price),
        "rules": rules_applied(book, found),
    }
