"""From what a request tells of forests to what can be insured of them: by replanting cost, carbon value or units."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.insurance.actions import PARAMETERS, policies, pricing, reasons
from services.insurance.formulas.rating import replanting_sum, units_sum
from services.insurance.formulas.sum_insured import over_insured, sum_insured_limit
from services.insurance.peril_model import ServedModel
from services.insurance.tables import SiteSurvey, Valuation
from shared import clock, money
from shared.errors import InvalidError
from shared.events.parts import Reason
from shared.parameters import InForce

MU_PER_HA = 15
BASES = ("carbon_value", "carbon_units", "replanting")
CLASSES = ("commercial", "public")


@dataclass(frozen=True)
class Site:
    """One forest, told or valued, and what may be insured of it."""

    insured: pricing.Insured
    value: Decimal
    limit: Decimal
    title_until: date | None
    valid_until: date | None


def whatif(
    request: Mapping[str, Any],
    valuations_of: Callable[[Iterable[UUID]], Mapping[UUID, Valuation]],
    surveys_of: Callable[[Iterable[UUID]], Mapping[UUID, SiteSurvey]],
    models: Mapping[str, ServedModel],
    capital: Callable[[], pricing.Capital],
) -> dict[str, Any]:
    """Price what is asked as a quote would be; nothing is kept. Raises InvalidError."""
    p = PARAMETERS.at(clock.today())
    terms = terms_of(request["terms"], p)
    known = [one["asset_id"] for one in request["forests"] if one["asset_id"]]
    valuations, surveys = valuations_of(known), surveys_of(known)
    sites = [
        _site(number, one, request, valuations, surveys.get(one["asset_id"]), p)
        for number, one in enumerate(request["forests"])
    ]
    steps = pricing.Steps()
    found = price_sites(sites, terms, request["term_months"], p, steps, models, capital)
    quantile = request["quantile"] or p["insured_value_quantile"]
    return found | {
        "basis": request["basis"],
        "forest_class": request["forest_class"],
        "quantile": quantile if request["basis"] == "carbon_value" else None,
        "parameters_digest": p.digest,
        "unverified_parameters": list(p.unverified),
        "explanation": steps.rows,
    }


def price_sites(
    sites: Sequence[Site], terms: pricing.Terms, term_months: int, p: InForce, steps: pricing.Steps,
    models: Mapping[str, ServedModel], capital: Callable[[], pricing.Capital],
) -> dict[str, Any]:  # fmt: skip
    """Price some forests on one policy, with every reason why a quote would be refused."""
    refusals = against(sites, policies.expiry_of(clock.today(), term_months, p), p)
    insured = [site.insured for site in sites if site.insured.sum_insured > 0]
    # The book is looked at only for forests that have a place in it.
    joins = capital() if all(one.place for one in insured) else None
    price = pricing.price(insured, p, steps, terms, models, joins) if insured else None
    return {
        "outcome": "refuse" if refusals else "quote",
        "reasons": refusals,
        "sum_insured": sum((one.sum_insured for one in insured), Decimal(0)),
        "annual_premium": price and price.annual_premium,
        "owner_premium": price and price.owner_premium,
        "expected_annual_loss": price and price.expected_annual_loss,
        "pricing": price.shown if price else None,
        "forests": [
            {"name": site.insured.name, "county": site.insured.county, "value": site.value, "limit": site.limit,
             "sum_insured": site.insured.sum_insured}
            for site in sites
        ],
    }  # fmt: skip


def valued_site(valuation: Valuation, wanted: Decimal, p: InForce, survey: SiteSurvey | None = None) -> Site:
    """A forest as the register values it and the insurer found it, to be insured for a sum."""
    value = pricing.insurable_value(valuation, p["insured_value_quantile"])
    insured = pricing.insured_of(valuation, wanted, survey)
    return Site(insured, value, pricing.sum_limit(valuation, p), valuation.title_until, valuation.valid_until)


def against(sites: Sequence[Site], ends_on: date, p: InForce) -> list[Reason]:
    """Every reason why these forests cannot be insured for these sums until that day."""
    ceiling, found = Decimal(str(p["maximum_hazard_score"])), []
    for site in sites:
        county = site.insured.county
        if site.valid_until is not None and site.valid_until < clock.today():
            found.append(reasons.valuation_expired(county, site.valid_until))
        if site.title_until is not None and ends_on > site.title_until:
            found.append(reasons.beyond_tenure(county, ends_on, site.title_until))
        for peril in p["perils"]:
            score = pricing.hazard_score(site.insured.hazards, peril, p)
            if score > ceiling:
                found.append(reasons.hazard_too_high(county, peril, score, ceiling))
        wanted = site.insured.sum_insured
        if site.value <= 0 or wanted <= 0:
            found.append(reasons.no_insurable_value(county))
        elif over_insured(money.fen(wanted), money.fen(site.limit)):
            found.append(reasons.above_value(county, wanted, site.limit, site.value))
    return found


def terms_of(asked: Mapping[str, Any] | None, p: InForce) -> pricing.Terms:
    """The terms asked for; the parameters' where nothing is asked. Raises InvalidError."""
    given = asked or {}
    share = given.get("deductible_share")
    terms = pricing.Terms(
        deductible_share=float(p["deductible_share"] if share is None else share),
        **{name: money.fen(given.get(name) or Decimal(0)) for name in ("deductible", "franchise", "event_limit")},
        insurer_share=float(given.get("insurer_share") or 1),
        annual_cap=money.fen(given.get("annual_cap") or Decimal(0)),
        years=given.get("years", 1),
        no_claims_years=given.get("no_claims_years", 0),
        prevention=tuple(sorted(set(given.get("prevention", ())))),
        subsidy=given.get("subsidy", "carbon"),
    )
    told = []
    if terms.event_limit and terms.franchise > terms.event_limit:
        told.append(("/terms/franchise", "A franchise above the limit of an event never pays."))
    if terms.annual_cap and terms.event_limit > terms.annual_cap:
        told.append(("/terms/event_limit", "The limit of an event is above the cap of the year."))
    if told:
        raise InvalidError(
            "these terms contradict each other", errors=[{"pointer": at, "detail": what} for at, what in told]
        )
    return terms


