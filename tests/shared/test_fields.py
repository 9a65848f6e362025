"""The house's fields: strict in, exact out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from shared.events.base import write_moment
from shared.fields import Amount, Base, Coordinate, Moment, Money, Names, PageQuery, Quantity, Text, Whole


def refused(field: fields.Field[Any], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        field.deserialize(value)
    return str(caught.value)


@given(st.decimals("0.01", "999999999999.99", places=2))
def test_an_amount_is_written_as_it_is_read(value: Decimal) -> None:
    assert Amount().deserialize(str(value)) == value
    assert Amount()._serialize(value, None, None) == str(value)
    read = Money().deserialize({"amount": str(value), "currency": "CNY"})
    assert Money()._serialize(read, None, None) == {"amount": str(value), "currency": "CNY"}


def test_money_keeps_its_bounds() -> None:
    assert "from 0.01" in refused(Money(), {"amount": "0.00", "currency": "CNY"})
    assert "to 5" in refused(Money(maximum="5"), {"amount": "5.01", "currency": "CNY"})
    assert Money(minimum="0.00").deserialize({"amount": "0", "currency": "CNY"}) == 0
    refused(Money(), {"amount": "1.00"})
    refused(Money(), {"amount": "1.00", "currency": "CNY", "unit": "fen"})
    refused(Money(), ["1.00", "CNY"])


@pytest.mark.parametrize(
    "value", ["1.2345", "1e2", "-1", "+1", "1.", ".1", "01", "１", "", "1\n", 1, 1.5, True, None, []]
)
def test_a_quantity_is_a_plain_decimal_string(value: Any) -> None:
    refused(Quantity(places=3), value)


def test_a_quantity_keeps_its_places_its_sign_and_its_bounds() -> None:
    assert Quantity(places=3).deserialize("0.125") == Decimal("0.125")
    assert Quantity(places=3)._serialize(Decimal("1E+3"), None, None) == "1000.000"
    assert Quantity(places=0).deserialize("12") == 12
    refused(Quantity(places=0), "12.0")
    signed = Quantity(places=2, minimum="-1", maximum="1")
    assert signed.deserialize("-0.50") == Decimal("-0.5")
    assert str(signed.deserialize("-0")) == "0"
    assert "from -1 to 1" in refused(signed, "-1.01")
    # Whoever sends a number below zero is told so, not that it is badly written.
    assert "not negative" in refused(Quantity(places=2), "-0.5")
    assert "never negative" in refused(Amount(), "-3.00")
    refused(signed, "1.01")
    assert Quantity(places=2, metadata={"description": "ha"}).metadata["description"] == "ha"
    assert Amount(metadata={"description": "fee"}).metadata["description"] == "fee"


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [], {}, float("nan"), 11, -1])
def test_a_whole_number_is_one(value: Any) -> None:
    refused(Whole(minimum=0, maximum=10), value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "112.4", True, None, [], 10**400])
def test_a_coordinate_is_a_finite_number(value: Any) -> None:
    refused(Coordinate(), value)
    assert Coordinate().deserialize(112) == 112.0


@pytest.mark.parametrize(
    "value", ["a\x00", "a\nb", "\x7f", "\ud800", "\ue000", "\U0010ffff", "", "x" * 11, 5, None, b"a\xff", ["a"]]
)
def test_text_is_text(value: Any) -> None:
    refused(Text(max_length=10), value)


def test_text_is_composed_before_it_is_measured() -> None:
    assert Text(max_length=4).deserialize("cafe\u0301") == "café"
    assert Text(max_length=10).deserialize("朔州市 🌲") == "朔州市 🌲"


def test_a_moment_has_an_offset_and_becomes_utc() -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert Moment().deserialize("2026-05-01T12:00:00Z") == noon
    read = Moment().deserialize("2026-05-01T20:00:00+08:00")
    assert (read, read.tzinfo) == (noon, UTC)
    assert Moment()._serialize(noon.astimezone(timezone(timedelta(hours=8))), None, None) == write_moment(noon)


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-01T12:00:00",
        "2026-05-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30T00:00:00Z",
        "yesterday",
        "",
        0,
        1.5,
        True,
        None,
        [],
        "2026-05-01T12:00:00Z\x00",
        "2026-05-01 12:00:00Z",
        "2026-05-01T12Z",
        "2026-W18-5T12:00:00Z",
        "２026-05-01T12:00:00Z",
    ],
)
def test_what_is_no_moment_is_refused(value: Any) -> None:
    refused(Moment(), value)


def test_a_schema_refuses_what_it_does_not_know() -> None:
    class Thing(Base):
        name = Text()

    with pytest.raises(ValidationError, match="Unknown field"):
        Thing().load({"name": "x", "nmae": "y"})


def test_a_page_has_between_one_and_a_hundred_items() -> None:
    assert PageQuery().load({}) == {"limit": 50, "cursor": None}
    assert PageQuery().load({"limit": "100"})["limit"] == 100
    for limit in ("0", "101", "x"):
        with pytest.raises(ValidationError):
            PageQuery().load({"limit": limit})


class Inner(Base):
    name = fields.String(required=True)
    worth = Money(allow_none=True)


class Outer(Base):
    id = fields.UUID()
    inner = fields.Nested(Inner())
    several = fields.List(fields.Nested(Inner()))
    renamed = fields.String(data_key="as", attribute="given")
    tags = Names()
    at = Moment(allow_none=True)


class WithDefault(Base):
    flag = fields.Boolean(dump_default=True)


class WithMethod(Base):
    twice = fields.Function(lambda obj: obj["n"] * 2)


class Held:
    """An object with some of the attributes."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


WHOLE: dict[str, Any] = {
    "id": UUID(int=7),
    "inner": {"name": "a", "worth": Decimal("1.5")},
    "several": [{"name": "b", "worth": None}, Held(name="c")],
    "given": "text",
    "tags": ("x", "y"),
    "at": None,
    "unknown": 1,
}


@pytest.mark.parametrize(
    ("schema", "obj"),
    [
        (Outer(), WHOLE),
        (Outer(), Held(**WHOLE)),
        (Outer(), {}),
        (Outer(many=True), [WHOLE, Held(**WHOLE)]),
        (Outer(), MappingProxyType(WHOLE)),
        (WithDefault(), {}),
        (WithMethod(), {"n": 2}),
    ],
)
def test_what_a_schema_writes_is_what_marshmallow_writes(schema: Base, obj: Any) -> None:
    written = schema.dump(obj)
    assert written == Schema.dump(schema, obj)
    assert json.dumps(written) == json.dumps(Schema.dump(schema, obj)), "also in its order"


def test_a_missing_attribute_is_left_out_and_a_default_is_written() -> None:
    assert Outer().dump({}) == {}
    assert WithDefault().dump({}) == {"flag": True}
    assert Outer().dump(WHOLE)["several"] == [
        {"name": "b", "worth": None},
        {"name": "c"},
    ]
