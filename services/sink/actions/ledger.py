"""The ledger of units: each movement is a posting whose lines balance, and a block is never changed, only spent.

This is the one place where an asset's counters move: they follow the lines, and the database sees that they agree.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.sink.tables import (
    FORECAST,
    LIENS,
    PROGRAMME,
    Asset,
    Issuance,
    Pledge,
    Posting,
    UnitEntry,
    unspent,
    written,
)
from shared import clock
from shared.errors import ConflictError
from shared.ids import uuid7

ZERO = Decimal("0.000")
#: The counter of an asset that follows an account; issued units follow from what the programme gives.
_COUNTERS = {
    "pledged": "pledged_tonnes",
    "frozen": "pledged_tonnes",
    "enforced": "enforced_tonnes",
    "transferred": "transferred_tonnes",
    "retired": "retired_tonnes",
    "cancelled": "cancelled_tonnes",
    "buffer": "buffer_tonnes",
    "buffer_cancelled": "buffer_tonnes",
}


class HolderError(ConflictError):
    """Nobody gives what they do not have."""

    kind, title = "not-held", "The account does not hold so many units"


def whole(tonnes: Decimal) -> int:
    """Whole units in an amount; a fraction of a tonne is none."""
    return int(tonnes.to_integral_value(ROUND_FLOOR))


class Entry:
    """A posting being written on a locked asset: takes blocks, brings them elsewhere, moves the counters along.

    A loss takes from the pooled buffer, so it is posted on whichever forests gave the units. Their counters say what
    they gave, which no loss changes: those forests need no lock.
    """

    def __init__(
        self,
        session: Session,
        asset: Asset,
        kind: str,
        *,
        subject_id: UUID | None = None,
        reason: str | None = None,
        holder: str | None = None,
    ) -> None:
        self._session, self._asset = session, asset
        #: Each range that went where it was to go, what stayed behind not counted.
        self.moved: list[UnitEntry] = []
        self.posting = Posting(
            id=uuid7(),
            asset_id=asset.id,
            kind=kind,
            subject_id=subject_id,
            reason=reason,
            holder=holder,
            tonnes=ZERO,
            serials=[],
            posted_at=clock.now(),
        )
        self._lines: list[UnitEntry] = []

    def issue(self, issuance: Issuance) -> "Units":
        """Bring the units of an issuance in; where to is said of the answer."""
        self._line(PROGRAMME, -(issuance.tonnes + issuance.buffer_tonnes), block=_range(issuance))
        return Units(self, [(issuance.id, issuance.first_serial, issuance.last_serial)])

    def take(self, blocks: Iterable[UnitEntry], tonnes: int) -> "Units":
        """Take so many units out of blocks, the first serials first; the rest of a split block stays where it was."""
        taken: list[tuple[UUID, int, int]] = []
        for block in blocks:
            if not tonnes:
                break
            first, last = _serials(block)
            end = min(last, first + tonnes - 1)
            self._spend(block)
            taken.append((_issuance(block), first, end))
            tonnes -= end - first + 1
            if end < last:
                self._line(
                    block.account,
                    Decimal(last - end),
                    block=(_issuance(block), end + 1, last),
                    holder=block.holder,
                    lien=_lien(block),
                )
        if tonnes:
            raise HolderError(f"{tonnes} t more than the account holds")
        return Units(self, taken)

    def from_(self, account: str) -> bool:
        """Whether anything was taken out of an account."""
        return any(line.account == account and line.spends for line in self._lines)

    def bring(
        self, block: tuple[UUID, int, int], account: str, holder: str | None, lien: tuple[UUID, int] | None
    ) -> None:
        """Bring a range of serials into an account."""
        tonnes = Decimal(block[2] - block[1] + 1)
        self.moved.append(self._line(account, tonnes, block=block, holder=holder, lien=lien))

    def on_forecast(self, pledge: tuple[UUID, int], tonnes: Decimal, account: str = "pledged") -> None:
        """Lay a lien on units that are not issued yet."""
        if tonnes:
            self._line(FORECAST, -tonnes)
            self._line(account, tonnes, lien=pledge)

    def off_forecast(self, line: UnitEntry, tonnes: Decimal) -> None:
        """Lift a part of a lien on the forecast, or all of it."""
        if tonnes:
            self._spend(line)
            self._line(FORECAST, tonnes)
            if line.tonnes > tonnes:
                self._line(line.account, line.tonnes - tonnes, holder=line.holder, lien=_lien(line))

    def relabel(self, line: UnitEntry, account: str, holder: str | None = None) -> None:
        """Move a whole line under a lien, issued or not, to another account under the same lien."""
        self._spend(line)
        block = None if line.first_serial is None else (_issuance(line), *_serials(line))
        made = self._line(account, line.tonnes, block=block, holder=holder, lien=_lien(line))
        if block:
            self.moved.append(made)

    def post(self, tonnes: Decimal | None = None) -> list[str]:
        """Write the posting; returns the serial ranges that moved."""
        self._asset.settle()
        self.posting.tonnes = total(self.moved) if tonnes is None else tonnes
        self.posting.serials = serials(self._session, self.moved)
        self._session.add(self.posting)
        self._session.flush()
        self._session.add_all(self._lines)
        self._session.flush()
        return self.posting.serials

    def _spend(self, line: UnitEntry) -> None:
        block = None if line.first_serial is None else (_issuance(line), *_serials(line))
        self._line(line.account, -line.tonnes, block=block, holder=line.holder, lien=_lien(line), spends=line.id)

    def _line(
        self,
        account: str,
        tonnes: Decimal,
        *,
        block: tuple[UUID, int, int] | None = None,
        holder: str | None = None,
        lien: tuple[UUID, int] | None = None,
        spends: UUID | None = None,
    ) -> UnitEntry:
        issuance_id, first, last = block or (None, None, None)
        pledge_id, rank = lien or (None, None)
        line = UnitEntry(
            id=uuid7(),
            posting_id=self.posting.id,
            asset_id=self._asset.id,
            issuance_id=issuance_id,
            account=account,
            holder=holder,
            pledge_id=pledge_id,
            rank=rank,
            first_serial=first,
            last_serial=last,
            tonnes=tonnes,
            spends=spends,
        )
        self._lines.append(line)
        if account in _COUNTERS:
            counter = _COUNTERS[account]
            setattr(self._asset, counter, getattr(self._asset, counter) + tonnes)
        if account == PROGRAMME:
            self._asset.issued_tonnes -= tonnes
        elif account in ("buffer", "buffer_cancelled"):
            # What is set aside was never the owner's.
            self._asset.issued_tonnes -= tonnes
        return line


class Units:
    """Units in hand: taken out of an account, and all of them to be brought into others."""

    def __init__(self, entry: Entry, ranges: list[tuple[UUID, int, int]]) -> None:
        self._entry, self._ranges = entry, ranges

    @property
    def count(self) -> int:
        """How many are left in hand."""
        return sum(last - first + 1 for _, first, last in self._ranges)

    def to(
        self,
        account: str,
        count: int | None = None,
        *,
        holder: str | None = None,
        lien: tuple[UUID, int] | None = None,
    ) -> None:
        """Bring so many of them, the first first, into an account; all that are left if not said."""
        left = self.count if count is None else count
        while left:
            issuance_id, first, last = self._ranges.pop(0)
            end = min(last, first + left - 1)
            self._entry.bring((issuance_id, first, end), account, holder, lien)
            left -= end - first + 1
            if end < last:
                self._ranges.insert(0, (issuance_id, end + 1, last))


# -- what stands ------------------------------------------------------------------------------------------------------


def blocks(session: Session, asset: Asset, *accounts: str, holder: str | None = None) -> list[UnitEntry]:
    """Issued units that stand in some accounts of a holder; of the forest's owner if none is named. By serial."""
    statement = select(UnitEntry).where(
        UnitEntry.asset_id == asset.id,
        UnitEntry.account.in_(accounts),
        UnitEntry.first_serial.is_not(None),
        UnitEntry.holder.is_not_distinct_from(holder),
        unspent(),
    )
    return list(session.scalars(statement.order_by(UnitEntry.first_serial)))


