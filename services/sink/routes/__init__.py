"""The sink's HTTP door, a blueprint for each noun."""

from services.sink.routes import assets, eligibility, imports, prices, reversals, units, valuations

BLUEPRINTS = (assets.blp, eligibility.blp, imports.blp, valuations.blp, prices.blp, reversals.blp, units.blp)
