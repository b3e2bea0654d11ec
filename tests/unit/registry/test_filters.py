"""Which filters a kind of record takes, and the SQL that comes of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidArgument
from registry.filters import condition
from registry.resources import RESOURCES

COMPUTED = "is worked out when it is read, so it cannot be filtered by"
NO_LIST = "is a list: ask with ':' whether it has an element"
NO_TIME = 'must be compared with a time as in RFC 3339, for example "2026-11-22T10:00:00+01:00"'
NO_DURATION = "must be compared with a number of seconds, for example 90s or 1.5s"


def problems(kind: str, text: str) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        condition(RESOURCES[kind], text, 1)
    assert caught.value.reason == "INVALID_FILTER"
    assert {violation.field for violation in caught.value.violations} == {"filter"}
    return [violation.description for violation in caught.value.violations]


def test_no_filter_takes_every_row() -> None:
    found = condition(RESOURCES["site"], "", 7)

    assert (found.sql, found.parameters) == ("TRUE", ())


def test_values_are_parameters_and_placeholders_go_on_from_the_first() -> None:
    hostile = "x'); DROP TABLE sites; --"
    found = condition(RESOURCES["site"], f'display_name = "{hostile}" OR location.latitude > 45.07', 3)

    assert found.parameters == (hostile, 45.07)
    assert re.findall(r"\$\d", found.sql) == ["$3", "$4"]
    assert "DROP" not in found.sql


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("site", "colour = red", "colour (at character 1): Site has no such field"),
        ("site", "location.height > 1", "location.height (at character 1): LatLng has no such field"),
        ("site", "location = 1",
         "location (at character 1): is a message: name one of its fields, or ask with ':*' whether it is set"),
        ("site", "lot.part = 3", "lot.part (at character 1): goes into a field that has no fields"),
        ("site", "location.latitude > north", "location.latitude (at character 1): must be compared with a number"),
        ("site", "location.latitude > 1e999", "location.latitude (at character 1): must be compared with a number"),
        ("site", 'lot = "\0"', "lot (at character 1): must not be compared with a text that holds the character 0"),
        ("site", "etag = x", f"etag (at character 1): {COMPUTED}"),
        ("device", "refusals:*", f"refusals (at character 1): {COMPUTED}"),
        ("device", "view > VIEW_CONTEXT", "view (at character 1): has no order: only = and != can be used"),
        ("zone", "version = 1.5", "version (at character 1): must be compared with a whole number"),
        ("zone", "polygon = 1",
         "polygon (at character 1): is a message: name one of its fields, or ask with ':*' whether it is set"),
        ("rule", "classes = OBJECT_CLASS_CAR", f"classes (at character 1): {NO_LIST}"),
        ("rule", "mode = LIVE",
         "mode (at character 1): must be compared with one of MODE_LIVE, MODE_OFF, MODE_SHADOW, MODE_UNSPECIFIED"),
        ("rule", "zone_intrusion.minimum_dwell > 1",
         f"zone_intrusion.minimum_dwell (at character 1): {NO_DURATION}"),
        ("device", "create_time > yesterday",
         f"create_time (at character 1): {NO_TIME}"),
        ("device", "create_time > 0001-01-01T00:00:00+10:00",
         f"create_time (at character 1): {NO_TIME}"),
        ("site", "lot = 3 lot = 4", "at character 9: expected AND or OR or ')' of an open '(' or the end"),
    ],
)  # fmt: skip
def test_what_cannot_be_filtered_by(kind: str, text: str, problem: str) -> None:
    assert problems(kind, text) == [problem]


def test_all_problems_are_told_at_once_up_to_ten() -> None:
    found = problems("device", "colour = red AND (view = WIDE OR NOT create_time < soon)")
    assert [text.split(" ")[0] for text in found] == ["colour", "view", "create_time"]
    assert len(problems("device", " AND ".join(["colour = red"] * 20))) == 10


FIELDS = st.sampled_from(
    ["name", "etag", "view", "site", "address", "legal_basis", "legal_basis.purpose", "legal_basis.dpia_time",
     "refusals", "refusals.reason", "create_time", "x", "a.b", "policy.retention", "crop.left",
     "privacy_masks.polygon.points.x",
     "schedules.days_of_week", "classes", "version", "polygon.points"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["*", "1", "-1e400", "true", "90s", "VIEW_CONTEXT", "9999-12-31T23:59:59-23:59", "999999999999999999999"]
    ),
    st.text(max_size=20).map(lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'),
)
COMPARISONS = st.builds("{}{}{}".format, FIELDS, st.sampled_from(["=", "!=", "<", ">=", ":"]), VALUES)


@given(
    st.sampled_from(sorted(RESOURCES)),
    st.one_of(COMPARISONS, st.lists(COMPARISONS, max_size=5).map(" OR ".join), st.text(max_size=50)),
)
def test_every_filter_becomes_sql_or_is_refused(kind: str, text: str) -> None:
    try:
        found = condition(RESOURCES[kind], text, 1)
    except InvalidArgument as error:
        violations = error.violations
    else:
        numbers = {int(number) for number in re.findall(r"\$(\d+)", found.sql)}
        assert numbers == set(range(1, len(found.parameters) + 1))
        return
    assert violations
