"""Worked examples with their sources, each at the tolerance its source allows."""

import csv
import hashlib
import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.credit.formulas import (
    capital,
    default_probability,
    discrimination,
    drift,
    expected_loss,
    identity,
    loan_to_value,
    loss_given_default,
    price,
    scorecard,
    staging,
)

CASES = json.loads((Path(__file__).parent / "cases" / "credit.json").read_text(encoding="utf-8"))
LOANS = Path(__file__).parents[3] / "data" / "loans"
Facts = dict[str, Any]


def fen(text: str) -> int:
    return int(Decimal(text) * 100)


def scale(inputs: Facts) -> tuple[float, float]:
    factor = scorecard.scale_factor(inputs["pdo"])
    return factor, scorecard.scale_offset(inputs["score"], inputs["odds_good_to_bad"], factor)


def pdo(inputs: Facts) -> Facts:
    factor, offset = scale(inputs)
    if "beta" in inputs:
        log_odds = inputs["intercept"] + sum(b * w for b, w in zip(inputs["beta"], inputs["woe"], strict=True))
        points = [
            scorecard.attribute_points(beta, woe, inputs["intercept"], len(inputs["beta"]), factor, offset)
            for beta, woe in zip(inputs["beta"], inputs["woe"], strict=True)
        ]
        return {
            "log_odds_bad": log_odds,
            "points": points,
            "score": sum(points),
            "pd": default_probability.default_probability(log_odds),
        }
    if "scores" in inputs:
        return {"pd": [scorecard.probability_of_score(each, factor, offset) for each in inputs["scores"]]}
    if "pd" in inputs:
        return {"score": scorecard.score_of_probability(inputs["pd"], factor, offset)}
    return {"factor": factor, "offset": offset}


def woe(inputs: Facts) -> Facts:
    if min(inputs["bad"]) == 0:
        weights = drift.weights_of_evidence(inputs["good"], inputs["bad"], adjustment=1)
        return {"woe_is_finite": bool(np.isfinite(weights).all())}
    weights = drift.weights_of_evidence(inputs["good"], inputs["bad"], adjustment=0)
    return {"woe": weights.tolist(), "iv": drift.information_value(inputs["good"], inputs["bad"], weights)}


def psi(inputs: Facts) -> Facts:
    index = drift.population_stability_index(inputs["expected_share"], inputs["observed_share"], least_share=1e-6)
    return {"psi": index, "band": drift.stability_band(index, watch_from=0.10, alarm_above=0.25)}


def irb(inputs: Facts) -> Facts:
    pd, asset_class, sales = inputs["pd"], inputs.get("asset_class", "corporate"), inputs.get("sales_eur_m")
    try:
        share = capital.correlation(pd, asset_class, sales)
    except ValueError:
        return {"error": True}
    requirement = capital.capital_requirement(pd, inputs["lgd"], asset_class, inputs.get("maturity"), sales)
    return {
        "correlation": share,
        "maturity_b": capital.maturity_slope(pd),
        "k": requirement,
        "risk_weight_pct": 100 * capital.risk_weight(requirement),
    }


def break_even(inputs: Facts) -> Facts:
    if "rate_without_pct" in inputs:
        return {"worth_bp": price.worth_bp(inputs["rate_without_pct"] / 100, inputs["rate_with_pct"] / 100)}
    pd, lgd = inputs["pd"], inputs["lgd"]
    requirement = capital.capital_requirement(pd, lgd, inputs["asset_class"], inputs["maturity"], inputs["sales_eur_m"])
    share = price.capital_share(requirement, inputs["capital_ratio"])
    rates = [inputs[name] / 100 for name in ("ftp_pct", "opex_pct", "hurdle_pct")]
    return {
        "el_pct": 100 * expected_loss.expected_loss(pd, lgd, 1),
        "capital_share": share,
        "rate_pct": 100 * price.break_even_rate(rates[0], rates[1], pd, lgd, share, rates[2]),
    }


