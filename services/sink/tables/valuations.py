"""What forests were worth, and when."""

import json
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.sink.tables.assets import Asset
from services.sink.tables.base import Base
from shared import money
from shared.db import Id, Moment, MoneyColumn, RateColumn, TonnesColumn


class Valuation(Base):
    """What an asset's carbon was worth on a day: written once, never changed, and derivable again from its inputs."""

    __tablename__ = "valuations"
    __table_args__ = (
        UniqueConstraint("asset_id", "version"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint(
            "pv_p05 <= pv_p10 AND pv_p10 <= pv_p50 AND pv_p50 <= pv_p90 AND pv_p90 <= pv_p95", name="order"
        ),
        CheckConstraint("pv_p05 >= 0 AND pv_mean >= 0 AND forecast_tonnes >= 0", name="not_negative"),
    )

    id: Mapped[Id]
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id"))
    registrar: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    #: registration, request, price, reversal or issuance
    cause: Mapped[str] = mapped_column(String(16))
    as_of: Mapped[date]
    valid_until: Mapped[date]
    methodology: Mapped[str] = mapped_column(String(64))
    #: Canonical JSON, kept as text so that it stays byte for byte what was hashed.
    inputs: Mapped[str]
    inputs_hash: Mapped[str] = mapped_column(String(64))
    parameters_hash: Mapped[str] = mapped_column(String(64))
    engine_version: Mapped[str] = mapped_column(String(32))
    seed: Mapped[int] = mapped_column(BigInteger)
    outputs: Mapped[str]
    outputs_hash: Mapped[str] = mapped_column(String(64))
    price_curve: Mapped[str] = mapped_column(String(64))
    spot_price: Mapped[MoneyColumn]
    pv_mean: Mapped[MoneyColumn]
    pv_p05: Mapped[MoneyColumn]
    pv_p10: Mapped[MoneyColumn]
    pv_p50: Mapped[MoneyColumn]
    pv_p90: Mapped[MoneyColumn]
    pv_p95: Mapped[MoneyColumn]
    forecast_tonnes: Mapped[TonnesColumn]
    liquidity_haircut: Mapped[RateColumn]
    unverified_parameters: Mapped[list[str]] = mapped_column(JSONB)
    valued_at: Mapped[Moment]

    @cached_property
    def results(self) -> dict[str, Any]:
        """The outputs, read once: a valuation never changes."""
        read: dict[str, Any] = json.loads(self.outputs)
        return read

    @property
    def present_value(self) -> dict[str, Any]:
        """Distribution of the present value; engines before the second told less of it. [CNY]"""
        kept = {name: getattr(self, f"pv_{name}") for name in ("mean", "p05", "p10", "p50", "p90", "p95")}
        return kept | {name: self._yuan(f"pv_{name}") for name in ("p25", "p75", "expected_shortfall")}

    @property
    def issued_value(self) -> Decimal | None:
        """The part of the value that is issued already. [CNY]"""
        return self._yuan("pv_issued")

    @property
    def sensitivities(self) -> list[dict[str, Any]]:
        """Mean value where one thing alone is other than assumed. [CNY]"""
        found = self.results.get("sensitivities")
        if found is None:
            return []
        cases = (
            ("price", -found["price_bump"], "price_down"),
            ("price", found["price_bump"], "price_up"),
            ("discount_rate", found["rate_low"], "pv_rate_low"),
            ("discount_rate", found["rate_high"], "pv_rate_high"),
            ("survival", -found["survival_bump"], "survival_down"),
            ("survival", found["survival_bump"], "survival_up"),
        )
        return [{"of": of, "to": Decimal(str(to)), "mean": _worth(found[name])} for of, to, name in cases]

    def _yuan(self, name: str) -> Decimal | None:
        return _worth(self.results[name]) if name in self.results else None

    @property
    def removals(self) -> list[dict[str, Any]]:
        """Tonnes issuable at each verification to come. [tCO2e]"""
        results = self.results
        return [
            {"verified_on": date.fromisoformat(day)}
            | {name: Decimal(str(results[f"tonnes_{name}"][k])) for name in ("mean", "p10", "p50", "p90")}
            for k, day in enumerate(results["verified_on"])
        ]

    @property
    def variance_shares(self) -> dict[str, Decimal]:
        """Share of the variance by source; all nothing where nothing varies. [-]"""
        shares = self.results.get("variance_shares", {})
        return {
            source: Decimal(str(shares.get(source, 0)))
            for source in ("growth", "sampling", "model", "reversal", "price")
        }

    @property
    def uncertainty_deduction(self) -> Decimal:
        """Part of the tonnes given up for sampling error. [-]"""
        return Decimal(str(self.results.get("uncertainty_deduction", 0)))

    @property
    def buffer(self) -> Decimal:
        """Part of the tonnes set aside for reversals. [-]"""
        return Decimal(str(self.results.get("buffer_share", 0)))

    @property
    def buffer_basis(self) -> str:
        """Whose share that is: the rating's, or by default that of the programme."""
        return json.loads(self.inputs)["asset"].get("buffer_basis", "programme")  # type: ignore[no-any-return]


def latest_valuation(session: Session, asset: Asset) -> Valuation | None:
    """The valuation in force, if the asset was ever valued."""
    return session.scalars(
        select(Valuation).where(Valuation.asset_id == asset.id, Valuation.version == asset.valuation_version)
    ).first()


def _worth(value: float) -> Decimal:
    """An owner may let a forest be, so it is never worth less than nothing."""
    return money.yuan(max(0.0, value))
