import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sink.formulas.issuance import buffer_beside, credited_stock, issuable_units

deductions = st.sampled_from((0.0, 0.0375, 0.1, 0.225, 0.9))
buffers = st.sampled_from((0.0, 0.1, 0.12, 0.2, 0.6))
leakages = st.sampled_from((0.0, 0.05))
surveys = st.lists(
    st.tuples(st.floats(0, 5000), st.floats(0, 1.2), deductions, buffers, leakages), min_size=1, max_size=12
)


@given(st.floats(0, 3000), surveys)
def test_whatever_is_measured_and_asked_for_no_more_is_ever_minted_than_has_grown_after_all_deductions(
    start: float, surveys: list[tuple[float, float, float, float, float]]
) -> None:
    credited, minted, highest = 0.0, 0.0, start
    for measured, share, deduction, buffer, leakage in surveys:
        highest = max(highest, measured)
        grown = measured - start - credited
        removal = grown - leakage * max(0.0, grown)
        most = float(issuable_units(removal, deduction, buffer))
        if share > 1:
            # A tonne beyond the most would be a tonne that has not grown, or one of the buffer's.
            beyond = most + 1 + float(buffer_beside(most + 1, buffer))
            assert beyond > (1 - deduction) * max(0.0, removal) - 1
            continue
        units = float(int(share * most))
        beside = float(buffer_beside(units, buffer))
        assert units + beside <= (1 - deduction) * max(0.0, removal) + 1e-6
        minted += units + beside
        credited += float(credited_stock(units + beside, deduction, leakage))
        # What stands on growth stands below the highest stock that anybody measured.
        assert minted <= credited + 1e-6
        assert start + credited <= highest + 1e-6


@given(st.floats(-100, 5000), deductions, buffers)
def test_the_most_that_is_issued_leaves_room_for_the_buffer_and_wastes_no_unit(
    removal: float, deduction: float, buffer: float
) -> None:
    most = float(issuable_units(removal, deduction, buffer))
    room = (1 - deduction) * max(0.0, removal)
    assert most + float(buffer_beside(most, buffer)) <= room + 1e-6
    more = most + 1
    assert more + float(buffer_beside(more, buffer)) > room - 1


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="deduction"):
        issuable_units(1.0, 1.5, 0.1)
    with pytest.raises(ValueError, match="minted"):
        credited_stock(-1.0, 0.0, 0.0)
