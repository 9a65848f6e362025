"""What cover costs, on one path for a what-if, a quote and a file of many: forests as arrays, each step shown.

A price is a list of levels, each with its equation and coefficients, from the expected losses by peril to the premium;
only levels are rounded, so the steps between them sum to the premium to the fen.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from services.insurance.formulas import event_payment as events
from services.insurance.formulas import premium as formulas
from services.insurance.formulas import rating
from services.insurance.formulas.subsidy import largest_remainder
from services.insurance.formulas.sum_insured import sum_insured_limit
from services.insurance.peril_model import ServedModel
from services.insurance.tables import SiteSurvey, Valuation
from shared import money
from shared.events.sink import Peril
from shared.parameters import InForce

Array = npt.NDArray[np.float64]
PAYERS = ("central", "province", "county", "owner")
QUANTILES = ("mean", "p05", "p10", "p50", "p90", "p95")
#: Rating factors, by what a site is told to be: a number between edges, or a word.
MEASURED = ("age_years", "slope_deg", "access_km", "fire_weather")
NAMED = ("aspect", "fuel", "fire_break")
SUBSIDIES = ("carbon", "gansu_policy", "shiquan_policy", "guangxi_public", "guangxi_commercial")
#: Points of the grid on which a year under an aggregate cap is computed.
_GRID = 64


@dataclass(frozen=True)
class Insured:
    """One forest as it enters the price."""

    name: str
    county: str
    sum_insured: Decimal
    hazards: Mapping[str, Any]
    species: Sequence[tuple[str, float]] = ()
    #: What else is known of the site, by rating factor.
    traits: Mapping[str, Any] = field(default_factory=dict)
    #: What a peril model asks of a site, by name.
    covariates: Mapping[str, float] = field(default_factory=dict)
    #: Longitude, latitude [degrees] and area [ha], where they are known.
    place: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Terms:
    """What of a loss is paid, of each event and forest, and what is taken off the premium. Amounts: fen."""

    deductible_share: float
    deductible: int = 0
    franchise: int = 0
    event_limit: int = 0
    insurer_share: float = 1.0
    annual_cap: int = 0
    years: int = 1
    no_claims_years: int = 0
    prevention: tuple[str, ...] = ()
    subsidy: str = "carbon"


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
class Level:
    """Where the price of each policy stands after a step. [fen/yr]"""

    step: str
    equation: str
    amount: Array
    coefficients: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Margin:
    """What the price is loaded with for the risk, by which equation and coefficients. [fen/yr]"""

    amount: Array
    equation: str
    coefficients: Mapping[str, Any]


#: The margin of a policy on some forests, struck so often [1/yr] on such terms; or why it is not known.
Capital = Callable[[Sequence[Insured], Array, Terms], Margin | str]


@dataclass(frozen=True)
class Price:
    """What a year of cover costs, and why."""

    annual_premium: Decimal
    owner_premium: Decimal
    expected_annual_loss: Decimal
    perils: list[Peril]
    #: Each payer's part of the premium.
    split: dict[str, Decimal]
    #: Technical and filed rate, waterfall, factors, models: as it is shown and stored.
    shown: dict[str, Any]


# -- forests ----------------------------------------------------------------------------------------------------------


def insurable_value(valuation: Valuation, quantile: str) -> Decimal:
    """The part of a forest's present value that insurance looks at. [CNY]"""
    return money.yuan(Decimal(valuation.present_value[quantile]))


def sum_limit(valuation: Valuation, p: InForce) -> Decimal:
    """The most that may be insured on a forest, over all covers together. [CNY]"""
    value = money.fen(insurable_value(valuation, p["insured_value_quantile"]))
    return money.from_fen(sum_insured_limit(value, p["maximum_sum_insured_share"]))


def hazard_score(hazards: Mapping[str, Any], peril: str, p: InForce) -> Decimal:
    """A site's score for a peril; a site nobody scored counts as the average one."""
    score = hazards.get(peril)
    return Decimal(str(p["hazard_reference"][peril] if score is None else score))


