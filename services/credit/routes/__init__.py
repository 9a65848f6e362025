"""The HTTP door of credit, a blueprint for each noun: translate, nothing else."""

from services.credit.routes import (
    approvals,
    documents,
    loans,
    monitoring,
    parties,
    paths,
    prescreens,
    prices,
    reviews,
    scores,
    servicing,
    valuations,
    watching,
)

BLUEPRINTS = (
    scores.blp,
    parties.blp,
    prescreens.blp,
    loans.blp,
    documents.blp,
    servicing.blp,
    valuations.blp,
    approvals.blp,
    reviews.blp,
    paths.blp,
    prices.blp,
    monitoring.blp,
    watching.blp,
)