def el_legs(inputs: Facts) -> Facts:
    stages: list[expected_loss.Stage] = [
        expected_loss.Amount("collateral", fen(inputs["collateral_recovery"])),
        expected_loss.Amount("insurer", fen(inputs["insurer_pays"])),
        expected_loss.Shares((("guarantor", inputs["guarantor_share_of_rest"]),)),
    ]
    parts = expected_loss.loss_split(fen(inputs["ead"]), stages)
    legs = expected_loss.expected_loss_split(inputs["pd"], parts)
    return {
        "loss_after_collateral_and_insurance": (parts["guarantor"] + parts["bank"]) / 100,
        "guarantor_el": legs["guarantor"] / 100,
        "bank_el": legs["bank"] / 100,
        "insurer_el": legs["insurer"] / 100,
        "collateral_absorbs_el": legs["collateral"] / 100,
        "sum": sum(legs.values()) / 100,
    }


def crm(inputs: Facts) -> Facts:
    after = loss_given_default.exposure_after_collateral(
        float(inputs["exposure"]), inputs["he"], float(inputs["collateral"]), inputs["hc"], inputs["hfx"]
    )
    return {"exposure_after": after}


def lgd(inputs: Facts) -> Facts:
    if "file" in inputs:
        bads = [row for row in loans(inputs) if row["MIS_Status"] == "CHGOFF"]
        ratios = [
            loss_given_default.charge_off_ratio(float(row["ChgOffPrinGr"]), float(row["DisbursementGross"]))
            for row in bads
        ]
        shares = [float(row["SBA_Appv"]) / float(row["GrAppv"]) for row in loans(inputs) if row["MIS_Status"]]
        return {
            "n": len(ratios),
            "mean": float(np.mean(ratios)),
            "quartiles": np.quantile(ratios, [0.25, 0.5, 0.75]).tolist(),
            "mean_guarantee_share": float(np.mean(shares)),
        }
    secured = loss_given_default.secured_exposure(inputs["exposure"], inputs["collateral"], inputs["hc"], inputs["hfx"])
    blended = loss_given_default.blended_loss_given_default(
        inputs["exposure"], secured, inputs["lgd_unsecured"], inputs["lgd_secured"]
    )
    return {"exposure_secured": secured, "lgd": blended}


def stage(inputs: Facts) -> Facts:
    found = staging.stage(
        inputs["dpd"],
        inputs.get("significant_increase_since_origination", False),
        inputs.get("credit_impaired", False),
        inputs.get("covenant_breach"),
        default_days=90,
        significant_days=30,
    )
    return {"stage": found.stage, "ecl_horizon": found.ecl_horizon, "interest_on": found.interest_on}


def five_class(inputs: Facts) -> Facts:
    return {"class": staging.five_class(inputs["dpd"], limits=[0, 90, 270, 360])}


def uscc(inputs: Facts) -> Facts:
    if "code" in inputs:
        valid = identity.uscc_fault(inputs["code"]) is None
        return {"valid": valid} | ({"check_char": identity.uscc_check_character(inputs["code"][:17])} if valid else {})
    if "codes" in inputs:
        return {"valid": [identity.uscc_fault(code) is None for code in inputs["codes"]]}
    if "first17" in inputs:
        return {"check_char": identity.uscc_check_character(inputs["first17"])}
    return {"weights": identity.uscc_weights(), "alphabet": identity.USCC_ALPHABET}


def identity_number(inputs: Facts) -> Facts:
    if "number" in inputs:
        fault = identity.identity_number_fault(inputs["number"])
        return {"valid": fault is None, "because": fault}
    if "first17" in inputs:
        return {"check_char": identity.identity_check_character(inputs["first17"])}
    return {"weights": list(identity.IDENTITY_WEIGHTS), "check_alphabet": identity.IDENTITY_ALPHABET}


def forest_ltv(inputs: Facts) -> Facts:
    return {"max_principal": loan_to_value.maximum_principal(fen(inputs["appraised"]), inputs["max_ltv"]) / 100}


def self_valuation(inputs: Facts) -> Facts:
    principals = [float(text) for text in inputs["principals"]]
    return {"bank_must_self_value": [loan_to_value.self_valuation_required(each, limit=300_000) for each in principals]}


def subsidy(inputs: Facts) -> Facts:
    rate = inputs["rate_pct_per_year"] / 100
    return {"subsidy": price.interest_subsidy(float(inputs["principal"]), rate, inputs["years"])}


def reguarantee(inputs: Facts) -> Facts:
    principal, share = float(inputs["principal"]), inputs["fund_share"]
    fee = price.reguarantee_fee(principal, share, small_limit=5_000_000, small_rate=0.003, large_rate=0.005)
    return {"risk_borne": principal * share, "fee": fee}


