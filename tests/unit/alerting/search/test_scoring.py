from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.search import memberships
from alerting.domain.search.atlas import Atlas, distance, moved
from alerting.domain.search.memberships import (
    BLACK,
    BLUE,
    BUS,
    CAR,
    GREEN,
    GREY,
    PERSON,
    RED,
    TRUCK,
    UNKNOWN,
    VEHICLES,
    WHITE,
    alike_classes,
    alike_colours,
    falling,
    of_class,
    of_colour,
    rising,
    turn,
)
from alerting.domain.search.query import Circle, Movement, Query, Sighting, Track
from alerting.domain.search.scoring import LEAST_PLAUSIBILITY, Scored, best, count_together, criteria, explain, score
from tests.unit.alerting.search.tracks import ATLAS, NOON, NORTH, SQUARE, sighting, track

ANYTHING = Query(frozenset(), frozenset(), ())


def fits(seen: Track, asked: Sighting, query: Query = ANYTHING, atlas: Atlas = ATLAS, **context: Any) -> float:
    wanted = criteria(query, asked, atlas, **{"fired": {}, "counts": {}, **context})
    return score(seen, wanted)


def said(seen: Track, asked: Sighting, query: Query = ANYTHING, **context: Any) -> tuple[str, ...]:
    return explain(seen, criteria(query, asked, ATLAS, **{"fired": {}, "counts": {}, **context}))


def moving(**fields: Any) -> Sighting:
    return sighting(movement=Movement(**fields))


