from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from detector.domain import geometry
from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter, Firing, Rule
from detector.domain.rules import line_crossing as line
from detector.domain.rules import zone_intrusion as zone
from detector.domain.rules.line_crossing import Direction, LineCrossing, Move, Standing
from detector.domain.rules.schedule import Schedule, runs
from detector.domain.rules.zone_intrusion import Glimpse, Stay, ZoneIntrusion
from detector.domain.scene import Presence, Scene

EVERYBODY = ClassFilter()
DOWN_THE_MIDDLE = ((0.5, 0.0), (0.5, 1.0))
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


def person(x: float, y: float = 100.0, *, track: int = 1, kind: ObjectClass = ObjectClass.PERSON) -> Presence:
    """40 pixels high, standing at (x, y) of a picture of 200 x 200."""
    return Presence(track, kind, (x, y), 40.0, (x - 10, y - 40, x + 10, y))


def walk(rule: Rule, *places: float | None, step: float = 0.2) -> list[Firing]:
    """Firings along x positions, one per frame; None: not seen in that frame."""
    found: list[Firing] = []
    for number, x in enumerate(places):
        found += rule.step(Scene(number * step, 200, 200, () if x is None else (person(x),)))
    return found


# Line crossing --------------------------------------------------------------------------------------------------------


def crossing(direction: Direction = Direction.ANY, classes: ClassFilter = EVERYBODY) -> LineCrossing:
    return LineCrossing("lines/middle", DOWN_THE_MIDDLE, direction, classes)


def test_the_table_of_line_crossing_is_whole() -> None:
    # An object that was never clear of the line cannot have crossed it.
    possible = set(itertools.product(Standing, Move)) - {(Standing.UNKNOWN, Move.ACROSS)}

    assert set(line.TRANSITIONS) == possible
    assert {key for key, (_, crossed) in line.TRANSITIONS.items() if crossed} == {
        (Standing.CLEAR, Move.ACROSS),
        (Standing.NEAR, Move.ACROSS),
    }
    assert all(
        (after is Standing.CLEAR) == (move is not Move.CLOSE) for (_, move), (after, _) in line.TRANSITIONS.items()
    )


@pytest.mark.parametrize(
    ("places", "crossings"),
    [
        ((80, 90, 99, 102, 110), 1),
        ((80, 120), 1),
        ((80, 120, 80, 120), 3),
        ((80, 98, 101, 99, 102, 98, 80), 0),
        ((80, 98, 101, 99, 102, 98, 120), 1),
        ((100, 101, 120), 0),
        ((80, None, None, 120), 1),
        ((80, 90), 0),
        ((), 0),
    ],
)
def test_a_crossing_counts_from_clear_to_clear(places: tuple[float | None, ...], crossings: int) -> None:
    assert len(walk(crossing(), *places)) == crossings


def test_the_direction_is_that_of_somebody_who_walks_along_the_line() -> None:
    # Down the picture, the walker's right hand is on the picture's left side.
    to_the_right, to_the_left = Direction.RIGHT_TO_LEFT, Direction.LEFT_TO_RIGHT

    assert len(walk(crossing(to_the_right), 80, 120, 80)) == 1
    assert walk(crossing(to_the_right), 80, 120)
    assert not walk(crossing(to_the_left), 80, 120)
    assert walk(crossing(to_the_left), 120, 80)


def test_who_walks_around_the_end_of_a_line_has_not_crossed_it() -> None:
    rule = LineCrossing("lines/short", ((0.5, 0.4), (0.5, 0.6)), Direction.ANY, EVERYBODY)
    around = [person(80, 100), person(80, 180), person(120, 180), person(120, 100)]

    assert not [firing for n, item in enumerate(around) for firing in rule.step(Scene(n * 0.2, 200, 200, (item,)))]


def test_a_crossing_explains_itself() -> None:
    (firing,) = walk(crossing(), 80, 98, 110)

    assert firing.start_time == 0.0
    assert firing.time == pytest.approx(0.4)
    assert firing.value == pytest.approx(10 / 40)
    assert firing.value > firing.threshold == line.CLEARANCE_HEIGHTS
    assert (firing.quantity, firing.unit) == ("distance past the line", "object heights")
    assert (firing.tracks, firing.classes) == ((1,), (ObjectClass.PERSON,))
    assert firing.box == (100, 60, 120, 100)


def test_classes_that_a_line_does_not_look_at_cross_it_freely() -> None:
    assert not walk(crossing(classes=ClassFilter(frozenset({ObjectClass.CAR}))), 80, 120)


def test_tracks_are_told_apart_and_forgotten_when_they_end() -> None:
    rule = crossing()
    rule.step(Scene(0.0, 200, 200, (person(80, track=1), person(120, track=2))))
    rule.step(Scene(0.2, 200, 200, (person(120, track=2),), ended=(1,)))

    assert not rule.step(Scene(0.4, 200, 200, (person(120, track=1),)))
    assert [firing.tracks for firing in rule.step(Scene(0.6, 200, 200, (person(80, track=2),)))] == [(2,)]


# Zone intrusion -------------------------------------------------------------------------------------------------------


def intrusion(dwell: float = 1.0, classes: ClassFilter = EVERYBODY) -> ZoneIntrusion:
    return ZoneIntrusion("zones/left", LEFT_HALF, dwell, classes)


