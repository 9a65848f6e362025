"""The sink's HTTP door, a blueprint for each noun."""

from services.sink.routes import assets, eligibility, imports, measurements, prices, reversals, units, valuations

BLUEPRINTS = (
    assets.blp,
    imports.blp,
    eligibility.blp,
    measurements.blp,
    valuations.blp,
    prices.blp,
    reversals.blp,
    units.blp,
)
