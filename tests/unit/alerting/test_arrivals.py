"""Observations as they come from the bus: what may not be known of a person is not kept, whoever says it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.interval_pb2 import Interval
from hypothesis import given
from hypothesis import strategies as st

from alerting import arrivals, search_contracts
from alerting.domain.observations import Observation
from argo.alerting.v1.search_service_pb2 import SearchObservationsRequest as Request
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.errors import InvalidArgument

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OPTIC = "devices/alimonda/optics/north"


def refuse(error: InvalidArgument) -> NoReturn:
    raise error


def observed(object_class: int, **fields: object) -> bus_pb2.Observation:
    values = {
        "object_class": object_class,
        "vehicle_colour": bus_pb2.VEHICLE_COLOUR_RED,
        "vehicle_colour_confidence": 0.9,
        "speed": bus_pb2.Observation.Speed(metres_per_second=5.0, heading_degrees=370.0),
        "zones": [f"{OPTIC}/zones/bed", "devices/other/optics/o/zones/bed", f"{OPTIC}/zones/../x"],
        "lines": [f"{OPTIC}/lines/gate"],
    }
    item = bus_pb2.Observation(track=2**64 - 1, **(values | fields))  # type: ignore[arg-type]
    item.start_time.FromDatetime(NOW)
    item.end_time.FromDatetime(NOW + timedelta(seconds=10))
    for seconds in (0, 4, 10):
        point = item.path.add()
        point.time.FromDatetime(NOW + timedelta(seconds=seconds))
        point.ground.north_metres = 6.0 * seconds
    return item


def read(item: bus_pb2.Observation) -> Observation:
    (value,) = arrivals.observations(bus_pb2.ObservationBatch(optic=OPTIC, observations=[item]), NOW, refuse)
    return value


@pytest.mark.parametrize(
    "object_class",
    [classes.OBJECT_CLASS_PERSON, classes.OBJECT_CLASS_UNSPECIFIED, classes.OBJECT_CLASS_BICYCLE, 99],
)
def test_only_a_vehicle_has_a_colour(object_class: int) -> None:
    value = read(observed(object_class))
    assert (value.colour, value.colour_confidence) == (0, 0.0)
    kept = bus_pb2.Observation.FromString(value.payload)
    assert (kept.vehicle_colour, kept.vehicle_colour_confidence) == (0, 0.0)


def test_no_speed_of_a_person_is_kept_or_worked_out() -> None:
    value = read(observed(classes.OBJECT_CLASS_PERSON))
    assert (value.features.speed_low, value.features.speed_high) == (None, None)
    assert not bus_pb2.Observation.FromString(value.payload).HasField("speed")
    assert value.features.leaving == pytest.approx(0.0)


def test_of_a_vehicle_everything_is_kept_as_it_came() -> None:
    item = observed(classes.OBJECT_CLASS_CAR)
    value = read(item)
    assert bus_pb2.Observation.FromString(value.payload) == item
    assert (value.colour, value.track) == (bus_pb2.VEHICLE_COLOUR_RED, -1)
    assert (value.features.speed_low, value.features.speed_high) == (5.0, 6.0)
    assert value.features.leaving == pytest.approx(10.0)


def test_places_are_the_optic_s_own() -> None:
    assert read(observed(classes.OBJECT_CLASS_CAR)).places == ("lines/gate", "zones/bed")


def test_numbers_that_are_none_are_not_known() -> None:
    item = observed(classes.OBJECT_CLASS_CAR)
    item.speed.metres_per_second = float("nan")
    item.path[1].ground.north_metres = float("inf")
    features = read(item).features
    assert (features.speed_low, features.speed_high) == (6.0, 6.0)
    assert features.leaving == pytest.approx(0.0)


def test_a_clock_that_is_a_day_ahead_says_nothing() -> None:
    item = observed(classes.OBJECT_CLASS_CAR)
    item.start_time.FromDatetime(NOW + timedelta(hours=23))
    assert read(item).expire_time == NOW + timedelta(days=7), "no longer than seven days after it came"
    item.start_time.FromDatetime(NOW + timedelta(hours=25))
    with pytest.raises(InvalidArgument):
        read(item)


moments = st.builds(Timestamp, seconds=st.integers(-(2**40), 2**40), nanos=st.integers(0, 10**9 - 1))
texts = st.text(max_size=20)
floats = st.floats() | st.integers(-400, 400)


@given(
    st.builds(
        Request,
        interval=st.builds(Interval, start_time=moments, end_time=moments),
        interval_tolerance=st.builds(Duration, seconds=st.integers(-(2**40), 2**40)),
        purpose=texts,
        case_reference=texts,
        reason=texts,
        classes=st.lists(st.integers(-5, 20), max_size=3),
        rules=st.lists(texts, max_size=2),
        minimum_count=st.integers(-(2**31), 2**31 - 1),
        sites=st.none() | st.builds(Request.Sites, names=st.lists(texts, max_size=2)),
        movement=st.builds(
            Request.Movement,
            heading_degrees=floats,
            heading_tolerance_degrees=floats,
            minimum_speed=floats,
            maximum_speed=floats,
            places=st.lists(texts, max_size=2),
        ),
    )
)
def test_whatever_is_asked_for_is_read_or_refused(request_: Request) -> None:
    with contextlib.suppress(InvalidArgument):
        assert search_contracts.asked(request_).case


def test_the_same_question_has_one_form_whatever_its_page() -> None:
    one = Request(purpose="a", case_reference="b", reason="c", page_size=5)
    other = Request(purpose="a", case_reference="b", reason="c", page_token="x", approval="approvals/a")
    assert search_contracts.canonical(one) == search_contracts.canonical(other)
    assert search_contracts.canonical(one) == '{"caseReference":"b","purpose":"a","reason":"c"}'
