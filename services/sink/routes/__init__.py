"""The sink's HTTP door, a blueprint for each noun."""

from services.sink.routes import assets, price_histories, prices, reversals, units, valuations

BLUEPRINTS = (assets.blp, valuations.blp, prices.blp, price_histories.blp, reversals.blp, units.blp)
