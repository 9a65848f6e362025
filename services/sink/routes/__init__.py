"""The sink's HTTP door, a blueprint for each noun."""

from services.sink.routes import assets, certificates, ledger, prices, projects, reversals, units, valuations

BLUEPRINTS = (
    assets.blp,
    valuations.blp,
    prices.blp,
    reversals.blp,
    units.blp,
    ledger.blp,
    certificates.blp,
    projects.blp,
)
