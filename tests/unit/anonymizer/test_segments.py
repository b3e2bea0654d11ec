from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.domain.segments import KeyScope, SegmentName, is_due

OPTIC = "devices/piazza-1/optics/north"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(0, 10**8),
    st.integers(1, 7 * 86_400),
)
def test_a_name_says_all_that_erasure_needs(start: datetime, milliseconds: int, retention: int) -> None:
    segment = SegmentName(
        OPTIC, start.replace(tzinfo=UTC), timedelta(milliseconds=milliseconds), timedelta(seconds=retention)
    )

    assert SegmentName.parse(segment.name) == segment
    assert not is_due(segment.name, segment.expires - timedelta(microseconds=1))
    assert is_due(segment.name, segment.expires)


def test_no_term_is_longer_than_seven_days() -> None:
    with pytest.raises(ValueError, match="seven days"):
        SegmentName(OPTIC, NOON, timedelta(0), WEEK + timedelta(seconds=1))


@pytest.mark.parametrize(
    "optic", ["", "north", "devices/../optics/north", "devices/A/optics/b", "devices/a/optics/b/c"]
)
def test_a_name_cannot_lead_out_of_its_folder(optic: str) -> None:
    with pytest.raises(ValueError, match="no optic"):
        SegmentName(optic, NOON, timedelta(0), WEEK)


def test_a_key_outlives_the_last_picture_of_its_day_and_no_longer() -> None:
    name = KeyScope(OPTIC, date(2026, 11, 22)).name
    last = datetime(2026, 11, 30, tzinfo=UTC)

    assert not is_due(name, last - timedelta(microseconds=1))
    assert is_due(name, last)


@pytest.mark.parametrize("name", ["segments/x.mp4", "README", "keys/piazza-1/north/today.key"])
def test_what_is_not_ours_is_left_alone(name: str) -> None:
    assert not is_due(name, NOON + timedelta(days=10_000))