def pooled(session: Session, asset: Asset, count: int) -> list[UnitEntry]:
    """Blocks of the pooled buffer that hold so many units: those the asset gave first, then by serial."""
    statement = (
        select(UnitEntry)
        .join(Asset, Asset.id == UnitEntry.asset_id)
        .where(
            Asset.registrar == asset.registrar,
            Asset.programme == asset.programme,
            UnitEntry.account == "buffer",
            unspent(),
        )
        .order_by(UnitEntry.asset_id != asset.id, UnitEntry.first_serial)
    )
    # A block is one unit at least.
    return list(session.scalars(statement.limit(count)))


def liens(session: Session, asset: Asset, pledge_id: UUID | None = None) -> list[UnitEntry]:
    """Lines under a lien, by rank, within a rank what is not issued yet first; of one pledge if named."""
    statement = select(UnitEntry).where(UnitEntry.asset_id == asset.id, UnitEntry.account.in_(LIENS), unspent())
    if pledge_id is not None:
        statement = statement.where(UnitEntry.pledge_id == pledge_id)
    return list(session.scalars(statement.order_by(UnitEntry.rank, UnitEntry.first_serial.nulls_first())))


def total(lines: Iterable[UnitEntry]) -> Decimal:
    """Tonnes of some lines. [tCO2e]"""
    return sum((line.tonnes for line in lines), ZERO)


