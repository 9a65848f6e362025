"""The sink's HTTP door, a blueprint for each noun."""

from services.sink.routes import (
    accounts,
    assets,
    eligibility,
    footprints,
    imports,
    landuse,
    measurements,
    orders,
    plantings,
    price_histories,
    prices,
    programme,
    reversals,
    units,
    valuations,
)

BLUEPRINTS = (
    assets.blp,
    imports.blp,
    eligibility.blp,
    measurements.blp,
    valuations.blp,
    prices.blp,
    price_histories.blp,
    reversals.blp,
    units.blp,
    footprints.blp,
    orders.blp,
    landuse.blp,
    plantings.blp,
    accounts.blp,
    programme.blp,
)
