"""That forests were damaged, and when this service learnt of it."""

from datetime import date
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from services.insurance.tables.base import Base
from shared.db import Moment


class Reversal(Base):
    """That a forest was damaged, and when this service learnt of it."""

    __tablename__ = "reversals"

    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    reversal_id: Mapped[UUID] = mapped_column(primary_key=True)
    peril: Mapped[str] = mapped_column(String(16))
    occurred_on: Mapped[date]
    received_at: Mapped[Moment]
