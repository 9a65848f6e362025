"""Our copies of the register's valuations."""

from marshmallow import fields

from services.credit.schemas.common import money, rate
from shared.fields import Base, Moment, Names, PageQuery, Quantity, page_of


class ValuationQuery(PageQuery):
    """Which valuations to list."""

    county = fields.String(load_default=None)


class ValuationResponse(Base):
    """Our copy of the latest valuation of a forest."""

    asset_id = fields.UUID(required=True)
    valuation_id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    as_of = fields.Date(required=True)
    valid_until = fields.Date(required=True)
    county = fields.String(required=True)
    area_ha = rate(required=True)
    title_until = fields.Date(required=True)
    crediting_until = fields.Date(required=True)
    hazards = fields.Dict(required=True)
    forecast_tonnes = Quantity(places=3, required=True)
    free_tonnes = Quantity(places=3, required=True)
    pledged_tonnes = Quantity(places=3, required=True)
    spot_price = money(required=True)
    pv_mean = money(required=True)
    pv_p05 = money(required=True)
    pv_p10 = money(required=True)
    pv_p50 = money(required=True)
    pv_p90 = money(required=True)
    pv_p95 = money(required=True)
    liquidity_haircut = rate(required=True)
    unverified_parameters = Names(required=True)
    received_at = Moment(required=True)


VALUATION_PAGE = page_of(ValuationResponse(), "ValuationPage")
