"""The HTTP door of insurance, a blueprint for each noun: translate, nothing else."""

from services.insurance.routes import bulk_pricing, capacities, claims, covers, policies, prices

BLUEPRINTS = (
    prices.blp,
    bulk_pricing.blp,
    covers.blp,
    policies.blp,
    claims.blp,
    capacities.blp,
)
