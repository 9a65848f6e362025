"""The demo's programme as a table, as GeoJSON and as a map. Each says in itself that it is synthetic."""

import csv
import io
import json
import math
from collections.abc import Iterator
from html import escape
from typing import Any

from deploy.demo.landscape import COUNTIES, County, Point
from deploy.demo.programme import MU_PER_HA, PERILS, PLANTING_YEAR, SYNTHETIC, Parcel, Programme

_GROUPS = {
    "populus_simonii": ("杨树", "Poplar", "#e0a526"),
    "larix_principis": ("华北落叶松", "Larch", "#8c564b"),
    "pinus_tabuliformis": ("油松", "Chinese pine", "#1b6e3c"),
    "pinus_sylvestris_mongolica": ("樟子松", "Mongolian pine", "#5aae61"),
    "platycladus": ("侧柏", "Arborvitae", "#1f78b4"),
    "ulmus_pumila": ("榆树", "Elm", "#9970ab"),
    "shrubs": ("柠条、沙棘、山杏", "Shrubs", "#c994c7"),
}
_WIDTH, _HEIGHT, _MARGIN, _TOP = 1240, 1030, 30, 80
_WEST, _EAST, _SOUTH, _NORTH = 111.86, 113.60, 39.06, 40.31
_LEGEND_X, _LEGEND_Y = 900, 120


def properties(parcel: Parcel) -> dict[str, Any]:
    """Everything of a parcel but its outline, ready for JSON: decimals and dates are strings."""
    return {
        "code": parcel.code,
        "name": parcel.name,
        "county": parcel.county,
        "kind": parcel.kind,
        "area_mu": parcel.area_mu,
        "area_ha": str(parcel.area_ha),
        "stock_m3": parcel.stock_m3,
        "volume_m3_ha": str(parcel.volume_m3_ha),
        "species": [{"species": each.species, "share": each.share} for each in parcel.species],
        "planted_year": parcel.planted_year,
        "survival": str(parcel.survival),
        "shrub_cover": str(parcel.shrub_cover),
        "uncertainty": str(parcel.uncertainty),
        "hazards": {peril: str(score) for peril, score in parcel.hazards.items()},
        "title_until": parcel.title_until.isoformat(),
        "crediting_until": parcel.crediting_until.isoformat(),
        "provenance": SYNTHETIC,
    }


def as_csv(made: Programme) -> str:
    """Table with a parcel a line; the column `provenance` says in each line that it is synthetic."""
    out = io.StringIO()
    flat = [_flat(parcel) for parcel in made.parcels]
    writer = csv.DictWriter(out, fieldnames=list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def as_geojson(made: Programme) -> str:
    """Feature collection (RFC 7946) with a member `metadata`."""
    features = [
        {"type": "Feature", "id": parcel.code, "geometry": parcel.geometry, "properties": properties(parcel)}
        for parcel in made.parcels
    ]
    collection = {"type": "FeatureCollection", "metadata": made.metadata, "features": features}
    return json.dumps(collection, ensure_ascii=False, indent=1) + "\n"


def as_svg(made: Programme) -> str:
    """Map of the parcels by leading species, with the counties' rough boxes, a legend and a scale."""
    return "\n".join(_svg_lines(made)) + "\n"


def _flat(parcel: Parcel) -> dict[str, Any]:
    row = properties(parcel)
    row["species"] = " ".join(f"{each.species}:{each.share}" for each in parcel.species)
    hazards = row.pop("hazards")
    provenance = row.pop("provenance")
    outline = json.dumps(parcel.geometry, separators=(",", ":"))
    return {
        **row,
        **{f"hazard_{peril}": hazards[peril] for peril in PERILS},
        "outline": outline,
        "provenance": provenance,
    }


def _svg_lines(made: Programme) -> Iterator[str]:
    metadata = made.metadata
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        """font-family="'Noto Sans CJK SC','Source Han Sans SC','PingFang SC','Microsoft YaHei',sans-serif">"""
    )
    yield f"<title>{escape(metadata['title']['zh'])} / {escape(metadata['title']['en'])}</title>"
    yield f"<desc>{escape(metadata['note']['zh'])} {escape(metadata['note']['en'])}</desc>"
    yield f"<metadata>{escape(json.dumps(metadata, ensure_ascii=False, sort_keys=True))}</metadata>"
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fbfaf6"/>'
    yield _text(_MARGIN, 42, metadata["title"]["zh"], 26, "#222", weight="bold")
    yield _text(_MARGIN, 66, f"{metadata['title']['en']} (synthetic)", 15, "#555")
    for county in COUNTIES.values():
        yield from _county(county)
    for parcel in made.parcels:
        yield _outline(parcel)
    for county in COUNTIES.values():
        yield from _county_label(county, [parcel for parcel in made.parcels if parcel.county == county.code])
    yield from _legend(made)
    yield from _scale()
    yield _text(
        _MARGIN,
        _HEIGHT - 34,
        "合计数为公布的目标；县区与林班的划分、位置和边界均为虚构，虚线框不是行政界线。",
        13,
        "#8a1c1c",
    )
    yield _text(
        _MARGIN,
        _HEIGHT - 15,
        "Totals are published aims; split, places and outlines are generated. Dashed boxes are no boundaries.",
        13,
        "#8a1c1c",
    )
    yield "</svg>"