def insured_of(valuation: Valuation, sum_insured: Decimal, survey: SiteSurvey | None = None) -> Insured:
    """A forest as the register valued it and, where it was surveyed, as the insurer found it."""
    species = [(one["species"], float(one["share"])) for one in valuation.species or ()]
    traits = survey.traits if survey else {}
    covariates = {name: float(value) for name, value in survey.covariates.items()} if survey else {}
    return Insured(
        str(valuation.asset_id), valuation.county, sum_insured, valuation.hazards, species, traits, covariates,
        place=place_of(valuation),
    )  # fmt: skip


def place_of(valuation: Valuation) -> tuple[float, float, float] | None:
    """Longitude, latitude and area of a forest, if the register has told."""
    if valuation.longitude is None or valuation.latitude is None or valuation.area_ha <= 0:
        return None
    return float(valuation.longitude), float(valuation.latitude), float(valuation.area_ha)


# -- the tariff -------------------------------------------------------------------------------------------------------


class Tariff:
    """The coefficients in force as arrays by peril, read once for however many forests."""

    def __init__(self, p: InForce, models: Mapping[str, ServedModel] | None = None) -> None:
        self.p, self.models = p, models or {}
        self.perils: list[Peril] = list(p["perils"])
        self.base, self.reference, self.exponent, self.mean, self.sd = (
            np.array([p[name][peril] for peril in self.perils])
            for name in ("base_rate", "hazard_reference", "hazard_exponent", "damage_mean", "damage_sd")
        )
        self.loadings: dict[str, Any] = {
            name: float(p[f"{name}_rate"]) for name in ("expense", "commission", "tax", "profit")
        }
        self.margin = float(p["risk_margin_loading"])

    def scores(self, hazards: Mapping[str, Any]) -> list[float]:
        """A site's score of each peril."""
        return [float(hazard_score(hazards, peril, self.p)) for peril in self.perils]

    def relativities(
        self, species: Sequence[tuple[str, float]], traits: Mapping[str, Any]
    ) -> tuple[list[str], list[list[float]]]:
        """Names of the factors that something is known of, and for each its value by peril."""
        names, values = [], []
        if species:
            table = self.p["rating_factor.species"]
            names.append("species")
            values.append([self._of_mixture(table.get(peril, {}), species) for peril in self.perils])
        for name in (*MEASURED, *NAMED):
            if traits.get(name) is not None:
                table = self.p[f"rating_factor.{name}"]
                names.append(name)
                values.append([_level(table, peril, traits[name]) for peril in self.perils])
        return names, values

    def many_relativities(self, species: Sequence[str], traits: Sequence[Mapping[str, Any]]) -> Array:
        """Product of the factors of many sites by peril; each known set of factors is looked up once."""
        known: dict[tuple[Any, ...], int] = {}
        rows: list[Array] = []
        place = np.empty(len(species), dtype=np.int64)
        bands = {name: self.p[f"rating_factor.{name}"]["edges"] for name in MEASURED}
        for number, (of, told) in enumerate(zip(species, traits, strict=True)):
            key = (of, *(
                bisect_right(bands[name], told[name]) if name in bands else told[name] for name in told
            ), *told)  # fmt: skip
            if key not in known:
                _, values = self.relativities([(of, 1.0)] if of else [], told)
                known[key] = len(rows)
                rows.append(np.prod(np.array(values).reshape(-1, len(self.perils)), axis=0))
            place[number] = known[key]
        return np.array(rows)[place]

    @staticmethod
    def _of_mixture(by_species: Mapping[str, float], species: Sequence[tuple[str, float]]) -> float:
        whole = sum(share for _, share in species)
        return sum(by_species.get(name, 1.0) * share for name, share in species) / whole if whole > 0 else 1.0


def _level(table: Mapping[str, Any], peril: str, found: Any) -> float:
    if "edges" in table:
        place = int(np.searchsorted(table["edges"], float(found), side="right"))
        return float(table[peril][place]) if peril in table else 1.0
    return float(table.get(peril, {}).get(str(found), 1.0))


# -- from losses to the premium ---------------------------------------------------------------------------------------


