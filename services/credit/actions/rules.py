"""The rules of a decision as one table: what each may do, and which dated coefficients it is applied with.

A rule that was broken names a reason. A rule that could not be applied says so; whether that stops the loan is the
matter of the rule that asks for the missing fact. Nothing here reads a clock or a database.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from services.credit.actions.policy import Policy
from shared.events.parts import Reason

#: What a broken rule asks for, the worst first. A fault asks for what policy says a valuation fault asks for.
SEVERITIES = ("decline", "fault", "refer")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it asks for when it is broken, and the coefficients it reads."""

    severity: str
    parameters: tuple[str, ...]


RULES = MappingProxyType(
    {
        "tenor-policy": Rule("decline", ("maximum_tenor_months", "working_capital_maximum_tenor_months")),
        "tenor-insurance": Rule("decline", ("insurance_maximum_months",)),
        "tenor-title": Rule("decline", ()),
        "tenor-crediting": Rule("decline", ()),
        "asset-class": Rule("decline", ("asset_classes",)),
        "loan-to-value": Rule("decline", ("maximum_loan_to_value", "price_haircut_confidence")),
        "pledge-rate": Rule("decline", ("pledge_rate_caps",)),
        "pledge-forecast": Rule("decline", ()),
        "valuation-fresh": Rule("fault", ("valuation_maximum_age_days", "valuation_fault_outcome")),
        "concentration-county": Rule("refer", ("concentration_caps", "concentration_minimum_book")),
        "concentration-fire_zone": Rule("refer", ("concentration_caps", "concentration_minimum_book")),
        "concentration-verifier": Rule("refer", ("concentration_caps", "concentration_minimum_book")),
        "concentration-guarantor": Rule("refer", ("concentration_caps", "concentration_minimum_book")),
        "concentration-group": Rule("refer", ("concentration_caps", "concentration_minimum_book")),
        "verifier-named": Rule("refer", ()),
        "default-probability": Rule(
            "decline", ("approve_below_default_probability", "decline_from_default_probability")
        ),
        "rate-cap": Rule("refer", ("maximum_rate",)),
    }
)


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that was broken, and why."""

    rule: str
    reason: Reason


def of_severity(breaches: Iterable[Breach], *severities: str) -> tuple[Breach, ...]:
    """The breaches of some severities, the worst first, in the order in which they were found."""
    found = list(breaches)
    return tuple(one for severity in severities for one in found if RULES[one.rule].severity == severity)


def applied(
    policies: Sequence[Policy], breaches: Iterable[Breach], unknown: Iterable[str], band: str
) -> list[dict[str, Any]]:
    """Every rule of a decision: what it said, and the coefficients it was applied with, by their digest.

    The newest date among the coefficients is the version of the rule.
    """
    broken = {one.rule for one in breaches}
    silent = set(unknown)
    told = []
    for name, rule in RULES.items():
        verdict = "unknown" if name in silent else "holds"
        if name in broken:
            verdict = rule.severity
        elif name == "default-probability" and band != "approve":
            verdict = band
        entry: dict[str, Any] = {"rule": name, "verdict": verdict, "parameters": list(rule.parameters)}
        for policy in policies:
            if rule.parameters and set(rule.parameters) <= set(policy.values):
                sources = [policy.sources[one] for one in rule.parameters]
                entry["in_force_from"] = max(source["from"] for source in sources)
                entry["digest"] = policy.digest_of(rule.parameters)
                break
        told.append(entry)
    return told
