"""The patterns in the documents take exactly the amounts that the fields take."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from shared.fields import Base, Money, Quantity, decimal_pattern

BOUNDS = [
    (2, "0.01", "999999999999.99"),
    (2, "1000.00", "999999999999.99"),
    (2, "0.01", "100000.00"),
    (4, "0", "1"),
    (4, "0.0001", "1"),
    (4, "0", "10000000"),
    (6, "-1", "1"),
    (6, "0", "3"),
    (1, "7", "3500"),
    (0, "0", "120"),
    (3, "0.001", None),
    (8, None, None),
]


def decimals(places: int) -> st.SearchStrategy[str]:
    whole = st.one_of(
        st.integers(0, 10**13), st.integers(0, 4000), st.sampled_from([0, 1, 3, 10, 999, 1000, 10**5, 10**7])
    )
    fraction = st.one_of(st.just(0), st.integers(0, 10**places - 1))
    return st.builds(
        lambda sign, number, digits: f"{sign}{number}" + (f".{digits:0{places}d}" if places and digits >= 0 else ""),
        st.sampled_from(["", "", "", "-"]),
        whole,
        fraction,
    )


@pytest.mark.parametrize(("places", "minimum", "maximum"), BOUNDS)
@given(data=st.data())
def test_a_pattern_takes_exactly_what_its_field_takes(
    places: int, minimum: str | None, maximum: str | None, data: st.DataObject
) -> None:
    text = data.draw(decimals(places))
    field = Quantity(places=places, minimum=minimum, maximum=maximum)
    documented = re.fullmatch(field.metadata["pattern"], text) is not None
    try:
        field.deserialize(text)
    except ValidationError:
        assert not documented
    else:
        assert documented


@pytest.mark.parametrize("text", ["", "1.", ".5", "01", "1e3", "+1", "1,0", " 1", "1 ", "١", "0.123456789"])
def test_a_pattern_takes_no_other_way_of_writing(text: str) -> None:
    assert not re.fullmatch(decimal_pattern(8, None, None), text)


def test_bounds_of_amounts_are_documented_where_they_come_in_and_not_where_they_go_out() -> None:
    incoming = Base.from_dict({"amount": Money(minimum="1000.00")}, name="PaymentRequest")()
    outgoing = Base.from_dict({"amount": Money(minimum="1000.00")}, name="PaymentResponse")()
    documented = incoming.fields["amount"].metadata["properties"]["amount"]
    assert re.fullmatch(documented["pattern"], documented["example"])
    assert re.fullmatch(documented["pattern"], "1000")
    assert not re.fullmatch(documented["pattern"], "999.99")
    assert "properties" not in outgoing.fields["amount"].metadata
    assert Decimal(documented["example"]) == Decimal("1000000.00")