def test_the_table_of_zone_intrusion_is_whole_and_fires_once_per_stay() -> None:
    assert set(zone.TRANSITIONS) == set(itertools.product(Stay, Glimpse))
    assert {key for key, (_, fires) in zone.TRANSITIONS.items() if fires} == {
        (Stay.OUTSIDE, Glimpse.DWELT),
        (Stay.INSIDE, Glimpse.DWELT),
    }
    assert all(zone.TRANSITIONS[stay, Glimpse.OUT][0] is Stay.OUTSIDE for stay in Stay)
    assert all(zone.TRANSITIONS[stay, Glimpse.EDGE][0] is stay for stay in Stay)


@pytest.mark.parametrize(
    ("places", "firings"),
    [
        ((150, 90, 80, 70, 60, 60, 60), 1),
        ((150, 90, 80, 70, 60), 0),
        ((80,) * 20, 1),
        ((150,) * 20, 0),
        ((80, 80, 102, 80, 80, 80, 80), 1),
        ((80, 80, 150, 80, 80, 80, 80), 1),
        ((80, 80, 80, *(150,) * 8, 80, 80, 80), 0),
        ((*(80,) * 8, *(150,) * 8, *(80,) * 8), 2),
        ((*(80,) * 8, *(102,) * 20, *(80,) * 8), 1),
        ((80, None, None, None, None, None, 80), 1),
    ],
)
def test_a_stay_fires_once_after_its_dwell(places: tuple[float | None, ...], firings: int) -> None:
    assert len(walk(intrusion(), *places)) == firings


def test_an_intrusion_explains_itself() -> None:
    (firing,) = walk(intrusion(), 150, 90, 80, 80, 80, 80, 80, 80)

    assert firing.start_time == pytest.approx(0.2)
    assert firing.time == pytest.approx(1.2)
    assert (firing.quantity, firing.unit, firing.threshold) == ("dwell", "s", 1.0)
    assert firing.value == pytest.approx(firing.time - firing.start_time)


def test_without_a_dwell_entering_is_enough() -> None:
    assert len(walk(intrusion(0.0), 150, 80)) == 1


def test_a_reset_forgets_who_is_inside() -> None:
    rule = intrusion()
    walk(rule, 80, 80, 80, 80)
    rule.reset()

    assert not walk(rule, 80, 80, 80, 80)


def test_a_zone_does_not_see_other_classes() -> None:
    assert not walk(intrusion(classes=ClassFilter(frozenset({ObjectClass.BUS, ObjectClass.CAR}))), *(80,) * 20)


def test_a_picture_of_another_size_has_the_same_zone() -> None:
    rule = intrusion(0.0)

    assert rule.step(Scene(0.0, 400, 400, (person(190),)))
    assert not rule.step(Scene(0.2, 400, 400, (person(250, track=2),)))


# Schedules ------------------------------------------------------------------------------------------------------------

MONDAY, TUESDAY, SATURDAY, SUNDAY = 23, 24, 28, 29  # of November 2026


@pytest.mark.parametrize(
    ("schedule", "day", "hour", "covered"),
    [
        (Schedule(), MONDAY, 3, True),
        (Schedule(start_minute=8 * 60, end_minute=18 * 60), MONDAY, 8, True),
        (Schedule(start_minute=8 * 60, end_minute=18 * 60), MONDAY, 18, False),
        (Schedule({1}, 22 * 60, 6 * 60), MONDAY, 23, True),
        (Schedule({1}, 22 * 60, 6 * 60), TUESDAY, 5, True),
        (Schedule({1}, 22 * 60, 6 * 60), TUESDAY, 6, False),
        (Schedule({1}, 22 * 60, 6 * 60), MONDAY, 5, False),
        (Schedule({7}, 22 * 60, 6 * 60), MONDAY, 5, True),
        (Schedule({6, 7}), SATURDAY, 12, True),
        (Schedule({6, 7}), MONDAY, 12, False),
        (Schedule({1}, 600, 600), TUESDAY, 9, True),
    ],
)
def test_a_schedule_covers_its_hours(schedule: Schedule, day: int, hour: int, *, covered: bool) -> None:
    assert schedule.covers(datetime(2026, 11, day, hour, tzinfo=UTC)) is covered


def test_a_rule_without_schedules_always_runs_and_with_several_in_any_of_them() -> None:
    noon = datetime(2026, 11, SUNDAY, 12, tzinfo=UTC)

    assert runs((), noon)
    assert runs((Schedule({1}), Schedule({7})), noon)
    assert not runs((Schedule({1}), Schedule({2})), noon)


# Geometry -------------------------------------------------------------------------------------------------------------


def test_inside_a_polygon_with_a_dent() -> None:
    dented = ((0, 0), (10, 0), (10, 10), (5, 4), (0, 10))

    assert geometry.inside((5, 2), dented)
    assert not geometry.inside((5, 8), dented)
    assert geometry.distance_to_polygon((5, 2), dented) == 0
    assert geometry.distance_to_polygon((5, -3), dented) == pytest.approx(3)


def test_a_walk_through_the_joint_of_two_segments_crosses_once() -> None:
    joint = ((0, 0), (5, 5), (10, 0))

    assert abs(geometry.crossings((5, 0), (5, 9), joint)) == 1
    assert geometry.crossings((0, 2), (10, 2), ((2, 0), (2, 9), (8, 9), (8, 0))) == 0


def test_who_stops_on_a_line_crosses_it_once_in_two_steps() -> None:
    middle = ((5, 0), (5, 10))

    assert abs(geometry.crossings((0, 5), (5, 5), middle) + geometry.crossings((5, 5), (9, 5), middle)) == 1