def serials(session: Session, lines: Sequence[UnitEntry]) -> list[str]:
    """Serial ranges of some lines, written out, those that meet in one batch joined."""
    issued = sorted((_serials(line), _issuance(line)) for line in lines if line.first_serial is not None)
    if not issued:
        return []
    ids = {issuance_id for _, issuance_id in issued}
    batches = {
        row.id: row.batch for row in session.execute(select(Issuance.id, Issuance.batch).where(Issuance.id.in_(ids)))
    }
    joined: list[tuple[UUID, int, int]] = []
    for (first, last), issuance_id in issued:
        if joined and joined[-1][0] == issuance_id and joined[-1][2] + 1 == first:
            joined[-1] = (issuance_id, joined[-1][1], last)
        else:
            joined.append((issuance_id, first, last))
    return [written(batches[issuance_id], first, last) for issuance_id, first, last in joined]


# -- liens ------------------------------------------------------------------------------------------------------------


def lay(session: Session, asset: Asset, pledge: Pledge) -> list[str]:
    """Lay a new lien: on the forecast as far as it is free, the rest on issued units.

    The forecast comes first because that is what a valuation values. Issued units are whole, so a fraction of a tonne
    lies on the forecast even if that is all taken. The caller has seen that so much is free in all, and the issued unit
    that the fraction leaves in its account is not free to be used.
    """
    entry = Entry(session, asset, "pledge", subject_id=pledge.id)
    key = (pledge.id, pledge.rank)
    on_forecast = total(line for line in liens(session, asset) if line.first_serial is None)
    free = max(ZERO, asset.forecast_tonnes - on_forecast)
    issued = whole(max(ZERO, pledge.tonnes - free))
    if issued:
        entry.take(blocks(session, asset, "free"), issued).to("pledged", lien=key)
    entry.on_forecast(key, pledge.tonnes - issued)
    return entry.post(pledge.tonnes)


def liftable(session: Session, asset: Asset, pledge: Pledge, tonnes: Decimal) -> Decimal:
    """The most of so many tonnes that can be lifted off a lien: all of the forecast, of issued units whole ones."""
    forecast = sum((line.tonnes for line in liens(session, asset, pledge.id) if line.first_serial is None), Decimal(0))
    return min(tonnes, forecast + whole(max(Decimal(0), tonnes - forecast)))


def lift(session: Session, asset: Asset, pledge: Pledge, tonnes: Decimal, reason: str) -> list[str]:
    """Lift so much of a lien: off the forecast first, so that the bank keeps what is issued longest."""
    entry = Entry(session, asset, "release", subject_id=pledge.id, reason=reason)
    left = tonnes
    lines = liens(session, asset, pledge.id)
    for line in lines:
        if line.first_serial is None:
            part = min(left, line.tonnes)
            entry.off_forecast(line, part)
            left -= part
    if left != whole(left):
        raise ConflictError(f"issued units are whole: {left} t of them cannot be released")
    if left:
        entry.take([line for line in lines if line.first_serial is not None], whole(left)).to("free")
    return entry.post(tonnes)


def relabel(session: Session, asset: Asset, pledge: Pledge, kind: str, account: str, holder: str | None) -> list[str]:
    """Move all that lies under a lien to another account under the same lien: frozen, or enforced."""
    entry = Entry(session, asset, kind, subject_id=pledge.id, holder=holder)
    for line in liens(session, asset, pledge.id):
        entry.relabel(line, account, holder)
    return entry.post(pledge.tonnes)


def mint(session: Session, asset: Asset, issuance: Issuance) -> bool:
    """Bring an issuance into the ledger: the buffer first, then the liens on the forecast by rank, the rest is free.

    A fraction of a tonne under a lien stays on the forecast. Says whether units came under a lien.
    """
    # Read before a counter moves: whether more is spoken for than there is, is settled with the posting.
    held = liens(session, asset)
    entry = Entry(session, asset, "issue", subject_id=issuance.id)
    units = entry.issue(issuance)
    units.to("buffer", whole(issuance.buffer_tonnes))
    for line in held:
        count = min(units.count, whole(line.tonnes)) if line.first_serial is None else 0
        if count:
            entry.off_forecast(line, Decimal(count))
            units.to(line.account, count, holder=line.holder, lien=_lien(line))
    units.to("free")
    entry.post()
    return any(line.pledge_id for line in entry.moved)


def _range(issuance: Issuance) -> tuple[UUID, int, int]:
    return issuance.id, issuance.first_serial, issuance.last_serial


def _serials(line: UnitEntry) -> tuple[int, int]:
    assert line.first_serial is not None and line.last_serial is not None  # noqa: PT018 - a CHECK holds it
    return line.first_serial, line.last_serial


def _issuance(line: UnitEntry) -> UUID:
    assert line.issuance_id is not None
    return line.issuance_id


def _lien(line: UnitEntry) -> tuple[UUID, int] | None:
    return None if line.pledge_id is None or line.rank is None else (line.pledge_id, line.rank)
