import csv
import dataclasses
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import STRtree
from shapely.geometry import Polygon, box

from deploy.demo import export
from deploy.demo.borrowers import (
    FIRST_YEAR_NOT_TRAINED_ON,
    LEGAL_FORMS,
    LOANS,
    REVOLVING_TERM_MONTHS,
    TERM_MONTHS,
    Borrower,
    body_check_character,
    borrowers,
    organisation_code,
    outcomes,
)
from deploy.demo.landscape import COUNTIES, geodesic_mu
from deploy.demo.programme import (
    AS_OF,
    PERILS,
    PLANTING_YEAR,
    SHRUBS,
    SYNTHETIC,
    Programme,
    apportion,
    programme,
)
from services.credit.formulas.identity import uscc_fault
from shared.parameters import Parameters

SINK = Path(__file__).parents[2] / "services" / "sink" / "parameters.yaml"
RECORDED_ONLY_AFTERWARDS = ("Term", "MIS_Status", "ChgOffPrinGr", "DisbursementGross")
NO_FEATURE = ("State", "BankState", "UrbanRural", "CreateJob", "RetainedJob", "FranchiseCode")


@pytest.fixture(scope="module")
def made() -> Programme:
    return programme()


@pytest.fixture(scope="module", params=[2026, 1, 2, 3, 4])
def any_made(request: pytest.FixtureRequest) -> Programme:
    return programme(request.param)


def test_the_parcels_add_up_to_the_published_totals(any_made: Programme) -> None:
    assert sum(parcel.area_mu for parcel in any_made.parcels) == any_made.area_mu == 3_267_800
    assert sum(parcel.stock_m3 for parcel in any_made.parcels) == any_made.stock_m3 == 4_302_400
    new = [parcel.area_mu for parcel in any_made.parcels if parcel.planted_year == PLANTING_YEAR]
    assert sum(new) == any_made.planted_mu == 250_000


def test_the_totals_are_those_the_sink_holds_the_register_against(made: Programme) -> None:
    target = Parameters(SINK).at(AS_OF)["locality.target"]
    assert (made.stock_m3, made.area_mu) == (target["stock_m3"], target["area_mu"])


def test_every_county_has_its_parcels_with_names_of_their_own(any_made: Programme) -> None:
    assert {parcel.county for parcel in any_made.parcels} == set(COUNTIES)
    assert len(any_made.parcels) == 360
    assert len({parcel.code for parcel in any_made.parcels}) == len({parcel.name for parcel in any_made.parcels}) == 360
    assert all(parcel.name.startswith(COUNTIES[parcel.county].zh) for parcel in any_made.parcels)


def test_no_two_parcels_overlap_and_each_lies_in_its_county(any_made: Programme) -> None:
    shapes = [Polygon(parcel.ring) for parcel in any_made.parcels]
    assert all(shape.is_valid and shape.exterior.is_ccw for shape in shapes)
    first, second = STRtree(shapes).query(shapes, predicate="intersects")
    assert [(one, other) for one, other in zip(first, second, strict=True) if one != other] == []
    for parcel, shape in zip(any_made.parcels, shapes, strict=True):
        county = COUNTIES[parcel.county]
        assert box(county.west, county.south, county.east, county.north).contains(shape)


def test_county_boxes_do_not_overlap() -> None:
    boxes = [box(county.west, county.south, county.east, county.north) for county in COUNTIES.values()]
    assert all(not one.intersects(other) for one in boxes for other in boxes if one is not other)


def test_outlines_enclose_the_stated_area(any_made: Programme) -> None:
    for parcel in any_made.parcels:
        assert geodesic_mu(parcel.ring) == pytest.approx(parcel.area_mu, rel=5e-4)
        assert float(parcel.area_ha) * 15 == pytest.approx(parcel.area_mu, abs=0.001)


def test_shares_of_a_mix_sum_to_one_and_name_known_species(any_made: Programme) -> None:
    known = Parameters(SINK).at(AS_OF)
    for parcel in any_made.parcels:
        assert sum(Decimal(each.share) for each in parcel.species) == 1
        assert all(Decimal(each.share) > 0 and known[f"species.{each.species}"] for each in parcel.species)
        assert parcel.leading_species == parcel.species[0].species


def test_volumes_are_plausible(any_made: Programme) -> None:
    assert any_made.stock_m3 * 15 / any_made.area_mu == pytest.approx(19.7, abs=0.1)
    for parcel in any_made.parcels:
        shrubs_only = all(each.species in SHRUBS for each in parcel.species)
        assert 0 <= parcel.volume_m3_ha < 100
        assert (parcel.stock_m3 == 0) == (shrubs_only or parcel.planted_year == PLANTING_YEAR)
        assert (parcel.shrub_cover > 0) == any(each.species in SHRUBS for each in parcel.species)


