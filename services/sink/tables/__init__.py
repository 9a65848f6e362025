"""Tables of the sink database.

The register is public: every institution reads assets, valuations, price curves, reversals, issuances and retirements,
and only their registrar enters them. Pledges belong to the bank and are nobody else's business; what the world sees of
them is the sum on the asset.
"""

from services.sink.tables.accounts import AccountEntry, ZeroCarbonAccount
from services.sink.tables.assets import Asset, locked_in_order
from services.sink.tables.base import Base
from services.sink.tables.buffers import BufferPool
from services.sink.tables.certificates import Certificate
from services.sink.tables.consents import Consent
from services.sink.tables.eligibility import Evidence
from services.sink.tables.footprints import Footprint
from services.sink.tables.imports import AssetImport, AssetImportError, AssetImportParcel, AssetImportPiece
from services.sink.tables.landuse import LandUseCompensation
from services.sink.tables.ledger import ACCOUNTS, FORECAST, LIENS, MOVES, PROGRAMME, Block, Posting, UnitEntry, unspent
from services.sink.tables.measurements import Measurement
from services.sink.tables.orders import CompensationOrder, CompensationRetirement
from services.sink.tables.plantings import Adoption, Planting
from services.sink.tables.pledges import Pledge
from services.sink.tables.price_histories import PriceHistory
from services.sink.tables.prices import PriceCurve
from services.sink.tables.projects import Project, ProjectStep
from services.sink.tables.ratings import Rating
from services.sink.tables.replacements import ReplacementDuty
from services.sink.tables.reversals import Reversal
from services.sink.tables.units import Issuance, Retirement, written
from services.sink.tables.valuations import Valuation, latest_valuation

__all__ = [
    "ACCOUNTS",
    "FORECAST",
    "LIENS",
    "MOVES",
    "PROGRAMME",
    "AccountEntry",
    "Adoption",
    "Asset",
    "AssetImport",
    "AssetImportError",
    "AssetImportParcel",
    "AssetImportPiece",
    "Base",
    "Block",
    "BufferPool",
    "Certificate",
    "CompensationOrder",
    "CompensationRetirement",
    "Consent",
    "Evidence",
    "Footprint",
    "Issuance",
    "LandUseCompensation",
    "Measurement",
    "Planting",
    "Pledge",
    "Posting",
    "PriceCurve",
    "PriceHistory",
    "Project",
    "ProjectStep",
    "Rating",
    "ReplacementDuty",
    "Retirement",
    "Reversal",
    "UnitEntry",
    "Valuation",
    "ZeroCarbonAccount",
    "latest_valuation",
    "locked_in_order",
    "unspent",
    "written",
]
