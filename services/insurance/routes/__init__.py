"""The HTTP door of insurance, a blueprint for each noun: translate, nothing else."""

from services.insurance.routes import (
    accumulations,
    aggregates,
    bulk_pricing,
    capacities,
    claims,
    covers,
    index_covers,
    policies,
    prices,
    reinsurance,
    surveys,
)

BLUEPRINTS = (
    prices.blp,
    bulk_pricing.blp,
    covers.blp,
    policies.blp,
    index_covers.blp,
    claims.blp,
    surveys.blp,
    capacities.blp,
    accumulations.blp,
    reinsurance.blp,
    aggregates.blp,
)