def payments(
    tariff: Tariff, sums: Array, frequency: Array, terms: Terms, *, last: bool = False
) -> tuple[list[Level], Array]:
    """Expected payments of a year by forest and peril, before and after each term in use, and their variances.

    With `last`, only after all of them.
    """
    whole = sums[:, None]
    given: dict[str, float] = {}
    levels = [] if last else [Level("loss", "(I6)", _expected(tariff, whole, frequency, given))]
    for name, amount, nothing in (
        ("deductible_share", terms.deductible_share, 0),
        ("deductible", terms.deductible, 0),
        ("franchise", terms.franchise, 0),
        ("limit", terms.event_limit, 0),
        ("insurer_share", terms.insurer_share, 1),
    ):
        if amount != nothing:
            given[name] = amount
            if not last:
                levels.append(Level(name, "(I121)", _expected(tariff, whole, frequency, given), {name: amount}))
    if last:
        levels.append(Level("payments", "(I121)", _expected(tariff, whole, frequency, given), given))
    squares = events.event_payment_square(whole, tariff.mean, tariff.sd, **given)
    return levels, formulas.capped_loss_variance(frequency, squares)


def _expected(tariff: Tariff, whole: Array, frequency: Array, given: Mapping[str, float]) -> Array:
    return formulas.peril_pure_premium(frequency, events.event_payment(whole, tariff.mean, tariff.sd, **given))


def proxy_margin(tariff: Tariff, variances: Array, why: str) -> Margin:
    """The margin where nobody knows what a policy adds to the worst years of the book."""
    how = {"basis": "standard deviation of a year's capped loss", "loading": tariff.margin, "because": why}
    return Margin(formulas.risk_margin(tariff.margin, variances), "(I10)", how)


def charged(tariff: Tariff, pure: Array, margin: Margin, terms: Terms) -> list[Level]:
    """Levels from the expected payments of some policies to their premiums."""
    p = tariff.p
    level = pure + margin.amount
    levels = [Level("risk_margin", margin.equation, level, margin.coefficients)]
    gross = formulas.gross_premium(pure, margin.amount, **tariff.loadings)
    for name, rate in tariff.loadings.items():
        level = level + gross * rate
        levels.append(Level(name, "(I12)", level, {"rate": rate, "gross_premium": float(gross[0])}))
    levels[-1] = Level(levels[-1].step, "(I12)", gross, levels[-1].coefficients)
    credits: list[float] = []
    most = float(p["largest_credit"])
    for name, credit in _credits(p, terms).items():
        credits.append(credit)
        amount = gross - rating.credit_amount(gross, credits, most)
        levels.append(Level(name, "(I129)", amount, {"credit": credit, "largest_credit": most}))
    minimum = p["minimum_premium"]
    final = formulas.premium(levels[-1].amount, minimum).astype(np.float64)
    levels.append(Level("minimum_premium", "(I13)", final, {"minimum_premium": minimum}))
    return levels


def _credits(p: InForce, terms: Terms) -> dict[str, float]:
    """What the terms take off the gross premium, as shares of it."""
    found: dict[str, float] = {}
    if terms.years > 1:
        found["multi_year"] = min(p["multi_year_credit"]["each"] * (terms.years - 1), p["multi_year_credit"]["most"])
    if terms.no_claims_years:
        found["no_claims"] = min(p["no_claims_credit"]["each"] * terms.no_claims_years, p["no_claims_credit"]["most"])
    for measure in terms.prevention:
        found[f"prevention_{measure}"] = p["prevention_credits"][measure]
    return found


@dataclass(frozen=True)
class Prices:
    """What a year of many covers costs, a row each; amounts are fen."""

    sums: Array
    premium: npt.NDArray[np.int64]
    split: npt.NDArray[np.int64]
    pure: Array
    technical: Array
    deviation: Array

    def as_text(self) -> Iterator[list[str]]:
        """Figures of each row: sum, premium, parts, expected loss in CNY, technical rate, deviation."""
        sums, pure = self.sums.astype(np.int64).tolist(), rating.whole_fens(self.pure).tolist()
        fens = zip(sums, self.premium.tolist(), *self.split.T.tolist(), pure, strict=True)
        for amounts, rate, deviation in zip(fens, self.technical.tolist(), self.deviation.tolist(), strict=True):
            yield [*(f"{fen // 100}.{fen % 100:02d}" for fen in amounts), f"{rate:.8f}", f"{deviation:.6f}"]


