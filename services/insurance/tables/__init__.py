"""Tables of the insurance database, by noun, and the queries that several actions share."""

from services.insurance.tables.accumulations import Accumulation, AccumulationBlock
from services.insurance.tables.aggregates import AggregateLimit
from services.insurance.tables.base import Base
from services.insurance.tables.bulk import BulkPricing, BulkPricingBatch
from services.insurance.tables.capacities import Capacity, CapacityHold
from services.insurance.tables.claims import Claim, Proceeds
from services.insurance.tables.covers import Cover, CoverAsset, cover_of_loan
from services.insurance.tables.index_covers import IndexCover, IndexObservation, IndexTrigger, index_covers_on
from services.insurance.tables.policies import (
    Endorsement,
    Instalment,
    Policy,
    PolicyAsset,
    policy_of_loan,
    sum_insured_elsewhere,
)
from services.insurance.tables.reinsurance import ReinsuranceProgramme
from services.insurance.tables.reversals import Reversal
from services.insurance.tables.surveys import SiteSurvey, latest_surveys
from services.insurance.tables.valuations import Valuation, latest_valuations, lock_assets

__all__ = [
    "Accumulation",
    "AccumulationBlock",
    "AggregateLimit",
    "Base",
    "BulkPricing",
    "BulkPricingBatch",
    "Capacity",
    "CapacityHold",
    "Claim",
    "Cover",
    "CoverAsset",
    "Endorsement",
    "IndexCover",
    "IndexObservation",
    "IndexTrigger",
    "Instalment",
    "Policy",
    "PolicyAsset",
    "Proceeds",
    "ReinsuranceProgramme",
    "Reversal",
    "SiteSurvey",
    "Valuation",
    "cover_of_loan",
    "index_covers_on",
    "latest_surveys",
    "latest_valuations",
    "lock_assets",
    "policy_of_loan",
    "sum_insured_elsewhere",
]
