"""The bureau's programme: its parameters as anybody reads them, and its targets against what the register holds."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.sink.actions.parameters import PARAMETERS
from services.sink.tables import Asset, Planting
from shared import clock
from shared.events.parts import Reason
from shared.parameters import InForce

#: Families of parameters that whoever compensates or is compensated may read.
_FAMILIES = ("programme.", "compensation.", "land_use.", "planting.", "footprint.")


@dataclass(frozen=True)
class Target:
    """A target, and how much of it the register holds; nothing is held in the unit of what the register cannot tell."""

    code: str
    zh: str
    en: str
    target: Decimal
    unit: str
    held: Decimal | None
    share: Decimal | None
    #: Assets and plantings that count, and those that cannot be counted.
    counted: int
    not_counted: int
    reasons: tuple[Reason, ...]
    source: str
    verified: str
    note: str


def parameters() -> list[dict[str, Any]]:
    """The programme's parameters in force today, each with its source."""
    p = PARAMETERS.at(clock.today())
    return [
        {
            "name": entry.name,
            "value": entry.value,
            "unit": entry.unit,
            "in_force_from": entry.from_,
            "source": entry.source,
            "verified": entry.verified,
            "note": entry.note,
        }
        for name, entry in sorted(p.entries.items())
        if name.startswith(_FAMILIES)
    ]


def targets(session: Session) -> list[Target]:
    """The programme's targets today against what the register and the plantings hold."""
    p = PARAMETERS.at(clock.today())
    mu = Decimal(p["locality.mu_per_ha"])
    year = clock.today().year
    forests, areas = _held(session, Asset.area_ha, Asset.kind == "forest")
    groves, planted = _held(session, Planting.area_ha)
    young, young_area = _held(session, Asset.area_ha, Asset.kind == "forest", Asset.planted_year == year)
    new, new_area = _held(session, Planting.area_ha, Planting.planted_year == year)
    volume = Asset.area_ha * Asset.volume_m3_ha * Asset.live_share
    measured, stock = _held(session, volume, Asset.kind == "forest", Asset.volume_m3_ha.is_not(None))
    return [
        _target(p, "planting", "年度造林", "planting of the year", (young_area + new_area) * mu, young + new),
        _target(p, "forest_area", "森林面积", "forest area", (areas + planted) * mu, forests + groves),
        _target(p, "growing_stock", "森林蓄积量", "growing stock", stock, measured, forests - measured + groves),
        _cover(session, p, "forest_cover", "森林覆盖率", "forest cover", "forest"),
        _cover(session, p, "grassland_cover", "草原综合植被盖度", "grassland vegetation cover", "grassland"),
        _cover(session, p, "wetland_protection", "湿地保护率", "wetland protection", "wetland"),
    ]


def _held(session: Session, quantity: Any, *conditions: Any) -> tuple[int, Decimal]:
    count, total = session.execute(select(func.count(), func.coalesce(func.sum(quantity), 0)).where(*conditions)).one()
    return count, Decimal(total)


def _target(
    p: InForce, code: str, zh: str, en: str, held: Decimal | None, counted: int, not_counted: int = 0
) -> Target:
    target = Decimal(str(p[f"programme.{code}"]))
    entry = p.entries[f"programme.{code}"]
    reasons = []
    if not_counted:
        reasons.append(
            Reason(
                code="not_measured",
                zh=f"{not_counted} 处林地没有实测蓄积,未计入",
                en=f"{not_counted} stands have no measured volume and are left out",
            )
        )
    if held is None:
        reasons.append(
            Reason(
                code="no_denominator",
                zh="登记簿只有登记地块的面积,不能推算全域比例",
                en="the register knows the area of its parcels alone, no share of the whole territory",
            )
        )
    return Target(
        code=code,
        zh=zh,
        en=en,
        target=target,
        unit=entry.unit,
        held=held,
        share=None if held is None else held / target,
        counted=counted,
        not_counted=not_counted,
        reasons=tuple(reasons),
        source=entry.source,
        verified=entry.verified,
        note=entry.note,
    )


def _cover(session: Session, p: InForce, code: str, zh: str, en: str, kind: str) -> Target:
    counted, _ = _held(session, Asset.area_ha, Asset.kind == kind)
    return _target(p, code, zh, en, None, counted)