def wuning(inputs: Facts) -> Facts:
    return {
        "loan_to_revenue": loan_to_value.loan_to_revenue(inputs["loan_m"], inputs["expected_revenue_m"]),
        "implied_price_per_t": loan_to_value.implied_carbon_price(
            inputs["expected_revenue_m"] * 1_000_000, inputs["tonnes"]
        ),
        "annual_times_years": inputs["annual_tonnes"] * inputs["years"],
    }


def missing_valuation(inputs: Facts) -> Facts:
    fault = loan_to_value.valuation_fault(inputs["valuation"], age_days=None, max_age_days=180)
    with pytest.raises(loan_to_value.MissingValuationError):
        loan_to_value.loan_to_value(float(inputs["loan"]), inputs["valuation"])
    return {"ltv": None, "breach": fault is not None, "reason": fault}


def missing_pd(inputs: Facts) -> Facts:
    with pytest.raises(ValueError, match="needs a default probability"):
        default_probability.decision_band(inputs["pd"], approve_below=0.03, decline_from=0.08)
    return {"decision": None, "error": True}


def loans(inputs: Facts) -> list[dict[str, str]]:
    with (LOANS / inputs["file"]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def data(inputs: Facts) -> Facts:
    rows = loans(inputs)
    labelled = [row for row in rows if row["MIS_Status"]]
    bads = sum(row["MIS_Status"] == "CHGOFF" for row in labelled)
    share = bads / len(labelled)
    return {
        "rows": len(rows),
        "labelled": len(labelled),
        "charged_off": bads,
        "default_rate": share,
        "brier_of_base_rate": discrimination.brier_score([row["MIS_Status"] == "CHGOFF" for row in labelled], share),
        "columns": len(rows[0]),
        "sha256": hashlib.sha256((LOANS / inputs["file"]).read_bytes()).hexdigest(),
    }


def leak(inputs: Facts) -> Facts:
    labelled = [row for row in loans(inputs) if row["MIS_Status"]]
    outcomes = [int(row["MIS_Status"] == "CHGOFF") for row in labelled]
    found = discrimination.bit_evidence(outcomes, [int(row[inputs["column"]]) % 12 != 0 for row in labelled])
    assert found is not None
    return {
        "not_multiple_of_12": {"n": found.rows_yes, "rate": found.rate_yes},
        "multiple_of_12": {"n": found.rows_no, "rate": found.rate_no},
    }


COMPUTED_BY: dict[str, Callable[[Facts], Facts]] = {
    "credit-pdo": pdo,
    "credit-woe": woe,
    "credit-psi": psi,
    "credit-irb": irb,
    "credit-price": break_even,
    "credit-el-legs": el_legs,
    "credit-crm": crm,
    "credit-lgd": lgd,
    "credit-stage": stage,
    "credit-five-class": five_class,
    "credit-uscc": uscc,
    "credit-id": identity_number,
    "credit-forest-ltv": forest_ltv,
    "credit-self-valuation": self_valuation,
    "credit-interest-subsidy": subsidy,
    "credit-reguarantee": reguarantee,
    "credit-wuning": wuning,
    "credit-missing-valuation": missing_valuation,
    "credit-missing-pd": missing_pd,
    "credit-data": data,
    "credit-leak": leak,
}


def agree(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, dict):
        return all(agree(found[name], value, tolerance) for name, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(agree(a, b, tolerance) for a, b in zip(found, expected, strict=True))
    if isinstance(expected, str) and isinstance(found, (int, float)):
        expected = float(expected)
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return bool(found == expected)
    return math.isclose(found, expected, rel_tol=0, abs_tol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_worked_example_is_reproduced(case: Facts) -> None:
    family = max((name for name in COMPUTED_BY if case["id"].startswith(name)), key=len)
    found = COMPUTED_BY[family](case["inputs"])
    stated = case["tolerance"]
    tolerances: dict[str, float] = stated if isinstance(stated, dict) else {}
    common: float = 0.0 if stated is None or tolerances else stated
    for name, value in case["expected"].items():
        assert agree(found[name], value, tolerances.get(name, common)), f"{name}: {found[name]!r}, expected {value!r}"


def test_every_case_names_its_source() -> None:
    assert all(case["source"] and case["verified"] for case in CASES)
    assert len({case["id"] for case in CASES}) == len(CASES)
