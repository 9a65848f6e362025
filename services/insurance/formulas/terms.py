"""Policy terms: from a loss to what the wording covers.        docs/equations/insurance.md (I41)-(I51)

Terms of type 0 are amounts, of type 1 shares of the loss, of type 2 shares of the total insured value (OED).
A limit of 0 is none.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from services.insurance.formulas.fen import whole_fen

TermType = Literal[0, 1, 2]
Array = npt.NDArray[np.float64]


def average_clause_loss(loss: float, sum_insured: float, insurable_value: float) -> float:
    """Eq. (I41): loss under the average clause, loss·min(1, SI/value). [CNY]

    Source: average clause, textbook. Verified: measured.

    >>> average_clause_loss(loss=200, sum_insured=600, insurable_value=1000)
    120.0
    """
    if min(loss, sum_insured) < 0 or insurable_value <= 0:
        raise ValueError(f"no average clause on {loss}, {sum_insured}, {insurable_value}")
    return loss * min(1.0, sum_insured / insurable_value)


def term_amount(term: float, term_type: TermType, loss: float, insured_value: float) -> float:
    """Eq. (I42): a term as money: t, t·loss or t·TIV by its type 0, 1, 2. [CNY]

    Source: Open Exposure Data field definitions. Verified: read.

    >>> term_amount(0.1, 2, loss=50.0, insured_value=200.0)
    20.0
    """
    if not term >= 0:
        raise ValueError(f"a term is not below 0: {term}")
    if term_type == 0:
        return term
    return term * (loss if term_type == 1 else insured_value)


def location_loss(
    loss: float,
    insured_value: float,
    deductible: float,
    deductible_type: TermType,
    limit: float,
    limit_type: TermType,
) -> float:
    """Eq. (I43): loss of a location after its terms, min(max(loss − ded, 0), limit). [CNY]

    Source: OasisLMF repository, validation/insurance; checked on its accounts at full damage. Verified: read.

    >>> location_loss(100.0, 100.0, deductible=10.0, deductible_type=0, limit=80.0, limit_type=0)
    80.0
    """
    if not loss >= 0:
        raise ValueError(f"a loss is not below 0: {loss}")
    after = max(loss - term_amount(deductible, deductible_type, loss, insured_value), 0.0)
    ceiling = term_amount(limit, limit_type, loss, insured_value)
    return min(after, ceiling) if limit > 0 else after


def policy_loss(
    location_losses: Sequence[float],
    insured_value: float,
    deductible: float,
    deductible_type: TermType,
    attachment: float,
    limit: float,
    share: float,
) -> float:
    """Eq. (I44): loss of a policy after its terms, share·min(max(max(Σx − ded, 0) − attachment, 0), limit). [CNY]

    Source: OasisLMF repository, validation/insurance; checked on its accounts at full damage. Verified: read.

    >>> policy_loss([60.0, 40.0], 100.0, deductible=10.0, deductible_type=0, attachment=20.0, limit=50.0, share=0.5)
    25.0
    """
    if min(attachment, limit) < 0 or not 0 <= share <= 1:
        raise ValueError(f"terms are not below 0 and a share is at most 1: {attachment}, {limit}, {share}")
    subject = math.fsum(location_losses)
    after = max(subject - term_amount(deductible, deductible_type, subject, insured_value), 0.0)
    layer = max(after - attachment, 0.0)
    return share * (min(layer, limit) if limit > 0 else layer)


def allocated_losses(location_losses: Sequence[float], policy_loss: float) -> list[float]:
    """Eq. (I45): policy loss back on its locations in proportion to their losses, y·xᵢ/Σx. [CNY]

    Source: OasisLMF repository, validation/insurance; checked on its accounts at full damage. Verified: read.

    >>> allocated_losses([60.0, 40.0], 25.0)
    [15.0, 10.0]
    """
    whole = math.fsum(location_losses)
    return [policy_loss * loss / whole if whole > 0 else 0.0 for loss in location_losses]


def effective_deductible(deductibles: Sequence[float], minimum: float, maximum: float) -> float:
    """Eq. (I46): total deductible of a policy between its minimum and maximum, a maximum of 0 is none. [CNY]

    Source: Open Exposure Data, our reading. Verified: no.

    >>> effective_deductible([5.0, 5.0], minimum=20.0, maximum=0.0)
    20.0
    """
    if min(minimum, maximum, *deductibles) < 0:
        raise ValueError(f"deductibles are not below 0: {deductibles}, {minimum}, {maximum}")
    total = max(math.fsum(deductibles), minimum)
    return min(total, maximum) if maximum > 0 else total


def franchise_payout(loss: float, franchise: float, limit: float) -> float:
    """Eq. (I47): payment under a franchise (相对免赔), all of the loss once it exceeds the franchise. [CNY]

    Source: textbook; refusal of a franchise above the limit is a project rule. Verified: no.

    >>> franchise_payout(600.0, franchise=500.0, limit=1000.0), franchise_payout(500.0, franchise=500.0, limit=1000.0)
    (600.0, 0.0)
    """
    if franchise < 0 or franchise > limit:
        raise ValueError(f"a franchise above the limit never pays: {franchise}, {limit}")
    return min(loss, limit) if loss > franchise else 0.0


def paid_area(assessed_mu: float, deductible_share: float, deductible_maximum_mu: float) -> float:
    """Eq. (I48): area paid for, A − min(share·A, maximum). [mu]

    Source: press on the Sichuan terms, 2013-02. Verified: secondary.

    >>> paid_area(40, deductible_share=0.05, deductible_maximum_mu=5), paid_area(200, 0.05, 5)
    (38.0, 195)
    """
    if assessed_mu < 0 or not 0 <= deductible_share <= 1 or deductible_maximum_mu < 0:
        raise ValueError(f"no area from {assessed_mu}, {deductible_share}, {deductible_maximum_mu}")
    return assessed_mu - min(deductible_share * assessed_mu, deductible_maximum_mu)


def degree_ladder_payout(
    sum_insured_per_mu: int, damaged_mu: float, loss_degree: float, start_degree: float, total_degree: float
) -> int:
    """Eq. (I49): payment by loss degree g: 0 to the start, SI·(g − start)·area, SI·area from the total degree. [fen]

    Source: retail forest fire clause, re-hosted text. Verified: secondary.

    >>> [degree_ladder_payout(80_000, 10, degree, 0.2, 0.9) for degree in (0.2, 0.5, 0.9)]
    [0, 240000, 800000]
    """
    if min(sum_insured_per_mu, damaged_mu) < 0 or not 0 <= loss_degree <= 1 or not 0 <= start_degree <= total_degree:
        raise ValueError(f"no payout from {sum_insured_per_mu}, {damaged_mu}, {loss_degree}")
    if loss_degree >= total_degree:
        return whole_fen(sum_insured_per_mu * damaged_mu)
    return whole_fen(sum_insured_per_mu * max(loss_degree - start_degree, 0.0) * damaged_mu)


def fire_covered(event_area_mu: float, excluded_mu: float) -> bool:
    """Eq. (I50): a fire counts only above the excluded size, judged on the whole fire and not on one parcel. [-]

    Source: standard forest fire clause, re-hosted text. Verified: secondary.

    >>> fire_covered(10.0, excluded_mu=10.0), fire_covered(10.1, excluded_mu=10.0)
    (False, True)
    """
    return event_area_mu > excluded_mu


def pest_event(loss_degree: float, threshold_degree: float) -> bool:
    """Eq. (I51): pest damage is an event from the threshold degree on, the threshold included. [-]

    Source: Guangxi forestry notice, 2013. Verified: secondary.

    >>> pest_event(0.1499, threshold_degree=0.15), pest_event(0.15, threshold_degree=0.15)
    (False, True)
    """
    return loss_degree >= threshold_degree


def losses_after_terms(
    losses: Array, deductibles: Array, deductible_rates: Array, limits: Array, limit_rates: Array, franchises: Array
) -> Array:
    """Eq. (I114): many losses after their terms, 0 up to the franchise, else min(max(L − d − δ·L, 0), l, λ·L). [CNY]

    The same as (I42), (I43) and (I47), with every term split into an amount and a share of the loss; no limit is ∞.

    Source: OasisLMF repository, validation/insurance; checked on its accounts at full damage. Verified: read.

    >>> none = np.full(2, np.inf)
    >>> losses_after_terms(np.array([100.0, 5.0]), np.full(2, 10.0), np.zeros(2), np.full(2, 80.0), none, np.zeros(2))
    array([80.,  0.])
    """
    after = np.maximum(losses * (1 - deductible_rates) - deductibles, 0)
    # 0·∞ is no number; a loss of 0 is 0 under any limit.
    most = np.minimum(limits, np.multiply(limit_rates, losses, out=np.zeros_like(after), where=losses > 0))
    return np.where((losses > franchises) | (franchises == 0), np.minimum(after, most), 0.0)


def annual_payments(year_losses: Array, thresholds: Array, deductibles: Array, limits: Array) -> Array:
    """Eq. (I115): payment of a year, 0 below the threshold, else min(max(S − deductible, 0), limit). [CNY]

    The threshold itself counts; a limit of ∞ is none.

    Source: annual aggregate cover, textbook; the threshold as in the Xinluo index cover. Verified: no.

    >>> annual_payments(np.array([200.0, 250.0]), np.array(232.0), np.array(20.0), np.array(100.0))
    array([  0., 100.])
    """
    layer = np.minimum(np.maximum(year_losses - deductibles, 0), limits)
    return np.where(year_losses >= thresholds, layer, 0.0)