def test_every_figure_of_a_parcel_is_in_its_range(any_made: Programme) -> None:
    for parcel in any_made.parcels:
        assert parcel.kind == "forest"
        assert 1958 <= parcel.planted_year <= PLANTING_YEAR
        assert Decimal("0.5") <= parcel.survival <= 1
        assert Decimal("0.05") <= parcel.uncertainty <= Decimal("0.28")
        assert tuple(parcel.hazards) == PERILS
        assert all(0 <= score <= 1 for score in parcel.hazards.values())
        assert AS_OF < parcel.crediting_until <= parcel.title_until


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made: Programme) -> None:
    for writer in (export.as_csv, export.as_geojson, export.as_svg):
        assert writer(programme()) == writer(made)
        assert writer(programme(7)) != writer(made)


def test_every_export_says_that_it_is_synthetic(made: Programme) -> None:
    lines = list(csv.DictReader(io.StringIO(export.as_csv(made))))
    assert len(lines) == 360
    assert all(line["provenance"] == SYNTHETIC for line in lines)
    collection = json.loads(export.as_geojson(made))
    assert collection["metadata"]["synthetic"] is True
    assert all(each["properties"]["provenance"] == SYNTHETIC for each in collection["features"])
    drawing = ElementTree.fromstring(export.as_svg(made))
    parts = {
        tag: drawing.findtext(f"{{http://www.w3.org/2000/svg}}{tag}") or "" for tag in ("title", "desc", "metadata")
    }
    assert json.loads(parts["metadata"]) == collection["metadata"]
    assert "generated" in parts["desc"]


def test_the_map_shows_every_parcel_and_names_every_county(made: Programme) -> None:
    drawing = export.as_svg(made)
    assert drawing.count("<polygon ") == 360
    assert all(county.zh in drawing and county.en in drawing for county in COUNTIES.values())


def test_the_command_writes_what_the_functions_make(made: Programme, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("parcels.csv", "parcels.geojson", "map.svg")]
    options = [part for pair in zip(("--csv", "--geojson", "--map"), map(str, paths), strict=True) for part in pair]
    subprocess.run([sys.executable, "-m", "deploy.demo.programme", *options], check=True, cwd=LOANS.parents[2])
    assert [path.read_bytes().decode() for path in paths] == [
        export.as_csv(made),
        export.as_geojson(made),
        export.as_svg(made),
    ]


@settings(deadline=None)
@given(st.integers(0, 10**7), st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60))
def test_apportioned_parts_sum_to_the_whole(total: int, weights: list[float]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    assert all(part >= 0 for part in parts)


def test_borrowers_are_the_same_in_every_draw_and_in_a_longer_one() -> None:
    assert borrowers(40) == borrowers(40) == borrowers(400)[:40]
    assert borrowers(40, seed=1) != borrowers(40)


def test_organisation_codes_are_valid_unique_and_of_no_region() -> None:
    drawn = borrowers(400)
    assert len({each.borrower_reference for each in drawn}) == 400
    for each in drawn:
        code = each.borrower_reference
        assert uscc_fault(code) is None
        assert code[:2] == LEGAL_FORMS[each.legal_form]
        assert code[2:8] == "990000"
        assert code[16] == body_check_character(code[8:16])


def test_a_wrong_character_in_an_organisation_code_is_found() -> None:
    code = organisation_code("collective", 17)
    assert uscc_fault(f"{code[:15]}{'1' if code[15] != '1' else '2'}{code[16:]}") == "check character"
    with pytest.raises(ValueError, match="serial"):
        organisation_code("firm", 10_000)


def test_features_of_a_borrower_are_those_known_at_the_decision() -> None:
    assert {field.name for field in dataclasses.fields(Borrower)} == {
        "borrower_reference", "legal_form", "county", "employees", "new_business", "low_doc", "revolving", "industry",
        "amount", "guaranteed_share", "term_months",
    }  # fmt: skip


def test_a_borrower_does_not_change_when_the_outcome_and_all_that_tells_of_it_change(tmp_path: Path) -> None:
    with LOANS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    changed = tmp_path / "loans.csv"
    with changed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        blank = dict.fromkeys((*RECORDED_ONLY_AFTERWARDS, *NO_FEATURE), "")
        writer.writerows({**row, **blank} for row in rows)
    assert borrowers(300, loans=changed) == borrowers(300)


def test_terms_are_those_of_the_products() -> None:
    for each in borrowers(300):
        assert each.term_months in (REVOLVING_TERM_MONTHS if each.revolving else TERM_MONTHS)


def test_amounts_and_outcomes_are_the_recorded_ones_of_years_the_card_never_saw() -> None:
    with LOANS.open(encoding="utf-8", newline="") as file:
        later = [row for row in csv.DictReader(file) if int(row["ApprovalFY"]) >= FIRST_YEAR_NOT_TRAINED_ON]
    drawn = borrowers(len(later))
    assert sorted(each.amount for each in drawn) == sorted(Decimal(row["GrAppv"]) * Decimal("7.1") for row in later)
    assert all(0 < each.guaranteed_share <= 1 and len(each.industry) == 4 for each in drawn)
    told = outcomes(len(later))
    assert list(told) == [each.borrower_reference for each in drawn]
    assert sum(told.values()) == sum(row["MIS_Status"] == "CHGOFF" for row in later)


def test_more_borrowers_than_records_are_refused() -> None:
    with pytest.raises(ValueError, match="499"):
        borrowers(500)
