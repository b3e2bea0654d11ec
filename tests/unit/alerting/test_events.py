from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.alerts import Alert, Priority
from alerting.domain.events import RuleEvent, join, raise_alert
from alerting.domain.retention import RETENTION, expiry
from alerting.domain.summary import Explanation, figure, summarise

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WINDOW = timedelta(seconds=30)
OPTIC = "devices/alimonda/optics/north"


def event(seconds: float = 0, *, rule: str = "r", zone: str = "z", priority: Priority = Priority.LOW) -> RuleEvent:
    captured = NOW + timedelta(seconds=seconds)
    return RuleEvent(
        event_id=uuid.uuid4(),
        live=True,
        priority=priority,
        optic=OPTIC,
        site="sites/s",
        capture_time=captured,
        expire_time=captured + RETENTION,
        explanation=Explanation(
            topic="FieldDetector/ObjectsInside",
            rule=f"{OPTIC}/rules/{rule}",
            place=f"{OPTIC}/zones/{zone}",
            optic=OPTIC,
        ),
        payload=b"",
    )


def test_the_alert_of_an_event_is_always_the_same() -> None:
    one = event()
    assert raise_alert(one, NOW).alert_id == raise_alert(one, NOW + timedelta(hours=1)).alert_id


@given(st.lists(st.floats(-25, 25), max_size=10))
def test_joined_events_keep_the_earliest_expiry_and_the_latest_capture(offsets: list[float]) -> None:
    alert: Alert = raise_alert(event(), NOW)
    for offset in offsets:
        alert = join(alert, event(offset), NOW)

    times = [0.0, *offsets]
    assert alert.expire_time == NOW + timedelta(seconds=min(times)) + RETENTION
    assert alert.last_capture_time == NOW + timedelta(seconds=max(times))
    assert alert.event_count == len(times)


def test_urgency_never_falls() -> None:
    alert = raise_alert(event(priority=Priority.HIGH), NOW)
    assert join(alert, event(1, priority=Priority.LOW), NOW).priority is Priority.HIGH


@pytest.mark.parametrize(
    ("captured", "arbitrary", "expected"),
    [
        (NOW - timedelta(hours=1), False, NOW - timedelta(hours=1) + RETENTION),
        # A camera whose clock runs ahead must not have its data kept longer.
        (NOW + timedelta(days=30), False, NOW + RETENTION),
        (datetime(1970, 1, 1, tzinfo=UTC), True, NOW + RETENTION),
    ],
)
def test_nothing_is_kept_longer_than_seven_days(
    captured: datetime,
    arbitrary: bool,  # noqa: FBT001
    expected: datetime,
) -> None:
    assert expiry(captured, NOW, arbitrary_origin=arbitrary) == expected


@pytest.mark.parametrize(
    ("explanation", "sentence"),
    [
        (
            Explanation(
                "LineDetector/Crossed", f"{OPTIC}/rules/gate", f"{OPTIC}/lines/kerb", OPTIC, ("person", "bicycle"),
                "crossings", "", 3, 1,
            ),
            'Person and bicycle crossed line "kerb" of alimonda/north: crossings 3, threshold 1 (rule "gate").',
        ),
        (
            Explanation(
                "FieldDetector/ObjectsInside", f"{OPTIC}/rules/night", f"{OPTIC}/zones/park", OPTIC, (), "dwell", "s",
                12.3456, 1.5,
            ),
            'Something inside zone "park" of alimonda/north: dwell 12.35 s, threshold 1.5 s (rule "night").',
        ),
        (
            Explanation("Own/Rule", f"{OPTIC}/rules/x", "", OPTIC),
            'Something matched Own/Rule at "?" of alimonda/north (rule "x").',
        ),
        (
            Explanation(
                "FieldDetector/ObjectsInside", f"{OPTIC}/rules/night", f"{OPTIC}/zones/park", OPTIC, ("person",),
                "dwell", "s", 1.0, 1.0, "somebody on the road", "the road", "Pole 3",
            ),
            'Person inside zone "the road" of Pole 3: dwell 1 s, threshold 1 s (rule "somebody on the road").',
        ),
        (
            Explanation(
                "LineDetector/Crossed", f"{OPTIC}/rules/gate", f"{OPTIC}/lines/kerb", OPTIC, ("car",),
                place_display_name="the kerb",
            ),
            'Car crossed line "the kerb" of alimonda/north (rule "gate").',
        ),
    ],
)  # fmt: skip
def test_the_summary_says_what_where_how_much_and_by_which_rule(explanation: Explanation, sentence: str) -> None:
    assert summarise(explanation) == sentence


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (1.04, "1.04"),
        (12.3456, "12.35"),
        (100.0, "100"),
        (12345.678, "12345.68"),
        (-2.5, "-2.5"),
        (0.00123, "0.00123"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_a_figure_has_at_most_two_decimals_and_never_vanishes(value: float, shown: str) -> None:
    assert figure(value) == shown