def _site(
    number: int,
    given: Mapping[str, Any],
    request: Mapping[str, Any],
    valuations: Mapping[UUID, Valuation],
    survey: SiteSurvey | None,
    p: InForce,
) -> Site:
    """What is told of a forest over what the register says of it."""
    at, valuation = f"/forests/{number}", None
    if given["asset_id"]:
        valuation = valuations.get(given["asset_id"])
        if valuation is None:
            raise _bad(f"{at}/asset_id", "No valuation of this forest is known here.")
    elif given["county"] is None:
        raise _bad(f"{at}/county", "Say where the forest is, or which one of the register it is.")
    area = given["area_ha"] or (valuation and valuation.area_ha)
    value = _value(at, given, request, valuation, area, p)
    limit = money.from_fen(sum_insured_limit(money.fen(value), p["maximum_sum_insured_share"]))
    if request["basis"] != "carbon_value":
        limit = value
    wanted = limit if given["sum_insured"] is None else given["sum_insured"]
    species = [(one["species"], float(one["share"])) for one in (valuation and valuation.species) or ()]
    traits = {name: given[name] for name in (*pricing.MEASURED, *pricing.NAMED) if given[name] is not None}
    insured = pricing.Insured(
        name=str(given["asset_id"] or f"forest {number + 1}"),
        county=valuation.county if valuation else given["county"],
        sum_insured=wanted,
        hazards={**(valuation.hazards if valuation else {}), **given["hazards"]},
        species=[(name, float(share)) for name, share in given["species"].items()] or species,
        traits={**(survey.traits if survey else {}), **traits},
        covariates={
            name: float(x) for name, x in {**(survey.covariates if survey else {}), **given["covariates"]}.items()
        },
        place=pricing.place_of(valuation) if valuation else None,
    )
    until = [day for day in (given["title_until"], valuation and valuation.title_until) if day]
    return Site(insured, value, limit, min(until, default=None), valuation.valid_until if valuation else None)


def _value(
    at: str, given: Mapping[str, Any], request: Mapping[str, Any], valuation: Valuation | None, area: Any, p: InForce
) -> Decimal:
    """What the forest is worth on the basis that is insured; what is told may lower what the register says."""
    basis, told = request["basis"], given["value"]
    if basis == "replanting":
        if area is None:
            raise _bad(f"{at}/area_ha", "The replanting cost of a forest needs its area.")
        cost = p["replanting_cost_per_mu"][request["forest_class"]]
        known: Decimal | None = money.from_fen(replanting_sum(float(area) * MU_PER_HA, cost))
    elif basis == "carbon_units":
        tonnes, price = given["tonnes"], given["unit_price"]
        if tonnes is None or price is None:
            raise _bad(at, "Units are insured by tonnes and an agreed unit_price.")
        if valuation is not None and valuation.units is not None:
            # Neither more units than there are, nor dearer than they are.
            tonnes, price = min(tonnes, valuation.units), min(price, valuation.spot_price or price)
        known = money.from_fen(units_sum(float(tonnes), money.fen(price)))
    else:
        quantile = request["quantile"] or p["insured_value_quantile"]
        known = pricing.insurable_value(valuation, quantile) if valuation else None
    if known is None and told is None:
        raise _bad(f"{at}/value", "Say what the forest is worth, or which one of the register it is.")
    return min(x for x in (known, told) if x is not None)


def _bad(pointer: str, detail: str) -> InvalidError:
    return InvalidError(detail, errors=[{"pointer": pointer, "detail": detail}])
