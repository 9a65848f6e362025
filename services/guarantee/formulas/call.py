"""A called guarantee: cash first, claims on the others, who bears it.        docs/equations/guarantee.md (G33)-(G39)

C  balance called  [fen]      α, β, γ, δ, ε  shares of primary, province, national, bank, pool  [bp]
Three views of one call: gross to the bank, net after reimbursement, cash now and later.
"""

from collections.abc import Collection, Mapping

from services.guarantee.formulas.split import PARTIES, largest_remainder, split

REIMBURSERS = ("province", "national", "pool")


def gross_payment(called: int, shares_bp: Mapping[str, int]) -> int:
    """Eq. (G33): cash the primary guarantor pays the bank first, C less the bank's part, (1 − δ)·C. [fen]

    Source: national financing guarantee fund rules, cash order. Verified: read.

    >>> gross_payment(300_000_000, {"primary": 4_000, "province": 3_000, "bank": 2_000, "pool": 1_000})
    240000000
    """
    return called - split(called, shares_bp)["bank"]


def reimbursement_claims(called: int, shares_bp: Mapping[str, int]) -> dict[str, int]:
    """Eq. (G34): what the primary claims back from province, national fund and pool, β·C, γ·C, ε·C. [fen]

    Source: national financing guarantee fund rules, cash order. Verified: read.

    >>> reimbursement_claims(300_000_000, {"primary": 4_000, "province": 3_000, "bank": 2_000, "pool": 1_000})
    {'province': 90000000, 'national': 0, 'pool': 30000000}
    """
    parts = split(called, shares_bp)
    return {party: parts[party] for party in REIMBURSERS}


def capped_claims(claims: Mapping[str, int], rooms: Mapping[str, int]) -> dict[str, int]:
    """Eq. (G35): what reimbursers pay under their caps or balances, min(claim, room); no room given is no cap. [fen]

    Source: re-guarantee contracts with a cap. Verified: no.

    >>> capped_claims({"province": 90, "pool": 30}, rooms={"pool": 10})
    {'province': 90, 'pool': 10}
    """
    return {party: min(claim, max(rooms.get(party, claim), 0)) for party, claim in claims.items()}


def finally_borne(called: int, shares_bp: Mapping[str, int], reimbursed: Mapping[str, int]) -> dict[str, int]:
    """Eq. (G36): what each party bears in the end; what is not reimbursed stays with the primary guarantor. [fen]

    Source: national financing guarantee fund rules, cash order. Verified: read.

    >>> finally_borne(100, {"primary": 4_000, "province": 3_000, "bank": 2_000, "pool": 1_000}, {"province": 30})
    {'primary': 50, 'province': 30, 'national': 0, 'bank': 20, 'pool': 0}
    """
    claims = reimbursement_claims(called, shares_bp)
    if any(not 0 <= reimbursed.get(party, 0) <= claims[party] for party in REIMBURSERS):
        raise ValueError(f"nobody reimburses more than was claimed: {dict(reimbursed)} of {claims}")
    borne = {party: reimbursed.get(party, 0) for party in PARTIES if party in REIMBURSERS}
    bank = split(called, shares_bp)["bank"]
    borne["bank"], borne["primary"] = bank, called - bank - sum(borne.values())
    return {party: borne[party] for party in PARTIES}


def net_recovery(recovered: int, costs: int) -> int:
    """Eq. (G37): recovery left to share after agreed costs, max(r − k, 0). [fen]

    Source: contract data; that costs come first is not verified. Verified: no.

    >>> net_recovery(50_000_000, costs=2_000_000)
    48000000
    """
    if min(recovered, costs) < 0:
        raise ValueError(f"recovery and costs are not below 0: {recovered}, {costs}")
    return max(recovered - costs, 0)


def recovery_shares(net_recovery: int, shares_bp: Mapping[str, int], sharing: Collection[str]) -> dict[str, int]:
    """Eq. (G38): recovery back pro rata to risk shares of the sharing parties, (r − k)·share / Σ sharing. [fen]

    Source: pro rata rule of the national fund; that the bank shares is contract data. Verified: secondary.

    >>> recovery_shares(100, {"primary": 4_000, "province": 3_000, "bank": 3_000}, sharing=("primary", "province"))
    {'primary': 57, 'province': 43, 'national': 0, 'bank': 0, 'pool': 0}
    """
    weights = [shares_bp.get(party, 0) if party in sharing else 0 for party in PARTIES]
    return dict(zip(PARTIES, largest_remainder(net_recovery, weights), strict=True))


def subrogated_claim(paid: int, recovered: int) -> int:
    """Eq. (G39): claim on the debtor that passed to the guarantor, paid less recovered for it, at least 0. [fen]

    Source: Civil Code art. 700. Verified: read.

    >>> subrogated_claim(paid=240, recovered=40)
    200
    """
    return max(paid - recovered, 0)
