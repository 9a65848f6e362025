"""Insurance: many prices against the model's own prediction, and one over HTTP against the least Flask can do."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from deploy.embedded import EmbeddedPostgres
from services.insurance.actions import PARAMETERS, pricing
from services.insurance.peril_model import ServedModel, served_model
from services.insurance.training.command import FIRES, document_of
from services.insurance.training.fit import fit
from services.insurance.training.panel import read_mapping, read_panel
from shared import clock
from tests.bench import http
from tests.bench.harness import Row, compare, measure
from tests.conftest import make_database
from tests.harness import INSURER, issuer, token
from tests.insurance.examples import HAZARDS

PARCELS, ROUNDS = 100_000, 7
ASKED = {
    "forests": [
        {
            "county": "youyu",
            "value": {"amount": "1000000.00", "currency": "CNY"},
            "hazards": {peril: str(score) for peril, score in HAZARDS.items()},
        }
    ],
    "term_months": 24,
}


def rows(postgres: EmbeddedPostgres) -> list[Row]:
    """Measure both."""
    return [_many(), _one(postgres)]


def _many() -> Row:
    tariff, model = pricing.Tariff(PARAMETERS.at(clock.today())), _trained()
    rng = np.random.default_rng(0)
    sums = rng.integers(10_000, 100_000_000, PARCELS).astype(np.float64)
    scores = rng.uniform(0, 0.9, (PARCELS, len(tariff.perils)))
    traits = [{"slope_deg": slope, "fuel": "high"} for slope in rng.uniform(0, 60, PARCELS)]
    relativities = tariff.many_relativities(["larix_principis"] * PARCELS, traits)
    sites = {name: rng.normal(mean, abs(mean) / 4 + 0.1, PARCELS) for name, mean in _middle(model).items()}
    return compare(
        "prices",
        f"price {PARCELS:,} parcels of six perils vs the peril model's own prediction",
        lambda: http.cpu_of(lambda: pricing.price_many(tariff, sums, scores, relativities)),
        lambda: http.cpu_of(lambda: model.rates(sites)),
        unit="s CPU",
        goal=1 / 1.5,
        rounds=ROUNDS,
        note="ours: rate, payments after terms, margin, loadings, credits, minimum, split to the fen; the model:"
        " frequency times severity of one peril, trained on the shipped fires",
    )  # fmt: skip


def _middle(model: ServedModel) -> Mapping[str, float]:
    return {name: float(value) for name, value in model.document["reference"].items()}


def _trained() -> ServedModel:
    mapping = read_mapping(FIRES / "clm_mapping.json")
    panel = read_panel(FIRES / "clm_fires_1998_2004.csv", mapping, Path(FIRES))
    return served_model(document_of(fit(panel, mapping["interactions"]), panel, mapping, "0" * 64), "", "bench")


def _one(postgres: EmbeddedPostgres) -> Row:
    database = make_database(postgres, "insurance", "bench_price")
    environment = {
        "HEARTWOOD_DATABASE_URL": database.app.url.render_as_string(hide_password=False),
        "HEARTWOOD_JWKS": str(issuer().jwks),
    }
    content = json.dumps(ASKED).encode()
    asked, bare = http.request("/v1/price", content, token("insurer", INSURER)), http.request("/v1/price", content, "")
    try:
        with ExitStack() as stack:
            load = stack.enter_context(http.generator())
            echo = stack.enter_context(http.server("echo", {}))
            insurance = stack.enter_context(http.server("insurance", environment))

            def cost(server: http.Server, sent: bytes) -> float:
                before = server.cpu()
                load(server, sent, http.REQUESTS // 2)
                return (server.cpu() - before) / (http.REQUESTS // 2) * 1e6

            costs = measure("prices: one over HTTP", lambda: cost(insurance, asked), lambda: cost(echo, bare), ROUNDS)
    finally:
        database.dispose()
    return Row.of(
        "prices",
        "price of one forest vs Flask echo, CPU of the server",
        costs,
        unit="µs CPU per request",
        goal=0.55,
        note="ours checks a token and the body, prices six perils and answers with every step; the echo the same body",
    )