def _pixels_per_degree() -> tuple[float, float]:
    shrink = math.cos(math.radians((_SOUTH + _NORTH) / 2))
    tall = (_HEIGHT - _TOP - 2 * _MARGIN) / (_NORTH - _SOUTH)
    return tall * shrink, tall


def _xy(point: Point) -> tuple[float, float]:
    wide, tall = _pixels_per_degree()
    return _MARGIN + (point[0] - _WEST) * wide, _TOP + (_NORTH - point[1]) * tall


def _text(x: float, y: float, words: str, size: int, colour: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}" stroke="#fbfaf6" '
        f'stroke-width="3" paint-order="stroke">{escape(words)}</text>'
    )


def _group(parcel: Parcel) -> str:
    leading = parcel.leading_species
    return leading if leading in _GROUPS else "shrubs"


def _outline(parcel: Parcel) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_xy, parcel.ring[:-1]))
    new = parcel.planted_year == PLANTING_YEAR
    edge = 'stroke="#d7191c" stroke-width="2"' if new else 'stroke="#333" stroke-width="0.5"'
    words = f"{parcel.name} · {parcel.area_mu:,} 亩 · {parcel.planted_year} · {parcel.volume_m3_ha:.1f} m³/ha"
    colour = _GROUPS[_group(parcel)][2]
    return f'<polygon points="{points}" fill="{colour}" {edge}><title>{escape(words)}</title></polygon>'


def _county(county: County) -> Iterator[str]:
    (left, top), (right, bottom) = _xy((county.west, county.north)), _xy((county.east, county.south))
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="#f1eee2" '
        'stroke="#aaa" stroke-dasharray="5 4"/>'
    )


def _county_label(county: County, parcels: list[Parcel]) -> Iterator[str]:
    left, top = _xy((county.west, county.north))
    yield _text(left, top - 5, f"{county.zh} {county.en}", 15, "#222", weight="bold")
    area_mu = sum(parcel.area_mu for parcel in parcels)
    words = f"{area_mu / 10_000:.2f} 万亩 · {len(parcels)} 林班 parcels"
    yield _text(left + 128, top - 5, words, 11, "#444")


def _legend(made: Programme) -> Iterator[str]:
    yield _text(_LEGEND_X, _LEGEND_Y, "优势树种 / leading species", 15, "#222", weight="bold")
    y = _LEGEND_Y
    for key, (zh, en, colour) in _GROUPS.items():
        y += 24
        mine = [parcel.area_mu for parcel in made.parcels if _group(parcel) == key]
        yield _swatch(y, f'fill="{colour}" stroke="#333" stroke-width="0.5"')
        yield _text(_LEGEND_X + 30, y, f"{zh} {en} · {sum(mine) / 10_000:.1f} 万亩", 13, "#222")
    y += 24
    yield _swatch(y, 'fill="none" stroke="#d7191c" stroke-width="2"')
    yield _text(
        _LEGEND_X + 30, y, f"{PLANTING_YEAR} 年新造林 planted last year · {made.planted_mu / 10_000:g} 万亩", 13, "#222"
    )
    mean = made.stock_m3 * MU_PER_HA / made.area_mu
    yield _text(
        _LEGEND_X, y + 30, f"合计 total {made.area_mu / 10_000:g} 万亩 · {made.stock_m3 / 10_000:g} 万 m³", 13, "#222"
    )
    yield _text(_LEGEND_X, y + 50, f"平均蓄积 mean stock {mean:.1f} m³/ha", 13, "#222")


def _swatch(y: float, paint: str) -> str:
    return f'<rect x="{_LEGEND_X}" y="{y - 13}" width="22" height="15" {paint}/>'


def _scale() -> Iterator[str]:
    wide, _ = _pixels_per_degree()
    length = 20 * wide / (111.32 * math.cos(math.radians((_SOUTH + _NORTH) / 2)))
    x, y = _WIDTH - _MARGIN - length, _HEIGHT - 40
    yield f'<path d="M{x:.1f} {y - 6} v6 h{length:.1f} v-6" fill="none" stroke="#222" stroke-width="1.5"/>'
    yield _text(x + length / 2 - 16, y - 10, "20 km", 12, "#222")