@given(st.floats(-1e6, 1e6), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_membership_lies_between_nothing_and_one_and_falls(value: float, core: float, flank: float) -> None:
    assert 0.0 <= falling(value + 1.0, core, flank) <= falling(value, core, flank) <= 1.0
    assert falling(-value, -core, flank) == rising(value, core, flank)


@given(st.floats(0, 360), st.floats(0, 360))
def test_a_turn_is_the_shorter_way_round(one: float, other: float) -> None:
    assert 0 <= turn(one, other) <= 180
    assert turn(one, other) == pytest.approx(turn(other, one), abs=1e-9)
    assert turn(one, one + 180.0) == pytest.approx(180.0)


def test_classes_that_are_taken_for_each_other_count_less_and_no_person_is_taken_for_anything() -> None:
    assert of_class(CAR, {CAR}) == 1.0
    assert of_class(TRUCK, {CAR}) == of_class(CAR, {TRUCK}) == 0.5
    assert of_class(CAR, {BUS}) == 0.0
    assert alike_classes({CAR}) == {CAR, TRUCK}
    assert alike_classes({PERSON}) == {PERSON}
    assert not any(PERSON in alike_classes({other}) for other in VEHICLES)


def test_colours_have_neighbours_and_a_doubtful_one_excludes_nothing() -> None:
    assert of_colour(GREY, 1.0, {WHITE}) == of_colour(WHITE, 1.0, {GREY}) == 0.5
    assert of_colour(GREY, 1.0, {BLACK}) == 0.5
    assert of_colour(WHITE, 1.0, {BLACK}) == 0.0
    assert of_colour(0, 0.0, {RED}) == UNKNOWN
    assert 0.0 < of_colour(GREEN, 0.2, {RED}) < of_colour(RED, 0.2, {RED}) < of_colour(RED, 0.9, {RED}) < 1.0
    assert {BLACK, GREY, BLUE, 0} <= alike_colours({BLACK})
    assert alike_colours(()) == frozenset()


def test_every_colour_of_the_table_is_a_neighbour_both_ways() -> None:
    for one in range(1, 12):
        for other in range(1, 12):
            assert of_colour(one, 1.0, {other}) == of_colour(other, 1.0, {one})
            assert (of_colour(one, 1.0, {other}) > 0) == (one in alike_colours({other}))


def test_what_fits_everything_is_certain_and_the_product_counts() -> None:
    query = replace(ANYTHING, classes=frozenset({CAR}), colours=frozenset({BLUE}))
    asked = moving(heading=0.0, minimum_speed=7.0)
    assert fits(track(), asked, query) == 1.0
    assert fits(track(object_class=TRUCK, colour=0), asked, query) == pytest.approx(0.5 * UNKNOWN)
    assert fits(track(object_class=BUS), asked, query) == 0.0


def test_time_fits_within_the_interval_and_falls_over_the_tolerance() -> None:
    for seconds, expected in ((0, 1.0), (3600, 1.0), (3900, 0.5), (4200, 0.0), (-20, 1.0), (-320, 0.5), (-7000, 0.0)):
        assert fits(track(seconds=seconds), sighting()) == pytest.approx(expected), seconds
    assert fits(track(seconds=-300, stay=400), sighting()) == 1.0, "it was still there at noon"
    assert fits(track(seconds=3601), sighting(tolerance=timedelta(0))) == 0.0


def test_a_direction_on_the_ground_counts_at_the_end_too() -> None:
    asked = moving(heading=0.0, heading_tolerance=30.0)
    assert fits(track(heading=29.0, leaving=None), asked) == 1.0
    assert fits(track(heading=40.0, leaving=None), asked) == pytest.approx(0.5)
    assert fits(track(heading=90.0, leaving=350.0), asked) == 1.0
    assert fits(track(heading=90.0, leaving=180.0), asked) == 0.0


def test_a_way_through_the_picture_is_a_direction_only_where_the_optic_s_own_is_known() -> None:
    away = track(heading=None, leaving=None)
    assert fits(away, moving(heading=0.0)) == 1.0, "upwards in the picture of an optic that looks north"
    assert fits(away, moving(heading=180.0)) == 0.0
    right = track(heading=None, leaving=None, from_x=0.1, to_x=0.9, from_y=0.5, to_y=0.5)
    assert fits(right, moving(heading=90.0)) == 1.0
    assert "by its way through the picture" in said(right, moving(heading=90.0))[1]

    elsewhere = replace(away, site="sites/corso")
    assert fits(elsewhere, moving(heading=0.0)) == UNKNOWN, "the device stood elsewhere then"
    assert said(elsewhere, moving(heading=0.0))[1].startswith("unknown: its direction is not known")
    assert fits(track(heading=None, leaving=None, to_x=0.5, to_y=0.9), moving(heading=0.0)) == UNKNOWN


def test_speed_dwell_and_stop_fall_over_their_slack() -> None:
    assert fits(track(), moving(minimum_speed=8.0)) == 1.0
    assert fits(track(speed_high=7.0), moving(minimum_speed=8.0)) == pytest.approx(0.5)
    assert fits(track(speed_high=5.0), moving(minimum_speed=8.0)) == 0.0
    assert fits(track(), moving(maximum_speed=3.0)) == 0.0
    assert fits(track(speed_low=0.0), moving(maximum_speed=3.0)) == 1.0
    assert fits(track(speed_low=None, speed_high=None), moving(maximum_speed=3.0)) == UNKNOWN
    assert fits(track(stay=45), moving(minimum_dwell=60.0)) == pytest.approx(0.5)
    assert fits(track(still_seconds=60), moving(minimum_stop=60.0)) == 1.0
    assert fits(track(still_seconds=None), moving(minimum_stop=60.0)) == UNKNOWN


def test_a_place_is_as_sure_as_the_optic_s_direction() -> None:
    ahead = moved(SQUARE, 0.0, 35.0)

    def near(north: float, radius: float) -> Sighting:
        middle = moved(ahead, 0.0, north)
        return sighting(circle=Circle(middle.latitude, middle.longitude, radius))

    assert fits(track(), near(0.0, 40.0)) == 1.0
    assert 0.0 < fits(track(), near(60.0, 40.0)) < 1.0
    assert fits(track(), near(80.0, 40.0)) == 0.0
    assert fits(replace(track(), site="sites/unknown"), near(0.0, 40.0)) == UNKNOWN
    assert distance(SQUARE, ahead) == pytest.approx(35.0, abs=0.1)


def test_a_rule_that_did_not_fire_speaks_against_and_excludes_nothing() -> None:
    asked = sighting(rules=frozenset({"Argo/StoppedVehicle"}))
    fired = {(NORTH, 1): {"Argo/StoppedVehicle"}}
    assert fits(track(1), asked, fired=fired) == 1.0
    assert fits(track(2), asked, fired=fired) == 0.25
    assert said(track(1), asked, fired=fired)[1] == "for: Argo/StoppedVehicle fired on it"
    assert said(track(2), asked, fired=fired)[1] == "against: Argo/StoppedVehicle did not fire on it"


def test_a_zone_counts_only_with_its_own_optic() -> None:
    asked = moving(places=frozenset({(NORTH, "zones/bed")}))
    assert fits(track(places=("zones/bed",)), asked) == 1.0
    assert fits(track(places=("zones/bed",), optic="devices/x/optics/y"), asked) == 0.0
    assert said(track(places=("zones/bed",)), asked)[1] == 'for: it was in zone "bed"'


def test_a_group_is_who_is_on_one_optic_at_one_time() -> None:
    people = [track(number, seconds=number * 5.0, stay=12.0, object_class=PERSON) for number in range(4)]
    apart = track(9, seconds=1000.0, object_class=PERSON)
    elsewhere = track(8, seconds=5.0, object_class=PERSON, optic="devices/x/optics/y")
    counts = count_together([*people, apart, elsewhere])

    assert [counts[each.key] for each in (*people, apart, elsewhere)] == [3, 3, 3, 3, 1, 1]
    query = replace(ANYTHING, minimum_count=3)
    assert fits(people[0], sighting(), query, counts=counts) == 1.0
    assert fits(apart, sighting(), query, counts=counts) == pytest.approx(1 / 9)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=20))
