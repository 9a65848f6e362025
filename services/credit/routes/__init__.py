"""The HTTP door of credit, a blueprint for each noun: translate, nothing else."""

from services.credit.routes import approvals, loans, parties, paths, prices, scores, servicing, valuations

BLUEPRINTS = (
    scores.blp,
    parties.blp,
    loans.blp,
    servicing.blp,
    valuations.blp,
    approvals.blp,
    paths.blp,
    prices.blp,
)
