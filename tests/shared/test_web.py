"""The HTTP door, at a tiny service on a real database: whatever comes in, the answer is right, the rest untouched."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import jsonschema
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError

from shared import audit, db
from shared.web import PUBLIC
from tests.routes_check import Route, all_routes_of, demand, document_of, routes_of
from tests.shared.notes import BANK, NOTHING, ONE, OTHER, Notes, note, problem

GOOD = json.dumps(note()).encode()


def within(title: bytes) -> bytes:
    return GOOD.replace(b'"first"', title)


# -- JSON that nobody honest sends ------------------------------------------------------------------------------------

UNREADABLE = {
    "a key twice": (GOOD[:-1] + b', "title": "second"}', "'title' stands twice"),
    "a key twice, inside": (GOOD.replace(b'"CNY"', b'"CNY", "currency": "CNY"'), "'currency' stands twice"),
    "a key twice among many": (
        b"{" + b",".join(b'"k%d":1' % i for i in range(60_000)) + b',"z":1,"z":1}',
        "'z' stands twice",
    ),
    "100 000 arrays": (b"[" * 100_000, "deeper than 32"),
    "100 000 objects": (b'{"a":' * 100_000, "deeper than 32"),
    "an unfinished string of quotes": (b'{"a": "' + b'\\"' * 200_000 + b"[" * 33, "not JSON"),
    "an integer of 5 000 digits": (within(b"9" * 5000), "more than 19 digits"),
    "a float beyond floats": (within(b"1e999"), "out of range"),
    "NaN": (within(b"NaN"), "NaN is not"),
    "Infinity": (within(b"-Infinity"), "Infinity is not"),
    "half a surrogate pair": (within(rb'"\ud800"'), "half of a surrogate pair"),
    "half a surrogate pair as a key": (GOOD[:-1] + rb', "\uDC00": 1}', "half of a surrogate pair"),
    "a byte-order mark": (b"\xef\xbb\xbf" + GOOD, "byte-order mark"),
    "bad UTF-8": (within(b'"\xff\xfe"'), "not UTF-8"),
    "surrogates in UTF-8": (within(b'"\xed\xa0\x80"'), "not UTF-8"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not UTF-8"),
    "nothing": (b"", "empty"),
    "white space": (b" \n", "empty"),
    "half a document": (GOOD[:-1], "line 1"),
    "two documents": (GOOD + GOOD, "Extra data"),
    "single quotes": (b"{'title': 'x'}", "line 1"),
    "a trailing comma": (GOOD[:-1] + b",}", "line 1"),
    "a comment": (GOOD + b"// hello", "Extra data"),
    "a NUL byte": (GOOD + b"\x00", "Extra data"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_json_that_cannot_be_read_is_refused_and_writes_nothing(notes: Notes, name: str, method: str) -> None:
    raw, why = UNREADABLE[name]
    path = "/v1/notes" if method == "POST" else f"/v1/notes/{uuid4()}"
    headers = {"Content-Type": "application/json", "If-Match": '"v1"'}
    read = problem(notes.call(method, path, data=raw, headers=headers), 400)
    assert why in read["detail"]
    assert notes.left() == NOTHING


INVALID: dict[str, tuple[Any, str]] = {
    "an array": ([note()], ""),
    "a string": ("note", ""),
    "a number": (1, ""),
    "null": (None, ""),
    "an unknown field": (note(status="approved"), "/status"),
    "an unknown field with signs": (note(**{"a/b~c": 1}), "/a~1b~0c"),
    "an institution": (note(institution=OTHER), "/institution"),
    "a missing field": ({"title": "x"}, "/amount"),
    "null in a field": (note(title=None), "/title"),
    "a NUL": (note("a\x00b"), "/title"),
    "a control character": (note("a\x1bb"), "/title"),
    "a private character": (note("a\ue000b"), "/title"),
    "an empty text": (note(""), "/title"),
    "a text too long": (note("x" * 41), "/title"),
    "a text much too long": (note("\u0327\u0301" * 50_000), "/title"),
    "a number for a text": (note(5), "/title"),
    "an object for a text": (note({"a": 1}), "/title"),
    "a boolean for a whole": (note(years=True), "/years"),
    "a float for a whole": (note(years=1.0), "/years"),
    "a text for a whole": (note(years="1"), "/years"),
    "a list for a whole": (note(years=[1]), "/years"),
    "a whole out of bounds": (note(years=10**18), "/years"),
    "a number for a quantity": (note(tonnes=1.5), "/tonnes"),
    "a quantity too fine": (note(tonnes="1.0005"), "/tonnes"),
    "a negative quantity": (note(tonnes="-1"), "/tonnes"),
    "an error deep inside": (note(tags=["fine", "", 7]), "/tags/1"),
    "no list": (note(tags="abc"), "/tags"),
    "a bare amount": ({"title": "x", "amount": "1.00"}, "/amount"),
}


@pytest.mark.parametrize("name", INVALID)
def test_content_that_cannot_be_right_is_refused_with_a_pointer(notes: Notes, name: str) -> None:
    body, pointer = INVALID[name]
    read = problem(notes.post(body=json.dumps(body).encode()), 422)
    assert pointer in [error["pointer"] for error in read["errors"]]
    assert all(error["detail"] for error in read["errors"])
    assert notes.left() == NOTHING


AMOUNTS = [
    *("100.005", 100.1, 100, "1e3", "１.00", "-1.00", "+1.00", "", "1.00\n", " 1.00", "1,000.00", "01.00", ".5", "1."),
    *("NaN", "Infinity", "1_000", "0x10", "1" * 16, "1" * 16 + ".00", "1" * 13, None, True, ["1.00"], {}),
]


@pytest.mark.parametrize("amount", AMOUNTS, ids=repr)
def test_an_amount_that_is_not_one_is_refused(notes: Notes, amount: Any) -> None:
    read = problem(notes.post(body=note(amount=amount)), 422)
    assert [error["pointer"] for error in read["errors"]] == ["/amount/amount"]
    assert notes.left() == NOTHING


@pytest.mark.parametrize("currency", ["USD", "cny", "", None, "CNY "])
def test_another_currency_is_refused(notes: Notes, currency: Any) -> None:
    read = problem(notes.post(body={"title": "x", "amount": {"amount": "1.00", "currency": currency}}), 422)
    assert [error["pointer"] for error in read["errors"]] == ["/amount/currency"]


@pytest.mark.parametrize("amount", ["1000.00", "0.01", "0.00", "999999999999.99"])
def test_an_amount_comes_back_exactly(notes: Notes, amount: str) -> None:
    made = notes.make(amount=amount)
    assert made.get_json()["amount"] == {"amount": amount, "currency": "CNY"}
    assert notes.get(made.headers["Location"]).get_json()["amount"]["amount"] == amount


def test_text_is_kept_composed_and_beyond_the_basic_plane(notes: Notes) -> None:
    assert notes.make("cafe\u0301 🌲 朔州").get_json()["title"] == "café 🌲 朔州"
    assert notes.post(body=within(rb'"\ud83c\udf32"')).get_json()["title"] == "🌲"


def test_thousands_of_errors_are_not_all_told(notes: Notes) -> None:
    read = problem(notes.post(body={f"k{i}": 1 for i in range(50_000)}), 422)
    assert len(read["errors"]) == 100


# -- media types, sizes, queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/vnd.api+json"},
        {"Content-Type": "application/json-seq"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
    ],
    ids=str,
)
def test_what_is_not_plain_json_is_refused(notes: Notes, headers: dict[str, str]) -> None:
    problem(notes.call("POST", "/v1/notes", data=GOOD, headers=headers), 415)
    assert notes.left() == NOTHING


def test_a_body_without_a_content_type_is_refused(notes: Notes) -> None:
    problem(notes.call("POST", "/v1/notes", data=GOOD), 415)
    problem(notes.call("POST", "/v1/notes"), 415)


def test_a_charset_beside_json_does_not_matter(notes: Notes) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert notes.call("POST", "/v1/notes", data=GOOD, headers=headers).status_code == 201


def test_a_body_of_two_megabytes_is_refused(notes: Notes) -> None:
    read = problem(notes.post(body=GOOD[:-1] + b" " * 2_000_000 + b"}"), 413)
    assert read["type"].endswith("/too-large")
    assert notes.left() == NOTHING


def test_a_body_where_none_is_taken_is_refused(notes: Notes) -> None:
    made = notes.make()
    path, headers = made.headers["Location"] + "/doubling", {"If-Match": '"v1"'}
    problem(notes.post(path, {"factor": 3}, headers=headers), 422)
    problem(notes.post(path, b"[1", headers=headers), 400)
    assert notes.post(path, {}, headers=headers).status_code == 200
    assert notes.call("POST", path, headers={"If-Match": '"v2"'}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/notes?limitt=5"),
        ("GET", "/v1/notes?limit=5&institution=bank-sanggan"),
        ("GET", f"/v1/notes/{UUID(int=1)}?verbose=true"),
        ("POST", "/v1/notes?dryrun=true"),
        ("POST", "/v1/notes?dry_run=true&x=%ff%00"),
    ],
)
def test_an_unknown_query_parameter_is_refused(notes: Notes, method: str, path: str) -> None:
    read = problem(notes.call(method, path, **({"json": note()} if method == "POST" else {})), 422)
    assert read["errors"][0]["parameter"]
    assert notes.left() == NOTHING


@pytest.mark.parametrize("value", ["1", "yes", "True", "", "true&dry_run=false"])
def test_a_dry_run_is_true_or_false(notes: Notes, value: str) -> None:
    problem(notes.post(f"/v1/notes?dry_run={value}", note()), 422)
    assert notes.left() == NOTHING


# -- problems, whatever happens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v1//notes", "/v1/notes/", "/v1/notes/1", "/v1/notes/%00", "/.git/config"]
)
def test_an_unknown_address_is_a_problem(notes: Notes, path: str) -> None:
    assert problem(notes.get(path), 404)["type"].endswith("/not-found")


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/notes", "/v1/docsx", "/livez/"])
def test_without_a_token_no_address_tells_whether_it_exists(notes: Notes, path: str) -> None:
    problem(notes.call("GET", path, headers={"Authorization": None}), 401)


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_another_method_is_a_problem_that_names_the_right_ones(notes: Notes, method: str) -> None:
    answer = notes.call(method, "/v1/notes")
    assert problem(answer, 405)["type"].endswith("/method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_a_missing_scope_is_a_problem_that_names_it(notes: Notes) -> None:
    answer = notes.make(who={"scope": "notes:read"})
    assert "notes:write" in problem(answer, 403)["detail"]
    assert 'scope="notes:write"' in answer.headers["WWW-Authenticate"]
    problem(notes.get("/v1/notes", who={"scope": ""}), 403)
    # The scope comes first: who may not write is not told what is wrong with a body.
    problem(notes.post(body=b"[", who={"scope": "notes:read"}), 403)
    assert notes.left() == NOTHING


def test_the_unexpected_tells_nothing_of_the_inside(notes: Notes) -> None:
    notes.switch.go.set()
    notes.switch.failures.append(RuntimeError("secret of the inside"))
    answer = notes.post("/v1/troubles", note())
    problem(answer, 500)
    assert "secret" not in answer.get_data(as_text=True)
    assert notes.left() == NOTHING


def test_a_refusal_in_the_middle_leaves_nothing(notes: Notes) -> None:
    assert problem(notes.post("/v1/refusals", note()), 409)["detail"] == "not this one"
    assert notes.left() == NOTHING


def test_a_row_that_exists_already_is_a_conflict(notes: Notes) -> None:
    notes.make("first")
    problem(notes.make("first"), 409)
    assert notes.left() == ONE


# -- headers ----------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_headers_that_protect(notes: Notes) -> None:
    answers = [
        *(notes.call("GET", path, headers={"Authorization": None}) for path in PUBLIC),
        notes.call("GET", "/v1/docs/swagger-ui.css", headers={"Authorization": None}),
        notes.call("GET", "/v1/notes", headers={"Authorization": None}),
        *(notes.get("/v1/notes"), notes.get("/v1/nothing"), notes.call("DELETE", "/v1/notes")),
        *(notes.make(), notes.post(body=b"["), notes.call("OPTIONS", "/v1/notes"), notes.call("HEAD", "/v1/notes")),
    ]
    for answer in answers:
        where = (answer.request.path, answer.status_code)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", where
        assert answer.headers["Referrer-Policy"] == "no-referrer", where
        assert answer.headers["Strict-Transport-Security"].startswith("max-age="), where
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache"), where
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], where
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], where
        assert "unsafe-eval" not in answer.headers["Content-Security-Policy"], where
        assert re.fullmatch("[0-9a-f]{24}", answer.headers["X-Request-Id"]), where
        assert "Access-Control-Allow-Origin" not in answer.headers, where
        answer.close()


def test_a_request_id_is_taken_over_and_put_into_the_audit(notes: Notes) -> None:
    given = {"X-Request-Id": "desk-7.2026_01"}
    assert notes.make(headers=given).headers["X-Request-Id"] == "desk-7.2026_01"
    assert problem(notes.get("/v1/nothing", headers=given), 404)["instance"] == "desk-7.2026_01"
    with notes.database.sessions() as session:
        db.act_for(session, BANK)
        assert session.scalars(text("SELECT request_id FROM audit_entries")).all() == ["desk-7.2026_01"]


@pytest.mark.parametrize("given", ["short", "x" * 65, "<script>alert(1)", "a b c d e f", "ünïcödé-1", "'; DROP TABLE"])
def test_a_bad_request_id_is_replaced(notes: Notes, given: str) -> None:
    answer = notes.get("/v1/notes", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{24}", answer.headers["X-Request-Id"])


def test_a_trace_is_continued_into_the_events_and_a_bad_one_is_not(notes: Notes) -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    given = [
        good,
        good.upper(),
        good.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        good.replace("b7ad6b7169203331", "0" * 16),
        "ff" + good[2:],
        good + "-more",
        "x",
    ]
    for number, header in enumerate(given):
        assert notes.make(f"{number}", headers={"traceparent": header}).status_code == 201
    with notes.admin.connect() as connection:
        traces = connection.scalars(text("SELECT traceparent FROM outbox ORDER BY id")).all()
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace) for trace in traces)
    assert [trace.split("-")[1] == good.split("-")[1] for trace in traces] == [True] + [False] * 6
    assert good not in traces, "it is continued, not repeated"


# -- versions ---------------------------------------------------------------------------------------------------------


def test_an_answer_names_the_version_that_was_written(notes: Notes) -> None:
    made = notes.make()
    where = made.headers["Location"]
    assert (made.headers["ETag"], made.get_json()["version"]) == ('"v1"', 1)
    doubled = notes.post(where + "/doubling", headers={"If-Match": made.headers["ETag"]})
    assert (doubled.headers["ETag"], doubled.get_json()["version"]) == ('"v2"', 2)
    assert notes.get(where).headers["ETag"] == '"v2"'
    again = notes.call("PUT", where, json=note("second", "1.00"), headers={"If-Match": doubled.headers["ETag"]})
    assert (again.headers["ETag"], again.get_json()["amount"]["amount"]) == ('"v3"', "1.00")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 428),
        ("", 428),
        ('"v2"', 412),
        ('W/"v2"', 412),
        ('W/"v1"', 200),
        ('"v1"', 200),
        ("*", 400),
        ('"1"', 400),
        ('"v"', 400),
        ('"v-1"', 400),
        ('"v1", "v2"', 400),
        ('"v1', 200),
        ('"v１"', 400),
        ('"v' + "9" * 5000 + '"', 400),
        ("xyz", 400),
    ],
)
def test_if_match_is_demanded_and_kept(notes: Notes, header: str | None, status: int) -> None:
    where = notes.make().headers["Location"]
    answer = notes.post(where + "/doubling", headers={"If-Match": header})
    if status == 200:
        assert answer.status_code == 200
    else:
        problem(answer, status)
        assert notes.get(where).get_json()["version"] == 1


def test_of_two_changes_of_the_same_version_at_once_one_is_made(notes: Notes) -> None:
    where, met = notes.make(amount="1.00").headers["Location"], threading.Barrier(8)

    def double(_: int) -> int:
        met.wait(60)
        return notes.post(where + "/doubling", headers={"If-Match": '"v1"'}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(double, range(8))) == [200] + [412] * 7
    assert notes.get(where).get_json()["amount"]["amount"] == "2.00"


# -- pages ------------------------------------------------------------------------------------------------------------


def titles(notes: Notes, **query: Any) -> list[str]:
    """Every title of a list, page by page, while others write."""
    seen: list[str] = []
    while True:
        read = notes.get("/v1/notes", query_string=query).get_json()
        seen += [item["title"] for item in read["items"]]
        if read["next"] is None:
            return seen
        assert len(read["items"]) == query["limit"]
        notes.make(f"late {uuid4()}"[:40])
        query["cursor"] = read["next"]


def test_pages_are_in_order_without_gaps_or_doubles_while_others_write(notes: Notes) -> None:
    for number in range(10):
        notes.make(f"n{number}")
    for limit in (1, 3, 5, 9):
        assert titles(notes, limit=limit, title="n") == [f"n{number}" for number in reversed(range(10))]
    assert len(titles(notes, limit=100)) == notes.left()["notes"]


def cursor_of(notes: Notes, **query: Any) -> str:
    cursor: str = notes.get("/v1/notes", query_string={"limit": 1, **query}).get_json()["next"]
    return cursor


def test_a_cursor_is_bound_to_its_list_its_filters_and_its_institution(notes: Notes) -> None:
    for number in range(3):
        notes.make(f"n{number}")
    cursor = cursor_of(notes, title="n")
    assert notes.get("/v1/notes", query_string={"title": "n", "cursor": cursor}).status_code == 200
    # Another size of page is still the same list.
    assert notes.get("/v1/notes", query_string={"title": "n", "cursor": cursor, "limit": 7}).status_code == 200
    problem(notes.get("/v1/notes", query_string={"title": "m", "cursor": cursor}), 400)
    problem(notes.get("/v1/notes", query_string={"cursor": cursor}), 400)
    problem(notes.get("/v1/notes", query_string={"title": "n", "cursor": cursor}, who={"institution": OTHER}), 400)


def test_a_cursor_that_was_tampered_with_is_refused(notes: Notes) -> None:
    notes.make("a")
    notes.make("b")
    cursor = cursor_of(notes)
    wrong = [
        *(cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(len(cursor))),
        *(cursor[:-1], cursor + "A", cursor + "=", cursor + "!", "", "x", "é", "\x00", "A" * 43),
    ]
    for one in wrong:
        problem(notes.get("/v1/notes", query_string={"cursor": one}), 400)
    problem(notes.get("/v1/notes", query_string={"cursor": "A" * 401}), 422)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "abc", "1.5", "", "9" * 5000, "null"])
def test_the_size_of_a_page_has_bounds(notes: Notes, limit: str) -> None:
    read = problem(notes.get("/v1/notes", query_string={"limit": limit}), 422)
    assert read["errors"][0]["parameter"] == "limit"


# -- institutions -----------------------------------------------------------------------------------------------------


def test_another_institutions_row_does_not_exist(notes: Notes) -> None:
    where = notes.make().headers["Location"]
    stranger = {"institution": OTHER}
    theirs = problem(notes.get(where, who=stranger, headers={"X-Request-Id": "same-request"}), 404)
    missing = f"/v1/notes/{uuid4()}"
    nobodys = problem(notes.get(missing, who=stranger, headers={"X-Request-Id": "same-request"}), 404)
    assert {**theirs, "detail": theirs["detail"].replace(where[-36:], "")} == {
        **nobodys,
        "detail": nobodys["detail"].replace(missing[-36:], ""),
    }
    assert notes.get("/v1/notes", who=stranger).get_json() == {"items": [], "next": None}
    problem(notes.post(where + "/doubling", who=stranger, headers={"If-Match": '"v1"'}), 404)
    problem(notes.call("PUT", where, json=note(), who=stranger, headers={"If-Match": '"v1"'}), 404)
    assert notes.get(where).get_json()["version"] == 1


def test_the_institution_comes_from_the_token_alone(notes: Notes) -> None:
    notes.make(headers={"X-Institution": OTHER, "X-Tenant": OTHER})
    assert len(notes.get("/v1/notes").get_json()["items"]) == 1
    assert notes.get("/v1/notes", who={"institution": OTHER}).get_json()["items"] == []


def test_an_institution_does_not_leak_through_a_pooled_connection(notes: Notes) -> None:
    notes.make()
    one = db.engine(notes.database.app.url.render_as_string(hide_password=False), pool_size=1, max_overflow=0)
    sessions = db.sessions(one)
    with sessions.begin() as session:
        db.act_for(session, BANK)
        assert session.scalar(text("SELECT count(*) FROM notes")) == 1
        backend = session.scalar(text("SELECT pg_backend_pid()"))
    with sessions.begin() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) == backend
        assert session.scalar(text("SELECT count(*) FROM notes")) == 0
        assert not session.scalar(text("SELECT current_setting('app.institution', true)"))
    one.dispose()


def test_a_query_writes_nothing_whatever_its_view_does(notes: Notes) -> None:
    assert notes.get("/v1/writes").status_code == 200
    assert notes.left() == NOTHING


def test_a_question_needs_no_key_sees_no_institutions_rows_and_keeps_nothing(notes: Notes) -> None:
    notes.make()
    answer = notes.post("/v1/guesses", note("other"), headers={"Idempotency-Key": None})
    assert (answer.status_code, answer.get_json()["version"]) == (200, 0)
    problem(notes.post("/v1/guesses", note(amount="1e3")), 422)
    problem(notes.post("/v1/guesses?dry_run=true", note()), 422)
    problem(notes.post("/v1/guesses", note(), who={"scope": "notes:write"}), 403)
    assert notes.left() == ONE


# -- dry runs, retries, an absent database ----------------------------------------------------------------------------


def test_a_dry_run_answers_and_leaves_nothing(notes: Notes) -> None:
    answer = notes.post("/v1/notes?dry_run=true", note())
    assert (answer.status_code, answer.headers["Dry-Run"], answer.get_json()["version"]) == (201, "true", 1)
    assert notes.left() == NOTHING


def test_a_dry_run_meets_the_same_refusals(notes: Notes) -> None:
    notes.make("first")
    problem(notes.post("/v1/notes?dry_run=true", note("first")), 409)
    problem(notes.post("/v1/notes?dry_run=true", note(headers="x")), 422)
    problem(notes.post("/v1/notes?dry_run=true", note("other"), headers={"Idempotency-Key": None}), 400)
    assert notes.left() == ONE


def test_a_dry_run_does_not_use_the_key_up(notes: Notes) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    notes.post("/v1/notes?dry_run=true", note(), headers=key)
    assert notes.make(headers=key).status_code == 201
    again = notes.post("/v1/notes?dry_run=true", note("other"), headers=key)
    assert (again.status_code, again.headers["Dry-Run"]) == (201, "true")
    assert notes.left() == ONE


def test_a_deadlock_is_tried_again_and_leaves_one_of_everything(notes: Notes) -> None:
    notes.switch.go.set()
    notes.switch.failures += [deadlock(notes), deadlock(notes)]
    assert notes.post("/v1/troubles", note()).status_code == 201
    assert notes.switch.calls == 3
    assert notes.left() == ONE


def deadlock(notes: Notes) -> OperationalError:
    """A real deadlock of two transactions, as the loser sees it."""
    lost: list[OperationalError] = []
    met = threading.Barrier(2)

    def lock(first: int, second: int) -> None:
        with notes.admin.connect() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": first})
            met.wait(60)
            try:
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": second})
            except OperationalError as error:
                lost.append(error)

    pair = [threading.Thread(target=lock, args=order) for order in ((1, 2), (2, 1))]
    for one in pair:
        one.start()
    for one in pair:
        one.join(60)
    assert db.is_passing(lost[0])
    return lost[0]


def test_a_deadlock_that_does_not_end_is_unavailability(notes: Notes) -> None:
    notes.switch.go.set()
    notes.switch.failures += [deadlock(notes)] * 9
    answer = notes.post("/v1/troubles", note())
    problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert notes.switch.calls == 4
    assert notes.left() == NOTHING


def kill(notes: Notes) -> None:
    """End every connection of the application, as a restart of PostgreSQL does."""
    with notes.admin.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sink_app' AND datname = :d"),
            {"d": notes.database.name},
        )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connections_that_died_between_requests_are_not_noticed(notes: Notes, method: str) -> None:
    # As the services do it: nobody asks a connection whether it lives.
    unasked = db.engine(notes.database.app.url.render_as_string(hide_password=False), pool_pre_ping=False)
    notes.app.extensions["heartwood"].sessions.configure(bind=unasked)
    with unasked.connect(), unasked.connect(), unasked.connect():
        pass
    for number in range(3):
        kill(notes)
        answer = notes.get("/v1/notes") if method == "GET" else notes.make(f"{number}")
        assert answer.status_code in (200, 201)
    unasked.dispose()


def test_a_connection_that_dies_in_the_middle_is_tried_again(notes: Notes) -> None:
    answers: list[Any] = []
    working = threading.Thread(target=lambda: answers.append(notes.post("/v1/troubles", note())))
    working.start()
    assert notes.switch.arrived.acquire(timeout=60)
    kill(notes)
    notes.switch.go.set()
    working.join(60)
    assert answers[0].status_code == 201
    assert notes.switch.calls == 2
    assert notes.left() == ONE


def test_a_row_changed_underneath_is_tried_again(notes: Notes) -> None:
    notes.switch.go.set()
    notes.switch.failures.append(StaleDataError("changed underneath"))
    assert notes.post("/v1/troubles", note()).status_code == 201
    notes.switch.failures += [StaleDataError("changed underneath")] * 9
    problem(notes.post("/v1/troubles", note("other")), 409)
    assert notes.left() == ONE


def test_a_database_that_is_away_is_unavailability_for_reading_and_writing(notes: Notes) -> None:
    away = db.engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    notes.app.extensions["heartwood"].sessions.configure(bind=away)
    for answer in (notes.make(), notes.get("/v1/notes"), notes.get(f"/v1/notes/{uuid4()}")):
        assert problem(answer, 503)["type"].endswith("/unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    away.dispose()
    notes.restart()
    assert notes.left() == NOTHING
    assert notes.make().status_code == 201


def test_too_many_at_once_is_unavailability(notes: Notes) -> None:
    narrow = db.engine(notes.database.app.url.render_as_string(hide_password=False), pool_size=1, max_overflow=0)
    narrow.pool._timeout = 0.1  # type: ignore[attr-defined]
    notes.app.extensions["heartwood"].sessions.configure(bind=narrow)
    with narrow.connect():
        answer = notes.make()
    problem(answer, 503)
    assert "Retry-After" in answer.headers
    narrow.dispose()


def test_what_commits_is_in_the_audit_chain_and_it_holds(notes: Notes) -> None:
    where = notes.make().headers["Location"]
    notes.post(where + "/doubling", headers={"If-Match": '"v1"'}, who={"sub": "bob"})
    with notes.database.sessions() as session:
        assert audit.verify(session, BANK) is None
        deeds = session.execute(text("SELECT actor, action FROM audit_entries ORDER BY number")).all()
    assert [tuple(deed) for deed in deeds] == [("ann", "note"), ("bob", "double")]


# -- the document -----------------------------------------------------------------------------------------------------


def test_every_route_demands_a_scope_and_a_token_and_is_documented(notes: Notes) -> None:
    assert [str(route) for route in routes_of(notes.app)] == [
        "POST /v1/notes",
        "GET /v1/notes",
        "GET /v1/notes/<uuid:note_id>",
        "POST /v1/notes/<uuid:note_id>/doubling",
        "PUT /v1/notes/<uuid:note_id>",
        "POST /v1/troubles",
        "POST /v1/refusals",
        "POST /v1/guesses",
        "GET /v1/writes",
    ]
    for route in routes_of(notes.app):
        demand(notes.app, route, "notes")


def test_a_route_without_a_scope_is_found(notes: Notes) -> None:
    notes.app.add_url_rule("/v1/open", view_func=lambda: "open", endpoint="hole")
    with pytest.raises(AssertionError, match="demands no scope"):
        demand(notes.app, Route("GET", "/v1/open", ""), "notes")


def test_the_document_names_every_route_and_no_other(notes: Notes) -> None:
    document = document_of(notes.app)
    assert document["openapi"] == "3.1.0"
    written = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item.keys() - {"parameters"}
    }
    assert written == {(route.documented_path, route.method) for route in routes_of(notes.app)}
    assert {route.rule for route in all_routes_of(notes.app) if route.public} == {*PUBLIC, "/v1/docs/<name>"}


def test_the_document_is_openapi(notes: Notes) -> None:
    document = document_of(notes.app)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text_ = json.dumps(document)
    for ref in re.findall(r'"\$ref": "#/([^"]+)"', text_):
        found: Any = document
        for part in ref.split("/"):
            found = found[part]


def test_errors_are_documented_as_problems(notes: Notes) -> None:
    document = document_of(notes.app)
    for item in document["paths"].values():
        for method in item.keys() - {"parameters"}:
            responses = item[method]["responses"]
            errors = [code for code in responses if code == "default" or code >= "400"]
            assert errors
            for code in errors:
                name = responses[code]["$ref"].split("/")[-1]
                content = document["components"]["responses"][name]["content"]
                assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert set(document["components"]["schemas"]["Problem"]["required"]) == {"type", "title", "status", "detail"}


def test_headers_and_dry_runs_are_documented(notes: Notes) -> None:
    paths = document_of(notes.app)["paths"]

    def names(path: str, method: str) -> set[tuple[str, str, bool]]:
        return {(p["in"], p["name"], p.get("required", False)) for p in paths[path][method].get("parameters", [])}

    key, match, dry = ("header", "Idempotency-Key", True), ("header", "If-Match", True), ("query", "dry_run", False)
    assert names("/v1/notes", "post") == {key, dry}
    assert names("/v1/notes/{note_id}/doubling", "post") == {key, match, dry}
    assert names("/v1/guesses", "post") == set()
    assert names("/v1/notes/{note_id}", "put") == {match, dry}
    assert names("/v1/notes", "get") == {("query", name, False) for name in ("limit", "cursor", "title")}


def test_amounts_and_quantities_are_documented_as_strings_with_their_patterns(notes: Notes) -> None:
    schemas = document_of(notes.app)["components"]["schemas"]
    amount = schemas["Money"]["properties"]["amount"]
    assert (amount["type"], amount["format"]) == ("string", "decimal")
    assert re.fullmatch(amount["pattern"], "1000.00")
    assert not re.fullmatch(amount["pattern"], "1e3")
    tonnes = schemas["NoteRequest"]["properties"]["tonnes"]
    assert "string" in tonnes["type"]
    assert re.fullmatch(tonnes["pattern"], "0.125")
    assert schemas["Money"]["type"] == "object"
    asked = schemas["NoteRequest"]["properties"]["amount"]
    assert asked["$ref"] == "#/components/schemas/Money"
    bounds = asked["properties"]["amount"]
    assert re.fullmatch(bounds["pattern"], bounds["example"])
    assert schemas["NoteResponse"]["properties"]["amount"] == {"$ref": "#/components/schemas/Money"}
    assert schemas["NoteRequest"]["additionalProperties"] is False


def test_the_documents_page_loads_local_files_only(notes: Notes) -> None:
    client = notes.app.test_client()
    html = client.get("/v1/docs").get_data(as_text=True)
    links = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert links
    for link in links:
        assert link.startswith("/v1/docs/")
        answer = client.get(link)
        assert answer.status_code == 200
        body = answer.get_data(as_text=True)
        if link.endswith(".css"):
            assert not re.search(r"url\(['\"]?https?:|@import", body)
        answer.close()
    start = client.get("/v1/docs/start.js").get_data(as_text=True)
    assert "'/v1/openapi.json'" in start
    assert "validatorUrl: null" in start
    assert "http" not in html + start


@pytest.mark.parametrize("name", ["swagger-initializer.js", "index.html", "../web.py", "..%2fweb.py", "%00", "LICENSE"])
def test_the_documents_page_serves_nothing_else(notes: Notes, name: str) -> None:
    assert notes.app.test_client().get(f"/v1/docs/{name}").status_code in (401, 404)


def test_the_open_pages_answer_without_a_token(notes: Notes) -> None:
    client = notes.app.test_client()
    assert client.get("/livez").get_json() == {"status": "ok"}
    assert client.get("/readyz").get_json()["ready"] is True
    assert client.get("/version").get_json() == {"service": "notes", "version": "0"}
    notes.get("/v1/notes")
    notes.get("/v1/nothing/at/all")
    figures = client.get("/metrics").get_data(as_text=True)
    assert 'heartwood_http_requests_total{route="/v1/notes",status="200"} 1.0' in figures
    assert "at/all" not in figures, "an address that anybody can invent must not become a label"