def test_together_is_what_counting_at_every_start_gives(lives: list[tuple[int, int]]) -> None:
    tracks = [track(number, seconds=start, stay=stay) for number, (start, stay) in enumerate(lives)]
    expected = {
        each.key: max(
            sum(other.start_time <= moment.start_time <= other.end_time for other in tracks)
            for moment in tracks
            if each.start_time <= moment.start_time <= each.end_time
        )
        for each in tracks
    }
    assert count_together(tracks) == expected


def test_the_order_is_the_same_whatever_the_order_of_arrival() -> None:
    found = [Scored(track(number, seconds=number % 3), 0.5 + number % 2 / 4) for number in range(20)]
    forwards, more = best(found, 5)
    assert (forwards, more) == (best(reversed(found), 5)[0], True)
    assert [each.plausibility for each in forwards] == [0.75] * 5
    assert best(found, 20)[1] is False


@given(
    st.builds(
        track,
        seconds=st.floats(-5000, 5000),
        stay=st.floats(0, 4000),
        object_class=st.integers(0, 9),
        colour=st.integers(0, 11),
        colour_confidence=st.floats(0, 1),
        heading=st.none() | st.floats(0, 360),
        speed_high=st.none() | st.floats(0, 50),
        still_seconds=st.none() | st.floats(0, 1000),
    )
)
def test_whatever_is_scored_is_explained_and_is_the_product_of_what_is_said(seen: Track) -> None:
    query = replace(ANYTHING, classes=frozenset({CAR, BUS}), colours=frozenset({RED, WHITE}))
    asked = moving(heading=10.0, minimum_speed=5.0, minimum_dwell=30.0, minimum_stop=5.0)
    wanted = criteria(query, asked, ATLAS, fired={}, counts={})
    product = 1.0
    for criterion in wanted:
        product *= criterion.membership(seen)
    value = score(seen, wanted)
    assert value == (pytest.approx(product) if product >= LEAST_PLAUSIBILITY else 0.0)
    lines = explain(seen, wanted)
    assert len(lines) == len(wanted)
    assert all(line.split(":")[0] in ("for", "against", "unknown") for line in lines)


def test_no_speed_of_a_person_is_asked_or_known() -> None:
    assert memberships.PERSON not in VEHICLES
    assert fits(track(object_class=PERSON, speed_low=None, speed_high=None), moving(minimum_speed=3.0)) == UNKNOWN
    assert NOON.tzinfo is not None
