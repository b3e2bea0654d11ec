"""From events to alarms: grouping, merging, chattering, floods; nothing is ever lost."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.domain.alerts import Act, Alert, Kind, Priority, State, Step, take
from alerting.domain.annunciation import BUDGET_WINDOW, Annunciator, Policy, Room
from alerting.domain.events import RuleEvent, raise_alert
from alerting.domain.neighbourhood import Neighbourhood, distance
from alerting.domain.retention import RETENTION
from alerting.domain.shelving import Shelving
from alerting.domain.summary import Explanation
from mesh.errors import FailedPrecondition

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = Policy(
    window=timedelta(seconds=30),
    merge_window=timedelta(seconds=10),
    incident_window=timedelta(minutes=2),
    chatter_count=3,
    chatter_window=timedelta(minutes=10),
    budget=10,
    patience={priority: timedelta(minutes=4 - priority) for priority in Priority},
)
ROOMY = replace(POLICY, budget=1000)


def event(
    seconds: float = 0,
    *,
    device: str = "d",
    optic: str = "o",
    site: str = "s",
    rule: str = "r",
    topic: str = "LineDetector/Crossed",
    priority: Priority = Priority.LOW,
) -> RuleEvent:
    captured = NOW + timedelta(seconds=seconds)
    name = f"devices/{device}/optics/{optic}"
    return RuleEvent(
        event_id=uuid.uuid4(),
        live=True,
        priority=priority,
        optic=name,
        site=f"sites/{site}" if site else "",
        capture_time=captured,
        expire_time=captured + RETENTION,
        explanation=Explanation(topic=topic, rule=f"{name}/rules/{rule}", place=f"{name}/zones/z-{rule}", optic=name),
        payload=f"{device} {rule} {priority}".encode(),
    )


class World:
    """A control room over time: what a database keeps between two transactions."""

    def __init__(self, policy: Policy = ROOMY, **room: object) -> None:
        self.policy = policy
        self.room = room
        self.alerts: dict[str, Alert] = {}
        self.links: dict[uuid.UUID, str] = {}
        self.shown_most = 0

    def receive(self, *events: RuleEvent, now: datetime | None = None) -> list[Alert]:
        now = now or max(event.capture_time for event in events)
        annunciator = Annunciator(self.policy, self._room(now), now)
        annunciator.take({event.event_id: event for event in events if event.event_id not in self.links}.values())
        self.alerts.update(annunciator.changed)
        self.links.update({event.event_id: alert_id for event, alert_id in annunciator.links})
        for former, into in annunciator.folded:
            self.links = {event: into if alert == former else alert for event, alert in self.links.items()}
        self.shown_most = max(self.shown_most, len(self.shown(now)))
        return [self.alerts[alert_id] for alert_id in annunciator.raised]

    def shown(self, now: datetime) -> list[Alert]:
        return [
            alert
            for alert in self.alerts.values()
            if (alert.kind is not Kind.FLOOD or alert.state is not State.CLOSED)
            and alert.create_time > now - BUDGET_WINDOW
            and not any(step.act is Act.FOLD for step in alert.transitions)
            and not any(step.act is Act.SHELVE for step in alert.transitions[1:2])
        ]

    def _room(self, now: datetime) -> Room:
        raised: dict[tuple[str, str], list[datetime]] = {}
        for alert in self.alerts.values():
            raised.setdefault((alert.rule, alert.place), []).append(alert.capture_time)
        return Room(
            open_alerts=[alert for alert in self.alerts.values() if alert.state is not State.CLOSED],
            raised=raised,
            shown=sum(alert.kind is not Kind.FLOOD for alert in self.shown(now)),
            **self.room,  # type: ignore[arg-type]
        )

    def check(self, events: int) -> None:
        """Every event belongs to exactly one alarm that stands, and is counted there once."""
        standing = [
            alert for alert in self.alerts.values() if all(step.act is not Act.FOLD for step in alert.transitions)
        ]
        counts = {alert.alert_id: 0 for alert in standing}
        for alert_id in self.links.values():
            counts[alert_id] += 1
        assert len(self.links) == events
        assert counts == {alert.alert_id: alert.event_count for alert in standing}


def test_one_rule_and_place_is_one_alarm_while_it_lasts() -> None:
    world = World()
    (first,) = world.receive(event())
    assert world.receive(event(20)) == []
    (second,) = world.receive(event(120))

    assert world.alerts[first.alert_id].event_count == 2
    assert second.incident == first.incident == first.alert_id
    assert first.due_time == NOW + timedelta(minutes=3)


@pytest.mark.parametrize(("seconds", "joins"), [(0, True), (30, True), (30.001, False), (-30, True), (-30.001, False)])
def test_the_window_reaches_to_both_sides_and_includes_its_edges(seconds: float, joins: bool) -> None:  # noqa: FBT001
    world = World()
    world.receive(event())
    assert (world.receive(event(seconds)) == []) is joins


def test_each_event_that_joins_moves_the_window() -> None:
    world = World()
    world.receive(event())
    assert [world.receive(event(seconds)) for seconds in (25, 50, 75)] == [[], [], []]
    world.check(4)


@pytest.mark.parametrize("state", list(State))
def test_only_a_closed_alert_takes_no_more_events(state: State) -> None:
    world = World()
    (first,) = world.receive(event())
    world.alerts[first.alert_id] = replace(first, state=state)
    assert (world.receive(event(1)) == []) is (state is not State.CLOSED)


def test_of_two_alerts_the_one_that_was_active_last_takes_the_event() -> None:
    world = World()
    (first,), (second,) = world.receive(event()), world.receive(event(31))
    world.alerts[first.alert_id] = replace(first, last_capture_time=NOW + timedelta(seconds=5))
    joins = event(20)
    world.receive(joins)
    assert world.links[joins.event_id] == second.alert_id


def test_optics_of_a_device_and_of_a_site_that_see_the_same_are_one_alarm() -> None:
    world = World()
    (alarm,) = world.receive(event(), event(2, optic="o2"), event(4, device="d2"), event(6, device="d3", site="far"))[
        :1
    ]
    far = [alert for alert in world.alerts.values() if alert.alert_id != alarm.alert_id]

    merged = world.alerts[alarm.alert_id]
    assert merged.event_count == 3
    assert merged.other_optics == ("devices/d/optics/o2", "devices/d2/optics/o")
    assert [alert.site for alert in far] == ["sites/far"]


@pytest.mark.parametrize(
    "other",
    [
        event(2, rule="r2"),
        event(2, optic="o2", topic="Argo/WrongWay"),
        event(11, optic="o2"),
        event(2, device="d9", site=""),
    ],
    ids=["another rule of the same optic", "another kind", "another time", "no site"],
)
def test_what_differs_in_kind_place_or_time_is_another_alarm(other: RuleEvent) -> None:
    world = World()
    world.receive(event())
    assert len(world.receive(other)) == 1


def test_neighbouring_sites_are_one_place() -> None:
    neighbourhood = Neighbourhood(60)
    here, near, far = (45.0703, 7.6869), (45.0707, 7.6869), (45.0713, 7.6869)
    assert 44 < distance(here, near) < 45
    neighbourhood.update({"sites/s": here, "sites/near": near, "sites/far": far})
    world = World(neighbours=neighbourhood)
    world.receive(event())

    assert world.receive(event(1, device="d2", site="near")) == []
    assert len(world.receive(event(1, device="d3", site="far", topic="Argo/WrongWay"))) == 1
    assert neighbourhood("sites/unknown") == {"sites/unknown"}


def test_a_rule_that_fires_again_and_again_becomes_one_chattering_alarm_until_there_is_quiet() -> None:
    world = World()
    for minute in range(12):
        world.receive(event(60 * minute))
    standing = [alert for alert in world.alerts.values() if alert.state is State.RAISED]
    assert [(alert.kind, alert.event_count) for alert in standing] == [(Kind.CHATTERING, 12)]

    assert world.receive(event(60 * 21)) == []
    (calm,) = world.receive(event(60 * 60))
    assert calm.kind is Kind.SINGLE
    world.check(14)


def test_what_somebody_has_taken_on_is_not_folded_into_a_chattering_alarm() -> None:
    world = World()
    (first,) = world.receive(event())
    world.alerts[first.alert_id] = take(first, Step(Act.ACKNOWLEDGE, "operator/rossi"), NOW)
    for minute in range(1, 5):
        world.receive(event(60 * minute))

    assert world.alerts[first.alert_id].state is State.ACKNOWLEDGED
    world.check(5)


def test_what_is_set_aside_goes_to_the_shelf_once() -> None:
    until = NOW + timedelta(hours=1)
    works = Shelving("s-1", "devices/d/optics/o", until, "operator/rossi", "works in the street", NOW)
    world = World(shelvings=(works,))
    (shelved,) = world.receive(event())
    world.receive(event(1800))
    (other,) = world.receive(event(1, device="d2", site="elsewhere"))

    assert (shelved.state, shelved.shelved_until) == (State.SHELVED, until)
    assert shelved.transitions[-1].actor == "operator/rossi"
    assert world.alerts[shelved.alert_id].event_count == 2
    assert other.state is State.RAISED


def storm(count: int, *, sites: int = 50, high: int = 1) -> list[RuleEvent]:
    priorities = [Priority.HIGH] * high + [Priority.MEDIUM] * (count // 10)
    return [
        event(
            index / count, device=f"d{index % sites}", site=f"s{index % sites}", rule=f"r{index}",
            topic=f"Argo/{index}", priority=priorities[-index - 1] if index < len(priorities) else Priority.LOW,
        )
        for index in reversed(range(count))
    ]  # fmt: skip


@pytest.mark.parametrize("operators", [1, 2, 5])
def test_in_a_flood_people_see_what_they_can_bear_and_the_most_urgent_as_its_own(operators: int) -> None:
    world = World(POLICY, operators=operators)
    for message in storm(500):
        world.receive(message, now=NOW)
    shown = world.shown(NOW)

    assert world.shown_most <= 10 * operators
    urgent = [alert for alert in shown if alert.priority is Priority.HIGH]
    assert [alert.kind for alert in urgent] == [Kind.SINGLE]
    (flood,) = [alert for alert in shown if alert.kind is Kind.FLOOD]
    assert flood.summary.startswith(f"Flood of alarms: {flood.event_count} events beyond")
    world.check(500)


def test_in_a_flood_alarms_of_one_incident_are_put_together_first() -> None:
    world = World(POLICY)
    for message in storm(200, sites=2, high=0):
        world.receive(message, now=NOW)

    assert not [alert for alert in world.shown(NOW) if alert.kind is Kind.FLOOD]
    world.check(200)


def test_a_more_urgent_event_becomes_the_headline_and_shortens_the_wait() -> None:
    world = World(POLICY)
    for index in range(6):
        world.receive(event(0, rule=f"r{index}", topic=f"Argo/{index}"), now=NOW)
    urgent = event(1, rule="urgent", topic="Argo/SmokeOrFire", priority=Priority.HIGH)
    world.receive(urgent, now=NOW + timedelta(seconds=1))
    alarm = world.alerts[world.links[urgent.event_id]]

    assert (alarm.priority, alarm.event) == (Priority.HIGH, urgent.payload)
    assert "smoke" in alarm.summary
    assert alarm.due_time == NOW + timedelta(seconds=61)


EVENTS = st.builds(
    event,
    st.floats(0, 1500),
    device=st.sampled_from(["d1", "d2", "d3", "d4"]),
    optic=st.sampled_from(["o1", "o2"]),
    site=st.sampled_from(["s1", "s2", "s3", ""]),
    rule=st.sampled_from(["r1", "r2", "r3"]),
    topic=st.sampled_from(["Argo/WrongWay", "LineDetector/Crossed"]),
    priority=st.sampled_from(Priority),
)
ACTS = st.sampled_from([Act.ACKNOWLEDGE, Act.CLOSE, Act.SHELVE, Act.UNSHELVE])
STORMY = st.builds(
    event,
    device=st.integers(1, 99).map("d{}".format),
    site=st.integers(1, 99).map("s{}".format),
    priority=st.sampled_from(Priority),
)
HAPPENINGS = st.one_of(EVENTS, STORMY, st.tuples(ACTS, st.integers(0, 9)))


@settings(max_examples=200)
@given(st.lists(HAPPENINGS, max_size=60), st.integers(1, 6), st.sampled_from([1, 20, 90]), st.randoms())
def test_whatever_comes_and_whatever_people_do_every_event_has_one_alarm(
    happenings: list[RuleEvent | tuple[Act, int]], budget: int, pace: float, random: Random
) -> None:
    world = World(replace(POLICY, budget=budget))
    events: list[RuleEvent] = []
    for step, happening in enumerate(happenings):
        now = NOW + timedelta(seconds=pace * step)
        if isinstance(happening, RuleEvent):
            events.append(happening)
            # The bus delivers again what was delivered before.
            world.receive(happening, *random.sample(events, min(2, len(events))), now=now)
            continue
        act, index = happening
        candidates = [alert for alert in world.alerts.values() if alert.state is not State.CLOSED]
        for alert in candidates[index : index + 1]:
            asked = Step(act, "operator/rossi", "x", due=now + timedelta(hours=1))
            if (alert.state, act) in POSSIBLE and not (act is Act.SHELVE and alert.kind is Kind.FLOOD):
                world.alerts[alert.alert_id] = take(alert, asked, now)
    world.check(len(events))
    assert world.shown_most <= budget


def test_who_closes_the_floods_alarm_in_mid_flood_gets_the_next_one_in_its_place() -> None:
    world = World(POLICY)
    floods = set()
    for number, message in enumerate(storm(300, high=3)):
        now = NOW + timedelta(seconds=number)
        world.receive(message, now=now)
        for flood in [alert for alert in world.shown(now) if alert.kind is Kind.FLOOD]:
            floods.add(flood.alert_id)
            if number % 7 == 0:
                for act in (Act.ACKNOWLEDGE, Act.CLOSE):
                    world.alerts[flood.alert_id] = take(world.alerts[flood.alert_id], Step(act, "operator/rossi"), now)

    assert len(floods) > 10
    assert world.shown_most == POLICY.budget
    world.check(300)


def test_what_gathers_a_flood_is_not_set_aside() -> None:
    world = World(POLICY)
    for message in storm(100):
        world.receive(message, now=NOW)
    (flood,) = [alert for alert in world.shown(NOW) if alert.kind is Kind.FLOOD]

    with pytest.raises(FailedPrecondition) as caught:
        take(flood, Step(Act.SHELVE, "operator/rossi", "works", due=NOW + timedelta(hours=1)), NOW)
    assert caught.value.reason == "ALERT_OF_FLOOD"
    works = Shelving("s-1", flood.optic, NOW + timedelta(hours=1), "operator/rossi", "works in the street", NOW)
    assert not works.covers(flood)


POSSIBLE = {
    (State.RAISED, Act.ACKNOWLEDGE),
    (State.RAISED, Act.SHELVE),
    (State.ACKNOWLEDGED, Act.CLOSE),
    (State.SHELVED, Act.UNSHELVE),
}


@settings(max_examples=60)
@given(st.lists(EVENTS, max_size=60), st.integers(2, 6))
def test_nothing_shows_more_than_the_budget_bears(events: list[RuleEvent], budget: int) -> None:
    world = World(replace(POLICY, budget=budget))
    for step, message in enumerate(events):
        world.receive(message, now=NOW + timedelta(seconds=10 * step))

    assert world.shown_most <= budget
    world.check(len(events))


def test_raising_twice_makes_one_alarm() -> None:
    message = event()
    assert raise_alert(message, NOW).alert_id == raise_alert(message, NOW).alert_id
