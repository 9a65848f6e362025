"""Files of many parcels on their way into the register."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.sink.tables.base import Base
from shared.db import Id, Institution, Moment


class AssetImport(Base):
    """A file of parcels on its way into the register; its id is that of the job that reads it."""

    __tablename__ = "asset_imports"
    __table_args__ = (
        CheckConstraint("format IN ('rows', 'csv', 'xlsx', 'geojson')", name="format"),
        CheckConstraint("registered >= 0 AND known >= 0 AND refused >= 0 AND errors >= 0", name="counts"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    #: As it was sent: rows of JSON, csv, xlsx or geojson.
    format: Mapped[str] = mapped_column(String(8))
    charset: Mapped[str] = mapped_column(String(16))
    #: Only checks; nothing is registered.
    dry_run: Mapped[bool]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    #: How the rows are read now (a sheet is turned into csv first), in which columns, and from which byte.
    reading: Mapped[str] = mapped_column(String(8))
    columns: Mapped[list[str]] = mapped_column(JSONB)
    start: Mapped[int] = mapped_column(BigInteger)
    #: Rows that went in, that were in the register already, that could not go in; and what was wrong with these.
    registered: Mapped[int]
    known: Mapped[int]
    refused: Mapped[int]
    errors: Mapped[int]
    created_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]


class AssetImportPiece(Base):
    """A piece of an import's file, until it is read."""

    __tablename__ = "asset_import_pieces"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("asset_imports.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    institution: Mapped[Institution]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class AssetImportError(Base):
    """What is wrong with a row of an import."""

    __tablename__ = "asset_import_errors"
    __table_args__ = (Index("ix_asset_import_errors_import", "import_id", "id"),)

    id: Mapped[Id]
    import_id: Mapped[UUID] = mapped_column(ForeignKey("asset_imports.id"))
    institution: Mapped[Institution]
    row: Mapped[int]
    field: Mapped[str] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(String(500))


class AssetImportParcel(Base):
    """A parcel that a dry run found in order, so that the rest of the file is held against it; gone at its end."""

    __tablename__ = "asset_import_parcels"
    __table_args__ = (Index("ix_asset_import_parcels_import", "import_id", "min_latitude", "max_latitude"),)

    id: Mapped[Id]
    import_id: Mapped[UUID] = mapped_column(ForeignKey("asset_imports.id"))
    institution: Mapped[Institution]
    reference: Mapped[str | None] = mapped_column(String(64))
    geometry: Mapped[dict[str, Any]] = mapped_column(JSONB)
    min_longitude: Mapped[float]
    min_latitude: Mapped[float]
    max_longitude: Mapped[float]
    max_latitude: Mapped[float]
