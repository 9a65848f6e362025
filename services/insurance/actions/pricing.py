"""From rows to formulas and back: what a cover costs, step by step, so that any step can be checked by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.insurance.formulas import premium as price_formulas
from services.insurance.formulas.subsidy import largest_remainder
from services.insurance.formulas.sum_insured import sum_insured_limit
from services.insurance.tables import Valuation
from shared import money
from shared.events.sink import Peril
from shared.parameters import InForce

PAYERS = ("central", "province", "county", "owner")


@dataclass(frozen=True)
class Insured:
    """One forest as it enters the price."""

    asset_id: UUID
    valuation: Valuation
    sum_insured: Decimal


@dataclass
class Steps:
    """The audit of a computation: each step with its equation, inputs and result, numbers as strings."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def note(self, equation: str, name: str, result: object, *, of: str = "", **inputs: object) -> None:
        """Add one step; `of` says which forest and peril it is about."""
        row: dict[str, Any] = {"equation": equation, "name": name, "of": of}
        row["inputs"] = {key: str(value) for key, value in inputs.items()}
        self.rows.append(row | {"result": str(result)})


@dataclass(frozen=True)
class Price:
    """What a year of cover costs, and why."""

    annual_premium: Decimal
    owner_premium: Decimal
    expected_annual_loss: Decimal
    perils: list[Peril]


def insurable_value(valuation: Valuation, quantile: str) -> Decimal:
    """The part of a forest's present value that insurance looks at. [CNY]"""
    return money.yuan(Decimal(valuation.present_value[quantile]))


def sum_limit(valuation: Valuation, p: InForce) -> Decimal:
    """The most that may be insured on a forest, over all covers together. [CNY]"""
    value = money.fen(insurable_value(valuation, p["insured_value_quantile"]))
    return money.from_fen(sum_insured_limit(value, p["maximum_sum_insured_share"]))


def hazard_score(valuation: Valuation, peril: str, p: InForce) -> Decimal:
    """A site's score for a peril; a site nobody scored counts as the average one."""
    score = valuation.hazards.get(peril)
    return Decimal(str(p["hazard_reference"][peril] if score is None else score))


def price(insured: Sequence[Insured], p: InForce, steps: Steps) -> Price:
    """Price a year of cover of the forests of one loan, perils and forests taken as independent."""
    perils: list[Peril] = list(p["perils"])
    deductible = float(p["deductible_share"])
    pure_premiums, variances = [], []
    for one in insured:
        total = money.fen(one.sum_insured)
        for peril in perils:
            of = f"{one.asset_id}/{peril}"
            score = float(hazard_score(one.valuation, peril, p))
            base, reference, exponent = (p[n][peril] for n in ("base_rate", "hazard_reference", "hazard_exponent"))
            rate = price_formulas.peril_rate(base, score, reference, exponent)
            scored = peril in one.valuation.hazards
            steps.note(
                "(I5)", "peril_rate", rate, of=of, base_rate=base, hazard_score=score, scored=scored,
                reference_score=reference, exponent=exponent,
            )  # fmt: skip
            pure = price_formulas.peril_pure_premium(total, rate, deductible)
            steps.note(
                "(I6)", "peril_pure_premium", pure, of=of, sum_insured=total, peril_rate=rate,
                deductible_share=deductible,
            )  # fmt: skip
            mean, sd = p["damage_mean"][peril], p["damage_sd"][peril]
            frequency = price_formulas.event_frequency(rate, mean)
            steps.note("(I8)", "event_frequency", frequency, of=of, peril_rate=rate, damage_mean=mean)
            variance = price_formulas.capped_loss_variance(total, frequency, mean, sd, deductible)
            steps.note(
                "(I9)", "capped_loss_variance", variance, of=of, sum_insured=total, event_frequency=frequency,
                damage_mean=mean, damage_sd=sd, deductible_share=deductible,
            )  # fmt: skip
            pure_premiums.append(pure)
            variances.append(variance)
    expected = price_formulas.pure_premium(pure_premiums)
    steps.note("(I7)", "pure_premium", expected, terms=len(pure_premiums))
    annual = _charged(expected, variances, p, steps)
    return Price(
        annual_premium=money.from_fen(annual),
        owner_premium=money.from_fen(_owner_part(annual, p, steps)),
        expected_annual_loss=money.yuan(expected / 100),
        perils=perils,
    )


def _charged(expected: float, variances: Sequence[float], p: InForce, steps: Steps) -> int:
    """From the expected payments to the premium as charged. [fen/yr]"""
    loading = p["risk_margin_loading"]
    margin = price_formulas.risk_margin(loading, variances)
    steps.note("(I10)", "risk_margin", margin, loading=loading, terms=len(variances))
    parts = {name: p[f"{name}_rate"] for name in ("expense", "commission", "tax", "profit")}
    gross = price_formulas.gross_premium(expected, margin, **parts)
    steps.note("(I12)", "gross_premium", gross, pure_premium=expected, risk_margin=margin, **parts)
    annual = price_formulas.premium(gross, p["minimum_premium"])
    steps.note("(I13)", "premium", annual, gross_premium=gross, minimum_premium=p["minimum_premium"])
    return annual


def _owner_part(annual: int, p: InForce, steps: Steps) -> int:
    """The owner's part of a premium that levels of government may share. [fen/yr]"""
    shares = p["subsidy_shares.carbon"]
    parts = dict(zip(PAYERS, largest_remainder(annual, [shares[payer] for payer in PAYERS]), strict=True))
    steps.note("(I67)", "owner_premium", parts["owner"], premium=annual, **shares)
    return parts["owner"]
