"""What a guarantor may take on."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.guarantee.tables.base import Base
from shared.db import Id, Institution, Moment, MoneyColumn, RateColumn, Versioned


class Profile(Versioned, Base):
    """What a guarantor says of itself: its limits follow from it. One for each institution."""

    __tablename__ = "profiles"
    __table_args__ = (
        UniqueConstraint("institution"),
        CheckConstraint("net_assets >= 0 AND equity_in_guarantors >= 0 AND other_liability >= 0", name="not_negative"),
        CheckConstraint("province_quota >= 0 AND national_quota >= 0", name="quotas_not_negative"),
        CheckConstraint("leverage_class IN (10, 15)", name="leverage_class"),
        CheckConstraint("default_probability_ceiling BETWEEN 0 AND 1", name="default_probability_ceiling"),
    )

    id: Mapped[Id]
    institution: Mapped[Institution]
    net_assets: Mapped[MoneyColumn]
    equity_in_guarantors: Mapped[MoneyColumn]
    #: Liability balance of business that this service does not know of.
    other_liability: Mapped[MoneyColumn]
    leverage_class: Mapped[int]
    province_quota: Mapped[MoneyColumn]
    national_quota: Mapped[MoneyColumn]
    #: NULL takes the parameter in force.
    default_probability_ceiling: Mapped[RateColumn | None]
    set_at: Mapped[Moment]
    counties: Mapped[list["County"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", order_by="County.county"
    )


class County(Base):
    """What a guarantor's profile says of one county."""

    __tablename__ = "counties"
    __table_args__ = (CheckConstraint("cap >= 0 AND pool_balance >= 0", name="not_negative"),)

    profile_id: Mapped[UUID] = mapped_column(ForeignKey("profiles.id"), primary_key=True)
    county: Mapped[str] = mapped_column(String(64), primary_key=True)
    institution: Mapped[Institution]
    #: NULL takes the parameter in force, a share of the leverage limit.
    cap: Mapped[MoneyColumn | None]
    pool_balance: Mapped[MoneyColumn]
