"""Sectors of large events: what is measured, which colour follows, and what is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.crowd_events import alarms
from alerting.domain.crowd_events.alarms import COLOURS, THRESHOLDS, Band, Colour, Kind, Memory, judge
from alerting.domain.crowd_events.measures import (
    WINDOW,
    Crossings,
    Method,
    Presence,
    Readings,
    SectorStatus,
    assess,
)
from alerting.domain.crowd_events.plan import CrowdEvent, Gate, Inward, Sector
from alerting.domain.flows.estimates import Estimate
from alerting.domain.flows.service_levels import Level, Scale
from mesh.errors import InvalidArgument

NIGHT = datetime(2026, 6, 3, 22, tzinfo=UTC)
ZONES = ("devices/d/optics/o/zones/a", "devices/d/optics/o/zones/b")
GATE = Gate("devices/d/optics/o/lines/g", Inward.LEFT_TO_RIGHT, exit_modules=4)
SQUARE = Sector("square", "Square", zones=ZONES, gates=(GATE,), stated_capacity=1000)
STREET = Sector("street", "Street", gates=(GATE,), stated_capacity=1000, initial_occupancy=100)


def readings(
    means: list[float | None] | None = None,
    crossings: list[Crossings] | None = None,
    *,
    density: float = 0.0,
    since_start: Crossings | None = None,
    areas: dict[str, float] | None = None,
) -> Readings:
    """The last minutes of a square of two equal zones, and of its gate; None: nothing was analysed."""
    last = WINDOW - len(means or ())
    presence = {
        (zone, last + number): Presence(mean / 2, density, 1.0)
        for number, mean in enumerate(means or ())
        if mean is not None
        for zone in ZONES
    }
    first = WINDOW - len(crossings or ())
    passed = {(GATE.line, first + number): item for number, item in enumerate(crossings or ())}
    sums = {GATE.line: since_start} if since_start else {}
    return Readings(NIGHT, presence, passed, sums, areas or {})


def test_people_in_zones_are_counted_and_their_trend_leads_to_a_time() -> None:
    status = assess(SQUARE, readings([500 + 20 * minute for minute in range(10)]))

    assert status.method is Method.ZONES
    assert status.occupancy is not None
    assert status.occupancy.value == pytest.approx(680)
    assert status.trend == pytest.approx(20)
    assert status.minutes_to_full == pytest.approx(320 / 20)
    assert status.share == pytest.approx(0.68)
    assert status.exit_share == pytest.approx(0.68)


def test_what_goes_up_and_down_is_not_said_to_fill() -> None:
    status = assess(SQUARE, readings([500, 520, 480, 510, 490, 505, 515, 485, 500, 502]))

    assert status.trend is not None
    assert status.minutes_to_full is None


def test_a_sector_that_is_not_seen_is_unknown_and_never_empty() -> None:
    blind = replace(SQUARE, gates=())
    status = assess(blind, readings([700, 710, 720, None, None, None, None]))

    assert (status.method, status.occupancy, status.share) == (Method.UNKNOWN, None, None)
    assert status.blind_minutes == 4
    assert assess(blind, readings()).blind_minutes == WINDOW


def test_a_zone_that_is_not_seen_makes_the_whole_unknown() -> None:
    seen = readings([700, 710])
    half = {key: value for key, value in seen.presence.items() if key[0] == ZONES[0]}

    assert assess(replace(SQUARE, gates=()), replace(seen, presence=half)).occupancy is None


def test_gates_keep_a_balance_and_say_how_far_it_has_drifted() -> None:
    passed = Crossings(3000, 2600, 1.0)
    status = assess(STREET, readings(crossings=[Crossings(60, 20, 1.0)] * 5, since_start=passed))

    assert status.method is Method.BALANCE
    assert status.occupancy is not None
    assert status.occupancy.value == pytest.approx(100 + 400)
    # Five per cent of each direction: a balance of many is worth little.
    assert status.occupancy.uncertainty == pytest.approx(1.96 * 0.05 * (3000**2 + 2600**2) ** 0.5, rel=1e-3)
    assert status.net_inflow == pytest.approx(40)
    assert status.minutes_to_full == pytest.approx(500 / 40)
    better = assess(STREET, readings(crossings=[Crossings(60, 20, 1.0)], since_start=passed), 0.01)
    assert better.occupancy is not None
    assert better.occupancy.uncertainty < 80


def test_a_gate_that_is_no_longer_seen_ends_the_balance() -> None:
    minutes = [Crossings(60, 20, 1.0)] * 5 + [Crossings(0, 0, 0.0)] * 3
    status = assess(STREET, readings(crossings=minutes, since_start=Crossings(300, 100, 0.6)))

    assert (status.method, status.occupancy) == (Method.UNKNOWN, None)


def test_what_a_gate_did_not_see_is_allowed_for() -> None:
    status = assess(STREET, readings(crossings=[Crossings(30, 10, 0.5)] * 5, since_start=Crossings(400, 200, 0.5)))

    assert status.occupancy is not None
    assert status.occupancy.value == pytest.approx(100 + 400)
    assert [status.gates[0].inflow, status.gates[0].outflow] == pytest.approx([60, 20])
    assert status.gates[0].coverage == pytest.approx(0.5)


def test_a_gate_that_was_never_seen_leaves_the_balance_unknown() -> None:
    assert assess(STREET, readings(since_start=Crossings(0, 0, 0.0))).method is Method.UNKNOWN


def test_the_densest_spot_decides_on_the_scale_of_the_sector() -> None:
    walking = assess(SQUARE, readings([100], density=1.5))
    waiting = assess(replace(SQUARE, scale=Scale.QUEUE), readings([100], density=1.5))

    assert walking.peak_density == 1.5
    assert (walking.level, waiting.level) == (Level.E, Level.C)


def test_counter_flow_is_the_share_of_the_smaller_direction() -> None:
    both = assess(SQUARE, readings(crossings=[Crossings(6, 4, 1.0)] * 5))
    few = assess(SQUARE, readings(crossings=[Crossings(1, 1, 1.0)] * 5))

    assert both.gates[0].counter_flow_share == pytest.approx(0.4)
    assert few.gates[0].counter_flow_share is None


def test_capacity_is_stated_or_two_for_each_square_metre() -> None:
    areas = dict.fromkeys(ZONES, 100.4)

    assert SQUARE.capacity({}) == 1000
    assert replace(SQUARE, stated_capacity=0).capacity(areas) == 401
    assert replace(SQUARE, stated_capacity=0).capacity({ZONES[0]: 100.0}) is None
    assert replace(SQUARE, stated_capacity=0, stated_area=50.0).capacity({}) == 100


def test_the_table_of_colours_is_whole() -> None:
    colours = (Colour.GREEN, Colour.AMBER, Colour.RED)

    assert COLOURS.keys() == {(colour, band) for colour in colours for band in Band}
    # A sector that empties is green at once; one that is full is red at once; in between it keeps what it was.
    assert {COLOURS[colour, Band.LOW] for colour in colours} == {Colour.GREEN}
    assert {COLOURS[colour, Band.RED] for colour in colours} == {Colour.RED}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.5, 0.79, 0.80, 0.79, 0.76, 0.74], "GGAAAG"),
        ([0.94, 0.95, 0.94, 0.91, 0.89, 0.81, 0.74], "ARRRAAG"),
        ([0.96, 0.5, 0.96], "RGR"),
        ([0.85, None, 0.78, None, 0.70], "AUAUG"),
    ],
)
def test_colours_do_not_flicker(shares: list[float | None], expected: str) -> None:
    memory, seen = Memory(), []
    for share in shares:
        memory, colour, _ = judge(memory, sector_status(share))
        seen.append(colour.name[0])

    assert "".join(seen) == expected


def sector_status(
    share: float | None, *, blind: int = 0, time: datetime = NIGHT, density: float | None = None
) -> SectorStatus:
    occupancy = None if share is None else Estimate(1000 * share, 10.0)
    return SectorStatus(
        sector=replace(SQUARE, gates=()),
        time=time,
        method=Method.ZONES,
        occupancy=occupancy,
        capacity=1000,
        trend=None,
        minutes_to_full=None,
        peak_density=None,
        level=None,
        gates=(),
        blind_minutes=blind,
    )


def told(statuses: list[SectorStatus]) -> list[list[Kind]]:
    memory, findings = Memory(), []
    for status in statuses:
        memory, _, found = judge(memory, status)
        findings.append([finding.kind for finding in found])
    return findings


def test_an_alarm_is_told_once_until_it_is_over() -> None:
    shares = [0.5, 0.81, 0.79, 0.81, 0.96, 0.94, 0.97, 0.5, 0.81]

    assert told([sector_status(share) for share in shares]) == [
        [], [Kind.FILLING], [], [], [Kind.FULL], [], [], [], [Kind.FILLING],
    ]  # fmt: skip


def test_whoever_hears_that_it_is_full_need_not_hear_that_it_fills() -> None:
    assert told([sector_status(0.99)]) == [[Kind.FULL]]


def test_a_sector_that_goes_blind_is_told_and_keeps_its_other_alarms() -> None:
    statuses = [
        sector_status(0.97), sector_status(None, blind=3), sector_status(None, blind=4), sector_status(0.97),
        sector_status(None, blind=3),
    ]  # fmt: skip

    assert told(statuses) == [[Kind.FULL], [Kind.BLIND], [], [], [Kind.BLIND]]


@given(st.lists(st.one_of(st.none(), st.floats(0.0, 1.3)), min_size=1, max_size=40))
def test_alarms_and_colour_agree_whatever_happens(shares: list[float | None]) -> None:
    memory = Memory()
    for share in shares:
        before = memory
        memory, colour, found = judge(memory, sector_status(share))
        if share is None:
            assert colour is Colour.UNKNOWN
            assert memory.colour is before.colour
        assert (memory.colour is Colour.RED) == (Kind.FULL in memory.told)
        assert not {finding.kind for finding in found} & before.told.keys()


def test_every_threshold_has_a_hysteresis_and_a_topic() -> None:
    assert THRESHOLDS.keys() == set(Kind)
    assert all(threshold.told_at != threshold.over_at for threshold in THRESHOLDS.values())
    assert THRESHOLDS[Kind.FILLING].told_at == 100 * alarms.AMBER_FROM
    assert THRESHOLDS[Kind.FULL].told_at == 100 * alarms.RED_FROM


def test_what_was_told_says_since_when() -> None:
    memory, _, _ = judge(Memory(), sector_status(0.85))
    later, _, _ = judge(memory, sector_status(0.85, time=NIGHT + timedelta(minutes=1)))

    assert later.told == MappingProxyType({Kind.FILLING: NIGHT})


@pytest.mark.parametrize(
    "sectors",
    [
        (),
        (SQUARE, SQUARE),
        (SQUARE, replace(SQUARE, sector_id="other")),
        (Sector("empty", ""),),
        (replace(STREET, stated_capacity=0),),
        (replace(STREET, gates=(GATE, GATE)),),
    ],
)
def test_an_event_that_cannot_be_watched_is_refused(sectors: tuple[Sector, ...]) -> None:
    with pytest.raises(InvalidArgument):
        CrowdEvent("concert", "Concert", sectors, NIGHT).check()
