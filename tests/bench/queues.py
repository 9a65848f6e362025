"""Queues of loans for guarantors, drawn by one seeded generator; the same numbers give the same queue.

Amounts are drawn in wan (10,000 yuan), so that every use of a limit is a whole number of fen.
"""

from typing import Any

import numpy as np

FEN_PER_WAN = 1_000_000
#: Shares in basis points. No split for a carbon loan was ever published: used for one, each of these is synthetic.
SCHEMES = [
    {"id": "4-3-2-1", "primary": 4000, "province": 3000, "national": 0, "bank": 2000, "pool": 1000},
    {"id": "3-2-3-2", "primary": 3000, "province": 2000, "national": 3000, "bank": 2000, "pool": 0},
    {"id": "2-8", "primary": 8000, "province": 0, "national": 0, "bank": 2000, "pool": 0},
]
SECTORS = 4
#: Loss rate accepted. [bp]
CUT_OFF = 400


def queue(loans: int, guarantors: int, seed: int, tightness: float = 0.7, sparse: bool = False) -> dict[str, Any]:
    """Draw a queue in the format of docs/guarantee.md."""
    rng = np.random.default_rng(seed)
    counties, banks = int(np.clip(loans / 50, 5, 60)), int(np.clip(guarantors, 3, 12))
    county, sector, bank = (rng.integers(0, most, loans) for most in (counties, SECTORS, banks))
    wan = np.clip(np.rint(rng.lognormal(np.log(180), 0.9, loans)), 10, 3000).astype(np.int64)
    amount = wan * FEN_PER_WAN
    pd_bp = np.rint(1e4 * np.clip(rng.beta(1.6, 45, loans), 0.002, 0.30)).astype(np.int64)
    lgd_bp = np.rint(1e4 * np.clip(rng.beta(5, 6, loans), 0.10, 0.90)).astype(np.int64)
    weight = np.where(wan <= 500, 7500, 10000)
    carbon = np.rint(amount * rng.lognormal(0, 0.6, loans)).astype(np.int64)
    group = _groups(rng, loans)
    scheme = rng.choice(3, (banks, guarantors), p=[0.50, 0.35, 0.15])
    covers = np.ones((guarantors, counties), bool)
    if sparse:
        covers[:] = False
        for where in range(counties):
            covers[rng.permutation(guarantors)[:6], where] = True

    shares = {name: np.array([one[name] for one in SCHEMES]) for name in ("primary", "province", "national", "pool")}
    of_loan = scheme[bank]
    may = covers[:, county].T
    columns = may.sum(axis=1)
    mean = {name: (amount[:, None] * share[of_loan] // 10_000 * may).sum(axis=1) / columns
            for name, share in shares.items()}  # fmt: skip
    weighted = amount[:, None] * weight[:, None] // 10_000 * shares["primary"][of_loan] // 10_000
    demand = ((weighted * may).sum(axis=1) / columns).sum()
    headroom = rng.lognormal(0, 0.8, guarantors)
    headroom *= tightness * demand / headroom.sum()
    lever = rng.choice([10, 15], guarantors)
    net_assets = np.maximum(
        headroom / (lever * (1 - rng.uniform(0.40, 0.85, guarantors))),
        rng.lognormal(np.log(12_000), 0.7, guarantors) * FEN_PER_WAN,
    )
    names = [f"G{j:02d}" for j in range(guarantors)]
    buckets: list[dict[str, Any]] = []

    def bucket(kind: str, cap: float, *keys: str, **more: int) -> None:
        given = list(keys)
        buckets.append({"id": ":".join([kind, *given]), "kind": kind, "keys": given, "cap": int(cap), **more})

    for j, name in enumerate(names):
        bucket("headroom", headroom[j], name)
        bucket("loss_rate", 0.10 * CUT_OFF * headroom[j], name, cap_pd_bp=CUT_OFF)
        for where in range(counties):
            bucket("county", 3 * headroom[j] / counties, name, f"C{where:02d}")
        for what in range(SECTORS):
            bucket("sector", 0.40 * headroom[j], name, f"S{what}")
        for g in range(group.max(initial=-1) + 1):
            bucket("group", 0.15 * net_assets[j] * (1 - 0.9 * rng.beta(2, 2)), name, f"R{g}")
    bucket("province", 0.62 * mean["province"].sum())
    bucket("national", 0.62 * mean["national"].sum())
    for b in range(banks):
        bucket("bank", 0.9 * 0.20 * amount[bank == b].sum(), f"B{b:02d}")
    for where in range(counties):
        bucket("pool", 0.84 * mean["pool"].sum() / counties, f"C{where:02d}")
    return {
        "format": "guarantee-queue/1",
        "unit": "fen",
        "made": f"seeded generator: {loans} loans, {guarantors} guarantors, tightness {tightness}, seed {seed}",
        "objective": {"amount": 1, "carbon": 0.5, "el": 3},
        "schemes": SCHEMES,
        "guarantors": [
            {
                "id": name,
                "net_assets": int(net_assets[j]),
                "leverage": int(lever[j]),
                "single_cap": int(min(0.10 * net_assets[j], 5000 * FEN_PER_WAN)),
                "counties": None if not sparse else [f"C{c:02d}" for c in range(counties) if covers[j, c]],
            }
            for j, name in enumerate(names)
        ],
        "contracts": [
            {"bank": f"B{b:02d}", "guarantor": names[j], "scheme": SCHEMES[scheme[b, j]]["id"]}
            for b in range(banks)
            for j in range(guarantors)
        ],
        "buckets": buckets,
        "loans": [
            {
                "id": f"L{i:06d}", "amount": int(amount[i]), "pd_bp": int(pd_bp[i]), "lgd_bp": int(lgd_bp[i]),
                "carbon": int(carbon[i]), "weight_bp": int(weight[i]), "bank": f"B{bank[i]:02d}",
                "county": f"C{county[i]:02d}", "sector": f"S{sector[i]}",
                "group": None if group[i] < 0 else f"R{group[i]}",
            }
            for i in range(loans)
        ],
    }  # fmt: skip


def _groups(rng: np.random.Generator, loans: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Put 15 % of the loans in groups of two to six; -1 for a loan in none."""
    group = np.full(loans, -1, np.int64)
    grouped = rng.permutation(loans)[: int(0.15 * loans)]
    at = number = 0
    while at < len(grouped):
        size = int(rng.integers(2, 7))
        group[grouped[at : at + size]] = number
        at, number = at + size, number + 1
    return group
