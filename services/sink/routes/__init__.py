"""The sink's HTTP door, a blueprint for each noun."""

from services.sink.routes import assets, measurements, price_histories, prices, reversals, units, valuations

BLUEPRINTS = (
    assets.blp,
    measurements.blp,
    valuations.blp,
    prices.blp,
    price_histories.blp,
    reversals.blp,
    units.blp,
)