def price_many(tariff: Tariff, sums: Array, scores: Array, relativities: Array, terms: Terms | None = None) -> Prices:
    """Price many forests, each on a policy of its own, on the path of one."""
    p = tariff.p
    terms = terms or Terms(deductible_share=float(p["deductible_share"]))
    rates = rating.site_rate(
        formulas.peril_rate(tariff.base, scores, tariff.reference, tariff.exponent), relativities[:, :, None]
    )
    stages, variances = payments(tariff, sums, formulas.event_frequency(rates, tariff.mean), terms, last=True)
    pure = formulas.pure_premium(stages[-1].amount)
    margin = proxy_margin(tariff, variances, "many prices at once are not set against the book")
    levels = charged(tariff, pure, margin, terms)
    gross = next(level.amount for level in levels if level.step == "profit")
    premium = levels[-1].amount.astype(np.int64)
    shares = p[f"subsidy_shares.{terms.subsidy}"]
    technical = gross / sums
    return Prices(
        sums, premium, rating.split_by_weights(premium, [shares[payer] for payer in PAYERS]), pure, technical,
        rating.rate_deviation(technical, float(p["filed_rate"])),
    )  # fmt: skip


def price(
    insured: Sequence[Insured], p: InForce, steps: Steps, terms: Terms | None = None,
    models: Mapping[str, ServedModel] | None = None, capital: Capital | None = None,
) -> Price:  # fmt: skip
    """Price a year of cover of some forests on one policy, perils and forests taken as independent.

    `models` are those that price here, by peril; where none covers a site, the dated rates do. `capital` says what the
    policy adds to the worst years of the book; where it does not know, the margin is a proxy and says why.
    """
    tariff = Tariff(p, models)
    terms = terms or Terms(deductible_share=float(p["deductible_share"]))
    sums = np.array([money.fen(one.sum_insured) for one in insured], dtype=np.float64)
    rates, factors = rates_of(tariff, insured, steps)
    frequency = formulas.event_frequency(rates, tariff.mean)
    stages, variances = payments(tariff, sums, frequency, terms)
    _note_payments(tariff, insured, rates, frequency, stages[-1].amount, variances, terms, steps)
    levels = _by_peril(tariff, stages)
    pure = formulas.pure_premium(stages[-1].amount.reshape(1, -1))
    if terms.annual_cap:
        pure = np.array([_capped(tariff, sums, frequency, terms)])
        levels.append(Level("annual_cap", "(I123)", pure, {"annual_cap": terms.annual_cap}))
    steps.note("(I7)", "pure_premium", float(pure[0]), terms=variances.size, annual_cap=terms.annual_cap)
    margin = capital(insured, frequency, terms) if capital else "the policy is in the book, or no book was asked for"
    if isinstance(margin, str):
        margin = proxy_margin(tariff, variances.reshape(1, -1), margin)
    levels += charged(tariff, pure, margin, terms)
    steps.note(margin.equation, "risk_margin", float(margin.amount[0]), **margin.coefficients)
    return _priced(tariff, levels, pure, sums, factors, terms, steps)


