from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.liveness import Reason
from camera_gateway.domain.outage import TRANSITIONS, DeviceOutage, Event, News, State

OPTICS = {"a", "b", "c", "d"}


def device(optics: set[str] = OPTICS) -> DeviceOutage:
    numbers = itertools.count(1)
    outage = DeviceOutage(lambda: f"incident {next(numbers)}", gather=3.0, remind=300.0)
    outage.on_optics(optics, 0.0)
    return outage


def test_four_optics_that_fall_together_are_one_incident_and_so_is_their_return() -> None:
    outage = device()
    news = [
        each for number, optic in enumerate("abcd") for each in outage.on_lost(optic, Reason.STALL, 10 + number / 4)
    ]
    news += [each for optic in "abcd" for each in outage.on_lost(optic, Reason.UNREACHABLE, 20.0)]
    names = {outage.incident_of(optic) for optic in OPTICS}
    news += [each for optic in "abcd" for each in outage.on_back(optic, 30.0)]

    assert [(kind, incident.name, incident.whole) for kind, incident in news] == [
        (News.LOST, "incident 1", True),
        (News.RESTORED, "incident 1", True),
    ]
    assert news[0][1].reasons == dict.fromkeys("abcd", Reason.STALL)
    assert news[0][1].since == 10.0
    assert names == {"incident 1"}
    assert outage.incident_of("a") == ""


def test_one_optic_of_four_is_told_when_no_other_has_followed() -> None:
    outage = device()
    assert outage.on_lost("b", Reason.DECODE_ERRORS, 10.0) == []
    assert outage.tick(12.9) == []

    ((kind, incident),) = outage.tick(13.0)

    assert (kind, dict(incident.reasons), incident.whole) == (News.LOST, {"b": Reason.DECODE_ERRORS}, False)
    assert [kind for kind, _ in outage.tick(313.0)] == [News.STILL_LOST]
    assert outage.incident_of("a") == ""


def test_a_device_that_falls_after_one_of_its_optics_is_told_again() -> None:
    outage = device()
    outage.on_lost("a", Reason.NOT_FOUND, 0.0)
    outage.tick(3.0)

    news = [each for optic in "bcd" for each in outage.on_lost(optic, Reason.STALL, 100.0)]

    assert [(kind, incident.whole) for kind, incident in news] == [(News.LOST, True)]


def test_a_blink_is_told_with_its_end() -> None:
    outage = device()
    outage.on_lost("a", Reason.END_OF_STREAM, 0.0)

    assert [kind for kind, _ in outage.on_back("a", 1.0)] == [News.LOST, News.RESTORED]


def test_the_only_optic_of_a_device_is_told_at_once() -> None:
    outage = device({"a"})

    assert [(kind, incident.whole) for kind, incident in outage.on_lost("a", Reason.STALL, 0.0)] == [(News.LOST, True)]


def test_an_optic_that_is_taken_away_is_no_longer_lost() -> None:
    outage = device()
    outage.on_lost("a", Reason.STALL, 0.0)
    outage.tick(3.0)

    assert [kind for kind, _ in outage.on_optics({"b", "c"}, 5.0)] == [News.RESTORED]
    assert outage.state is State.NONE
    assert outage.due_at is None


ROADS: dict[State, list[tuple[str, str]]] = {
    State.NONE: [],
    State.GATHERING: [("lost", "a")],
    State.TOLD_IN_PART: [("lost", "a"), ("tick", "")],
    State.TOLD_WHOLE: [("lost", optic) for optic in "abcd"],
}


def do(outage: DeviceOutage, what: str, optic: str, now: float) -> list[News]:
    if what == "lost":
        return [kind for kind, _ in outage.on_lost(optic, Reason.STALL, now)]
    if what == "back":
        return [kind for kind, _ in outage.on_back(optic, now)]
    return [kind for kind, _ in outage.tick(now)]


CAUSES: dict[Event, list[tuple[str, str]]] = {
    Event.SOME_LOST: [("lost", "a")],
    Event.ALL_LOST: [("lost", optic) for optic in "abcd"],
    Event.SETTLED: [("tick", "")],
    Event.REMINDED: [("tick", "")],
    Event.SOME_BACK: [("back", "d")],
    Event.ALL_BACK: [("back", optic) for optic in "abcd"],
}


@pytest.mark.parametrize(("state", "event"), sorted(TRANSITIONS, key=str))
def test_every_line_of_the_table(state: State, event: Event) -> None:
    outage = device()
    for step, optic in ROADS[state]:
        do(outage, step, optic, 1000.0 if step == "tick" else 0.0)
    assert outage.state is state

    news = [kind for what, optic in CAUSES[event] for kind in do(outage, what, optic, 5000.0)]

    after, told = TRANSITIONS[state, event]
    assert (outage.state, tuple(news)) == (after, told)


changes = st.lists(st.tuples(st.sampled_from(["lost", "back", "tick"]), st.sampled_from("abcd"), st.floats(0, 400)))


@given(changes)
def test_no_sequence_tells_more_than_it_should(steps: list[tuple[str, str, float]]) -> None:
    outage, now, lost = device(), 0.0, set[str]()
    open_incident = False
    for what, optic, elapsed in steps:
        now += elapsed
        if what != "tick":
            (lost.add if what == "lost" else lost.discard)(optic)
        for kind in do(outage, what, optic, now):
            assert open_incident or kind is News.LOST
            open_incident = kind is not News.RESTORED
        assert outage.lost == lost
        assert (outage.state is State.NONE) is (not lost)
        assert (outage.due_at is not None) is bool(lost)
        assert all(outage.incident_of(each) for each in lost)
