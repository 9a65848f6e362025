"""What the registry of forests tells: assets, valuations, pledges, reversals, issued and retired credits."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import Event, Money, Rate, Tonnes, declared
from shared.events.parts import Reason

Peril = Literal["fire", "pest", "drought", "frost_snow", "wind", "flood", "harvest"]


@dataclass(frozen=True, kw_only=True)
class SpeciesShare:
    """One species of a mix; shares of a mix sum to 1."""

    species: str
    share: Rate


@dataclass(frozen=True, kw_only=True)
class Removals:
    """Net tonnes issuable at one verification date."""

    verified_on: date
    mean: Tonnes
    p10: Tonnes
    p50: Tonnes
    p90: Tonnes


@dataclass(frozen=True, kw_only=True)
class PresentValue:
    """Distribution of the present value of the asset's carbon, issued units included."""

    mean: Money
    p05: Money
    p10: Money
    p50: Money
    p90: Money
    p95: Money
    p25: Money | None = None
    p75: Money | None = None
    #: Mean of the worst 5 % of the draws.
    expected_shortfall: Money | None = None


@dataclass(frozen=True, kw_only=True)
class VarianceShares:
    """Where the uncertainty comes from; the parts sum to 1."""

    growth: Rate
    sampling: Rate
    model: Rate
    reversal: Rate
    price: Rate


@dataclass(frozen=True, kw_only=True)
class Units:
    """Balance of an asset's units: forecast ones may be pledged, issued ones pledged or retired."""

    free: Tonnes
    pledged: Tonnes
    retired: Tonnes


@dataclass(frozen=True, kw_only=True)
class SinkEvent(Event):
    """Anything that happens to one asset."""

    TOPIC: ClassVar[str] = "sink.events"
    KEY: ClassVar[str] = "asset_id"

    asset_id: UUID


@declared
@dataclass(frozen=True, kw_only=True)
class AssetRegistered(SinkEvent):
    """A forest entered the register."""

    name: str
    kind: Literal["forest", "grassland", "wetland"]
    county: str
    area_ha: Rate
    species: tuple[SpeciesShare, ...]
    planted_year: int
    longitude: Rate
    latitude: Rate
    title_until: date
    crediting_until: date


@declared
@dataclass(frozen=True, kw_only=True)
class CarbonAssetValued(SinkEvent):
    """A forest's carbon was valued: the one valuation every underwriter works from."""

    STATE_TOPIC: ClassVar[str | None] = "sink.valuations"

    valuation_id: UUID
    version: int
    as_of: date
    valid_until: date
    methodology: str
    inputs_hash: str
    parameters_hash: str
    engine_version: str
    seed: int
    county: str
    area_ha: Rate
    species: tuple[SpeciesShare, ...]
    longitude: Rate
    latitude: Rate
    title_until: date
    crediting_until: date
    hazards: dict[str, Rate]
    removals: tuple[Removals, ...]
    price_curve: str
    spot_price: Money
    present_value: PresentValue
    variance_shares: VarianceShares
    uncertainty_deduction: Rate
    buffer: Rate
    liquidity_haircut: Rate
    units: Units
    unverified_parameters: tuple[str, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class ReversalReported(SinkEvent):
    """A fire or another peril took carbon from a forest. Live loss and loss to the air are two numbers."""

    reversal_id: UUID
    peril: Peril
    occurred_on: date
    county: str
    severity: Rate
    damaged_ha: Rate
    event_area_ha: Rate
    live_carbon_lost: Tonnes
    carbon_emitted: Tonnes
    value_before: PresentValue
    value_after: PresentValue


@declared
@dataclass(frozen=True, kw_only=True)
class CreditsIssued(SinkEvent):
    """The programme issued credits for a vintage."""

    issuance_id: UUID
    vintage_from: date
    vintage_to: date
    tonnes: Tonnes
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class CreditsRetired(SinkEvent):
    """Credits were used up, for a stated reason."""

    retirement_id: UUID
    tonnes: Tonnes
    reason: str
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class CreditsCancelled(SinkEvent):
    """Credits were taken back without being used, for a stated reason: free ones, or ones of the buffer."""

    posting_id: UUID
    account: Literal["free", "transferred", "buffer"]
    tonnes: Tonnes
    reason: str
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class CreditsTransferred(SinkEvent):
    """Credits went to another holder."""

    posting_id: UUID
    holder: str
    tonnes: Tonnes
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PledgeEvent(SinkEvent):
    """Anything that happens to a lien of one bank on one asset for one loan."""

    loan_id: UUID
    bank: str


@declared
@dataclass(frozen=True, kw_only=True)
class PledgePlaced(PledgeEvent):
    """A lien was entered: these tonnes stand for this loan and for no other."""

    pledge_id: UUID
    tonnes: Tonnes
    rank: int
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class PledgeRefused(PledgeEvent):
    """A lien could not be entered; none of the loan's liens was."""

    reasons: tuple[Reason, ...]


@declared
@dataclass(frozen=True, kw_only=True)
class PledgeReleased(PledgeEvent):
    """A lien was struck out; the tonnes are free again."""

    pledge_id: UUID
    tonnes: Tonnes
    reason: str
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class PledgeReduced(PledgeEvent):
    """The bank let go of a part of a lien; the lien stands for what is left."""

    pledge_id: UUID
    tonnes: Tonnes
    left: Tonnes
    reason: str
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()


@declared
@dataclass(frozen=True, kw_only=True)
class TransferAgreed(PledgeEvent):
    """The bank agreed that the registrar writes units that it took over over to somebody."""

    pledge_id: UUID
    consent_id: UUID
    tonnes: Tonnes
    to: str


@declared
@dataclass(frozen=True, kw_only=True)
class PledgeEnforced(PledgeEvent):
    """The pledged units were taken over for the bank's account."""

    pledge_id: UUID
    tonnes: Tonnes
    #: Serial ranges, written out: batch, first and last number.
    serials: tuple[str, ...] = ()