def rates_of(tariff: Tariff, insured: Sequence[Insured], steps: Steps) -> tuple[Array, list[dict[str, Any]]]:
    """Rate of each peril at each forest, and what is behind it: a model that covers it, or the dated rates."""
    rows, shown = [], []
    for one in insured:
        scores = np.array(tariff.scores(one.hazards))
        base = formulas.peril_rate(tariff.base, scores, tariff.reference, tariff.exponent)
        names, values = tariff.relativities(one.species, one.traits)
        rate = rating.site_rate(base, np.array(values).reshape(len(names), -1).T) if names else base.copy()
        for k, peril in enumerate(tariff.perils):
            of = f"{one.name}/{peril}"
            model = tariff.models.get(peril)
            uncovered = "" if model is None else _uncovered(model, one, tariff.p)
            if model is not None and not uncovered:
                behind = _modelled(model, one, of, steps)
                rate[k] = behind["rate"]
                shown.append({"forest": one.name, "peril": peril, "factors": {}} | behind)
                continue
            steps.note(
                "(I5)", "peril_rate", float(base[k]), of=of, base_rate=tariff.base[k], hazard_score=scores[k],
                scored=one.hazards.get(peril) is not None, reference_score=tariff.reference[k],
                exponent=tariff.exponent[k],
            )  # fmt: skip
            of_factors: dict[str, Any] = {name: value[k] for name, value in zip(names, values, strict=True)}
            if names:
                steps.note("(I126)", "site_rate", float(rate[k]), of=of, peril_rate=float(base[k]), **of_factors)
            hazard = float(base[k] / tariff.base[k]) if tariff.base[k] else 1.0
            shown.append(
                {
                    "forest": one.name, "peril": peril, "rate": float(rate[k]),
                    "source": f"dated rates: {uncovered or 'no model of this peril is served'}",
                    "factors": {"base_rate": float(tariff.base[k]), "hazard": hazard, **of_factors},
                    "model": None,
                }
            )  # fmt: skip
        rows.append(rate)
    return np.array(rows), shown


def _uncovered(model: ServedModel, one: Insured, p: InForce) -> str:
    """Why a model says nothing of a forest; empty where it does."""
    region, own = model.document["region"], p["model_region"]
    if region != own:
        return f"the model is of {region}, not of {own}"
    missing = [name for name in model.needs if name not in one.covariates]
    return f"the model needs {', '.join(missing)}" if missing else ""


def _modelled(model: ServedModel, one: Insured, of: str, steps: Steps) -> dict[str, Any]:
    """A model's rate at a site with the interval of its coefficients and the band of its years."""
    site = {name: np.array([one.covariates[name]]) for name in model.needs}
    document, annual = model.document, model.document["annual"]
    rate, size = float(model.rates(site)[0]), float(document["unit_size"])
    count, severity, error = (float(x[0]) for x in (model.counts(site), model.severities(site), model.log_sd(site)))
    told = {name: one.covariates[name] for name in model.needs}
    steps.note("(I127)", "modelled_rate", rate, of=of, model=model.sha256, count=count, severity=severity,
               unit_size=size, **told)  # fmt: skip
    interval, band = rating.log_interval(rate, error), rating.log_interval(rate, float(annual["year_log_sd"]))
    steps.note("(I128)", "log_interval", interval, of=of, rate=rate, log_sd=error)
    return {
        "rate": rate,
        "source": f"{document['name']} version {document['version']}",
        "model": {
            "sha256": model.sha256, "note": document["note"], "count": f"{count:.8g}", "severity": f"{severity:.8g}",
            "parameter_interval_90": [f"{edge:.10f}" for edge in interval],
            "year_band_90": [f"{edge:.10f}" for edge in band],
            "burning_cost_rate": f"{annual['burning_cost'] / size:.10f}",
            "credibility": {
                part: f"{document['credibility'][part]['mean_weight']:.4f}" for part in ("count", "severity")
            },
        },
    }  # fmt: skip


def _note_payments(
    tariff: Tariff, insured: Sequence[Insured], rates: Array, frequency: Array, pure: Array, variances: Array,
    terms: Terms, steps: Steps,
) -> None:  # fmt: skip
    for i, one in enumerate(insured):
        of_event: dict[str, Any] = {"sum_insured": money.fen(one.sum_insured), **_in_use(terms)}
        for k, peril in enumerate(tariff.perils):
            of, many = f"{one.name}/{peril}", float(frequency[i, k])
            moments = {"damage_mean": tariff.mean[k], "damage_sd": tariff.sd[k]}
            steps.note(
                "(I8)", "event_frequency", many, of=of, peril_rate=float(rates[i, k]), damage_mean=tariff.mean[k]
            )
            steps.note(
                "(I6)", "peril_pure_premium", float(pure[i, k]), of=of, event_frequency=many, **moments, **of_event
            )
            steps.note("(I9)", "capped_loss_variance", float(variances[i, k]), of=of, event_frequency=many, **moments,
                       **of_event)  # fmt: skip


