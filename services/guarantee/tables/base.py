"""What every table of guarantee stands on."""

from sqlalchemy.orm import DeclarativeBase, Mapped

from shared import db
from shared.db import MoneyColumn
from shared.events.parts import Shares


class Base(DeclarativeBase):
    """The guarantee service's own metadata."""

    metadata = db.metadata()


class FiveParts:
    """An amount split between the five parties."""

    share_primary: Mapped[MoneyColumn]
    share_province: Mapped[MoneyColumn]
    share_national: Mapped[MoneyColumn]
    share_bank: Mapped[MoneyColumn]
    share_pool: Mapped[MoneyColumn]

    @property
    def shares(self) -> Shares:
        """The five parts, as events carry them."""
        return Shares(
            primary=self.share_primary,
            province=self.share_province,
            national=self.share_national,
            bank=self.share_bank,
            pool=self.share_pool,
        )


#: SQL: what the five parts add up to.
FIVE_PARTS = "share_primary + share_province + share_national + share_bank + share_pool"
