"""The HTTP door of guarantee, a blueprint for each noun: translate, nothing else."""

from services.guarantee.routes import allocations, bid_prices, calls, guarantees, headroom, profile, reports, schemes

BLUEPRINTS = (
    *(profile.blp, headroom.blp, guarantees.blp, calls.blp, schemes.blp, allocations.blp, bid_prices.blp),
    reports.blp,
)