def _in_use(terms: Terms) -> dict[str, float]:
    """The terms of an event that do something."""
    given = {
        "deductible_share": terms.deductible_share, "deductible": terms.deductible, "franchise": terms.franchise,
        "limit": terms.event_limit,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value} | (
        {"insurer_share": terms.insurer_share} if terms.insurer_share != 1 else {}
    )


def _by_peril(tariff: Tariff, stages: Sequence[Level]) -> list[Level]:
    """Levels of one policy: its expected losses peril by peril, then what each term takes off them."""
    by_peril = np.cumsum(stages[0].amount.sum(axis=0))
    levels = [
        Level(f"loss_{peril}", "(I6)", by_peril[k : k + 1], {"damage_mean": tariff.mean[k]})
        for k, peril in enumerate(tariff.perils)
    ]
    return levels + [
        Level(one.step, one.equation, formulas.pure_premium(one.amount.reshape(1, -1)), one.coefficients)
        for one in stages[1:]
    ]


def _capped(tariff: Tariff, sums: Array, frequency: Array, terms: Terms) -> float:
    """Expected payments of one policy's year under its aggregate cap."""
    many = float(frequency.sum())
    grid = np.arange(_GRID + 1) * (terms.annual_cap / _GRID)
    given = {name: value for name, value in _in_use(terms).items() if name != "limit"}
    levs = [0.0]
    for at in grid[1:]:
        # A payment up to `at` is one under an event limit before the insurer's share.
        most = at / terms.insurer_share
        limit = min(most, terms.event_limit) if terms.event_limit else most
        one = events.event_payment(sums[:, None], tariff.mean, tariff.sd, limit=limit, **given)
        levs.append(float((one * frequency).sum() / many) if many else 0.0)
    return events.annual_lev(many, levs, terms.annual_cap)


def _priced(
    tariff: Tariff, levels: list[Level], pure: Array, sums: Array, factors: list[dict[str, Any]], terms: Terms,
    steps: Steps,
) -> Price:  # fmt: skip
    """Steps, rates and shares of one policy's price."""
    p = tariff.p
    amounts = rating.step_amounts(np.array([float(level.amount[0]) for level in levels]))
    waterfall = [
        {
            "step": level.step, "equation": level.equation, "amount": str(money.from_fen(int(amount))),
            "coefficients": {name: str(value) for name, value in level.coefficients.items()},
        }
        for level, amount in zip(levels, amounts, strict=True)
    ]  # fmt: skip
    by_step = {level.step: float(level.amount[0]) for level in levels}
    gross, annual = by_step["profit"], int(levels[-1].amount[0])
    margin = by_step["risk_margin"] - float(pure[0])
    steps.note("(I12)", "gross_premium", gross, pure_premium=float(pure[0]), risk_margin=margin, **tariff.loadings)
    steps.note("(I13)", "premium", annual, gross_premium=gross, minimum_premium=p["minimum_premium"])
    shares = p[f"subsidy_shares.{terms.subsidy}"]
    parts = dict(zip(PAYERS, largest_remainder(annual, [shares[payer] for payer in PAYERS]), strict=True))
    steps.note("(I67)", "owner_premium", parts["owner"], premium=annual, **shares)
    filed, technical = float(p["filed_rate"]), gross / float(sums.sum())
    deviation = float(rating.rate_deviation(technical, filed))
    steps.note("(I130)", "rate_deviation", deviation, technical_rate=technical, filed_rate=filed)
    split = {payer: money.from_fen(part) for payer, part in parts.items()}
    shown = {
        "technical_rate": f"{technical:.8f}",
        "filed_rate": f"{filed:.8f}",
        "deviation": f"{deviation:.6f}",
        "waterfall": waterfall,
        "factors": [
            one | {"rate": f"{one['rate']:.10f}",
                   "factors": {name: f"{value:.6f}" for name, value in one["factors"].items()}}
            for one in factors
        ],
        "split": {payer: str(part) for payer, part in split.items()},
    }  # fmt: skip
    return Price(
        annual_premium=money.from_fen(annual),
        owner_premium=split["owner"],
        expected_annual_loss=money.yuan(float(pure[0]) / 100),
        perils=tariff.perils,
        split=split,
        shown=shown,
    )
