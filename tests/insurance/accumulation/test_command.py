import json

import pytest
from click.testing import CliRunner

from deploy.cli import heartwood
from services.insurance.accumulation.command import ylt
from services.insurance.accumulation.refusal import RowError
from tests.insurance.formulas.examples import close, example

EXPOSURE = "parcel,policy,value,sum_insured,county\na,p,100,100,youyu\nb,q,200,200,pinglu\nc,p,100,50,youyu\n"
TERMS = "policy,deductible,annual_limit\nq,0,0\np,10,60\n"
EVENTS = "event,year,parcel,loss,peril\n1,1,a,50,fire\n1,1,c,100,fire\n2,1,a,20,wind\n3,3,b,150,fire\n"


@pytest.fixture
def files(tmp_path):
    def write(exposure=EXPOSURE, events=EVENTS, terms=TERMS):
        paths = [tmp_path / name for name in ("exposure.csv", "events.csv", "terms.csv")]
        for path, text in zip(paths, (exposure, events, terms), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    return write


def test_a_book_of_three_parcels_pays_what_can_be_checked_by_hand(files, tmp_path):
    exposure, events, terms = files()
    out = tmp_path / "report.json"
    given = ["--exposure", exposure, "--events", events, "--terms", terms, "--years", 4, "--json", out]
    run = CliRunner().invoke(heartwood, ["insurance", "ylt", *map(str, given), "--return-period", "2"])
    assert run.exit_code == 0, run.output
    report = json.loads(out.read_text())
    # p: (50 + 100·½ − 10) and (20 − 10) within 60 a year; q: 150.
    assert report["aggregate"] == pytest.approx([60.0, 0.0, 150.0, 0.0])
    assert report["occurrence"] == pytest.approx([54.0, 0.0, 150.0, 0.0])
    assert report["ground_up"] == [170.0, 0.0, 150.0, 0.0]
    whole = report["metrics"][0]
    assert whole["aal"] == pytest.approx(52.5)
    assert whole["return_periods"][0]["aep"] == pytest.approx(60.0)
    assert whole["return_periods"][0]["tvar"] == pytest.approx(105.0)
    assert sum(row["aal"] for row in report["metrics"] if row["of"] == "county") == pytest.approx(52.5)


def test_the_curves_of_the_reference_come_out_of_files(files):
    case = example("oep-aep")
    lines = "".join(f"{n},{year},a,{loss}\n" for n, (year, loss) in enumerate(case["inputs"]["events"]))
    events = "event,year,parcel,loss\n" + lines
    report = ylt(*files(events=events, terms="policy\np\nq\n"), case["inputs"]["years"], [5])
    assert report["aggregate"] == close(case, "aggregate")
    assert report["occurrence"] == close(case, "occurrence")
    assert report["metrics"][0]["aal"] == close(case, "aal")
    assert report["metrics"][0]["return_periods"][0]["oep"] == close(case, "oep_rp5")
    assert report["metrics"][0]["return_periods"][0]["aep"] == close(case, "aep_rp5")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exposure": EXPOSURE.replace("b,q,200", "b,q,")}, "exposure.csv, row 3, value"),
        ({"exposure": EXPOSURE.replace("b,q", "b,z")}, "exposure.csv, row 3, policy"),
        ({"exposure": EXPOSURE.replace("c,p,100,50", "a,p,100,50")}, "exposure.csv, row 4, parcel"),
        ({"exposure": EXPOSURE.replace("c,p,100,50", "c,p,100,150")}, "exposure.csv, row 4, sum_insured"),
        ({"events": EVENTS.replace("c,100", "c,NaN")}, "events.csv, row 3, loss"),
        ({"events": EVENTS.replace("c,100", "c,101")}, "events.csv, row 3, loss"),
        ({"events": EVENTS.replace("3,3,b", "3,3.5,b")}, "events.csv, row 5, year"),
        ({"events": EVENTS.replace("2,1,a", "2,1,z")}, "events.csv, row 4, parcel"),
        ({"terms": TERMS.replace("p,10", "p,-10")}, "terms.csv, row 3, deductible"),
        ({"terms": TERMS.replace("policy,deductible", "policy,deductable")}, "terms.csv, row 1, deductable"),
    ],
)
def test_what_is_wrong_in_a_file_is_refused_with_its_row_and_column(files, change, said):
    with pytest.raises(RowError, match=said):
        ylt(*files(**change), 4, [2])
