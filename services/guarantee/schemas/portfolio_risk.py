"""The risk of a guarantor's book."""

from marshmallow import fields

from services.guarantee.schemas.common import Fen
from shared.fields import Base, Moment, Names


class CountyRiskSchema(Base):
    """What one county has of the book and of its risk."""

    county = fields.String(required=True)
    loans = fields.Integer(required=True)
    retained = Fen(required=True)
    expected_loss = Fen(required=True)
    vasicek_capital = Fen(required=True)
    creditrisk_capital = Fen(required=True)


class PortfolioRiskResponse(Base):
    """What the book in force may lose in a year; the counties sum to it."""

    at = Moment(required=True)
    guarantor = fields.String(required=True)
    loans = fields.Integer(required=True)
    obligors = fields.Integer(required=True)
    retained = Fen(required=True, metadata={"description": "What the guarantor keeps once all others reimburse"})
    expected_loss = Fen(required=True)
    confidence = fields.Float(required=True)
    correlation = fields.Float(required=True)
    vasicek_capital = Fen(required=True)
    volatility = fields.Float(required=True)
    creditrisk_sd = Fen(required=True)
    creditrisk_quantile = Fen(required=True)
    creditrisk_capital = Fen(required=True)
    counties = fields.List(fields.Nested(CountyRiskSchema()), required=True)
    parameters_hash = fields.String(required=True)
    unverified_parameters = Names(required=True)
    rules = Names(required=True)
    assumptions = Names(required=True)
