"""The book, and what a run says of it, in the field's open formats: exposure as OED, results as ORD.

Columns and codes are those of the Open Data Standards (OED 4.0.0: OEDInputFields, PerilValues, FinancialCodeValues;
ORD 2: ORD_Table_Examples), read from their repositories. What does not fit is left out rather than bent:

* OED has no code for pest and drought, nor for a fire that a wording passes over as too small. `OED_PERILS` names the
  nearest codes for the rest; which of them wind is, is our choice.
* A policy that pays by proportion (the average clause) pays the damage's share of the smaller of value and sum insured:
  that is what stands as total insured value, so that a share of loss and an annual limit are all the terms there are.
* Trees are neither building nor contents and stand as "other"; occupancy and construction are the codes for unknown.
* Events have a year and no day.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Content = Mapping[str, Any]
Lines = Iterable[Sequence[Any]]

OED_VERSION = "4.0.0"
#: Freeze and snow are two codes there; XSL is straight-line wind, OO1 flood without storm surge.
OED_PERILS = {"fire": ("BBF",), "frost_snow": ("ZFZ", "ZSN"), "wind": ("XSL",), "flood": ("OO1",)}
_OCCUPANCY_UNKNOWN, _CONSTRUCTION_UNKNOWN = 1000, 5000
_AMOUNT, _SHARE_OF_LOSS, _ANNUAL_AGGREGATE = 0, 1, 1
#: Rows of a run that are losses of the insurer; the others are contracts of reinsurance and other balance sheets.
_PERSPECTIVES = {"net": "net", **dict.fromkeys(("all", "peril", "county", "bank", "guarantor"), "gross")}
_SAMPLED, _FULL_UNCERTAINTY = 2, "S_FULL"
_CURVES = {"oep": "OEP", "aep": "AEP", "occurrence_tvar": "TVAR_OEP", "tvar": "TVAR_AEP"}

LOCATION = (
    "PortNumber", "AccNumber", "LocNumber", "CountryCode", "Latitude", "Longitude", "OccupancyCode", "ConstructionCode",
    "LocPerilsCovered", "BuildingTIV", "OtherTIV", "ContentsTIV", "BITIV", "LocCurrency", "LocPeril", "LocDedCode6All",
    "LocDedType6All", "LocDed6All", "FlexiLocAsset", "FlexiLocCounty", "OEDVersion",
)  # fmt: skip
ACCOUNT = (
    "PortNumber", "AccNumber", "AccCurrency", "PolNumber", "PolPerilsCovered", "PolPeril", "PolLimitCode6All",
    "PolLimitType6All", "PolLimit6All", "FlexiPolPolicy", "FlexiPolBank", "OEDVersion",
)  # fmt: skip
SUMMARY = ("SummaryId", "Perspective", "Of", "Name")
AVERAGE = ("SummaryId", "SampleType", "MeanLoss", "SDLoss", "SourceExposure", "SourceNumLocs")
EXCEEDANCE = ("SummaryId", "EPMethod", "EPType", "ReturnPeriod", "Loss")
PERIODS = ("Period", "PeriodWeight", "EventId", "Year", "SummaryId", "SampleId", "Loss")


def location(book: Content, metrics: Sequence[Content], whole: Content) -> Lines:
    """OED location file: a row for each insured forest."""
    perils = oed_perils(metrics)
    for number, forest in enumerate(book["forests"], 1):
        policy = book["policies"][forest["policy"]]
        insured = min(forest["value"], forest["sum_insured"], key=float)
        yield (
            1, forest["policy"] + 1, number, "CN", forest["latitude"], forest["longitude"], _OCCUPANCY_UNKNOWN,
            _CONSTRUCTION_UNKNOWN, perils, 0, insured, 0, 0, "CNY", perils, 0, _SHARE_OF_LOSS, policy["deductible"],
            forest["place"], forest["county"], OED_VERSION,
        )  # fmt: skip


def account(book: Content, metrics: Sequence[Content], whole: Content) -> Lines:
    """OED account file: a row for each policy, what is left of its sum as the limit of the year."""
    perils = oed_perils(metrics)
    for number, policy in enumerate(book["policies"], 1):
        yield (
            1, number, "CNY", number, perils, perils, _ANNUAL_AGGREGATE, _AMOUNT, policy["remaining"], policy["id"],
            policy["bank"], OED_VERSION,
        )  # fmt: skip


def summary(book: Content, metrics: Sequence[Content], whole: Content) -> Lines:
    """What each SummaryId of the other tables is: everything, or a peril, county, bank or guarantor."""
    for number, one in _summaries(metrics):
        yield number, _PERSPECTIVES[one["of"]], one["of"], one["name"]


def average(book: Content, metrics: Sequence[Content], whole: Content) -> Lines:
    """ORD average loss table. What is exposed and in how many places is known by county, and of the whole."""
    exposed: dict[tuple[str, str], list[float]] = {}
    for forest in book["forests"]:
        for key in (("all", ""), ("net", ""), ("county", forest["county"])):
            exposed.setdefault(key, []).append(min(float(forest["value"]), float(forest["sum_insured"])))
    for number, one in _summaries(metrics):
        held = exposed.get((one["of"], one["name"]))
        at = ("", "") if held is None else (f"{sum(held):.2f}", len(held))
        yield number, _SAMPLED, one["aal"], one["sd"] or "", *at


def exceedance(book: Content, metrics: Sequence[Content], whole: Content) -> Lines:
    """ORD exceedance probability table: the worst event and the sum of a year, each with its tail mean."""
    for number, one in _summaries(metrics):
        for at in one["return_periods"]:
            for name, kind in _CURVES.items():
                yield number, _FULL_UNCERTAINTY, kind, f"{at['return_period']:g}", at[name]


def periods(book: Content, metrics: Sequence[Content], whole: Content) -> Lines:
    """ORD period loss table by sample: what each event that cost anything costs the policies, before reinsurance."""
    (number,) = (number for number, one in _summaries(metrics) if one["of"] == "all")
    weight = 1 / whole["aggregate"].shape[1]
    for place in np.flatnonzero(whole["gross"] > 0).tolist():
        year, event = int(whole["year"][place]), int(whole["event"][place])
        yield year, f"{weight:.10g}", event, year, number, 1, f"{whole['gross'][place]:.2f}"


#: By name: the columns, and what makes the rows.
TABLES: Mapping[str, tuple[tuple[str, ...], Callable[[Content, Sequence[Content], Content], Lines]]] = {
    "oed_location": (LOCATION, location),
    "oed_account": (ACCOUNT, account),
    "ord_summary": (SUMMARY, summary),
    "ord_alt": (AVERAGE, average),
    "ord_ept": (EXCEEDANCE, exceedance),
    "ord_splt": (PERIODS, periods),
}


def written(name: str, book: Content, metrics: Sequence[Content], whole: Content) -> bytes:
    """One of the tables as CSV, as the tools of the field read it: UTF-8 without a mark."""
    header, lines = TABLES[name]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines(book, metrics, whole))
    return out.getvalue().encode()


def oed_perils(metrics: Sequence[Content]) -> str:
    """The perils of a run by their OED codes; those that have none are left out."""
    run = [one["name"] for one in metrics if one["of"] == "peril"]
    return ";".join(code for name in run for code in OED_PERILS.get(name, ()))


def _summaries(metrics: Sequence[Content]) -> Iterable[tuple[int, Content]]:
    return enumerate((one for one in metrics if one["of"] in _PERSPECTIVES), 1)
