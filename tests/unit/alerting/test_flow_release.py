"""What is published for everybody, under attack: whoever asks for all of it learns nothing about fewer than ten."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.flows import release
from alerting.domain.flows.cells import Category, Key, Kind
from alerting.domain.flows.release import Candidate, OpenFlow, Published, publish, roll_up, stepped

OPTIC = "devices/d/optics/o"
LINES = (f"{OPTIC}/lines/a", f"{OPTIC}/lines/b")
ZONES = (f"{OPTIC}/zones/inner", f"{OPTIC}/zones/outer")
SITE = "sites/s"
NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
BASE = timedelta(minutes=5)
GRANULARITIES = (BASE, timedelta(minutes=15), timedelta(minutes=60))
CELLS = 12

Database = dict[tuple[str, Category, int], Candidate]
"""An hour of all places: by place, category and number of the base interval."""


def everything(database: Database) -> list[OpenFlow]:
    """What an attacker gets who asks for every place, category, granularity and site."""
    published: defaultdict[tuple[str, Category, int], list[Published]] = defaultdict(list)
    for where, before in database.items():
        cell = publish(before)
        if cell is not None:
            published[where].append(cell)
    flows = []
    for granularity in GRANULARITIES:
        size = granularity // BASE
        for name, members in (*((place, (place,)) for place in (*LINES, *ZONES)), (SITE, LINES)):
            for category in Category:
                for first in range(0, CELLS, size):
                    cells = [
                        cell
                        for place in members
                        for number in range(first, first + size)
                        for cell in published[place, category, number]
                    ]
                    key = Key(name, NOON + first * BASE, int(category))
                    flows.append(roll_up(key, granularity, cells, size * len(members)))
    return flows


def crossing(counted: int, place: str = LINES[0], category: Category = Category.PEDESTRIANS) -> Candidate:
    """So many crossings, most of them one way, each with a speed."""
    return Candidate(
        place, category, 1.0, 300.0, left_to_right=counted - counted // 4, right_to_left=counted // 4,
        measured=counted, speed_sum=1.3 * counted,
    )  # fmt: skip


def presence(mean: float, place: str = ZONES[0]) -> Candidate:
    return Candidate(place, Category.PEDESTRIANS, 1.0, 300.0, present_seconds=mean * 300.0, area=40.0)


def candidate(place: str, category: Category, counted: int) -> Candidate:
    if Kind.of(place) is Kind.ZONE:
        return replace(presence(counted, place), category=category)
    return crossing(counted, place, category)


counts = st.one_of(st.integers(0, 12), st.integers(0, 300))
cells = st.tuples(st.sampled_from((*LINES, *ZONES)), st.sampled_from(Category), st.integers(0, CELLS - 1))


@given(st.dictionaries(cells, counts, max_size=30), cells, st.integers(0, 9), st.integers(0, 9), st.floats(0.3, 12.0))
def test_two_cities_that_differ_in_who_is_in_a_small_cell_look_the_same(
    numbers: dict[tuple[str, Category, int], int],
    small: tuple[str, Category, int],
    one: int,
    other: int,
    speed: float,
) -> None:
    database = {key: candidate(key[0], key[1], number) for key, number in numbers.items()}
    with_one = {**database, small: candidate(small[0], small[1], one)}
    with_other = {**database, small: replace(candidate(small[0], small[1], other), speed_sum=speed * other)}
    with_none = {key: value for key, value in database.items() if key != small}

    assert everything(with_one) == everything(with_other) == everything(with_none)


@given(st.dictionaries(cells, counts, max_size=30))
def test_a_total_less_what_is_shown_of_it_is_nothing(numbers: dict[tuple[str, Category, int], int]) -> None:
    flows = everything({key: candidate(key[0], key[1], number) for key, number in numbers.items()})
    finest = {flow.key: flow for flow in flows if flow.interval == BASE}

    for flow in flows:
        if flow.figures is None or Kind.of(flow.key.place) is Kind.ZONE:
            continue
        members = LINES if flow.key.place == SITE else (flow.key.place,)
        parts = [
            finest[replace(flow.key, place=place, start=flow.key.start + number * BASE)]
            for place in members
            for number in range(flow.interval // BASE)
        ]
        shown = [part.figures.count for part in parts if part.figures is not None]
        assert flow.figures.count - sum(shown) == 0
        assert flow.withheld == len(parts) - len(shown)


@given(st.dictionaries(cells, counts, max_size=30))
def test_no_figure_is_of_fewer_than_ten(numbers: dict[tuple[str, Category, int], int]) -> None:
    for flow in everything({key: candidate(key[0], key[1], number) for key, number in numbers.items()}):
        if flow.figures is None:
            assert flow.coverage == 0.0
            continue
        parts = [flow.figures.count, flow.figures.left_to_right, flow.figures.right_to_left]
        assert all(part >= release.THRESHOLD for part in parts if part is not None)


@pytest.mark.parametrize("inner", range(10, 60))
def test_a_zone_within_a_zone_does_not_tell_how_many_stand_between_them(inner: int) -> None:
    # Whatever number under ten stands between, every other one from 1 to 9 would be published alike for some crowd.
    for between in range(1, 10):
        shown = stepped(inner), stepped(inner + between)
        possible = {
            other
            for other in range(1, 10)
            for crowd in range(10, 80)
            if (stepped(crowd), stepped(crowd + other)) == shown
        }
        assert possible == set(range(1, 10))


@pytest.mark.parametrize("before", range(10, 60))
def test_from_one_interval_to_the_next_nobody_is_seen_to_come(before: int) -> None:
    for came in range(1, 10):
        first, second = publish(presence(before)), publish(presence(before + came))
        assert first is not None
        assert second is not None
        assert second.count - first.count in (0, release.STEP)


def test_a_density_is_that_of_the_published_count() -> None:
    shown = publish(presence(23.4))

    assert shown is not None
    assert shown.count == 25
    assert shown.density == pytest.approx(25 / 40.0)


def test_directions_are_given_only_when_both_are_large() -> None:
    small = publish(Candidate(LINES[0], Category.PEDESTRIANS, 1.0, 300.0, left_to_right=50, right_to_left=9))
    large = publish(Candidate(LINES[0], Category.PEDESTRIANS, 1.0, 300.0, left_to_right=50, right_to_left=12))

    assert small is not None
    assert (small.count, small.left_to_right, small.right_to_left) == (55, None, None)
    assert large is not None
    assert (large.count, large.left_to_right, large.right_to_left) == (65, 55, 15)


def test_a_mean_speed_of_few_is_withheld() -> None:
    fast = publish(replace(crossing(40), measured=9, speed_sum=9 * 2.0))
    usual = publish(replace(crossing(40), measured=10, speed_sum=10 * 1.34))

    assert fast is not None
    assert fast.speed is None
    assert usual is not None
    assert usual.speed == pytest.approx(1.3)


def test_what_was_hardly_looked_at_is_withheld() -> None:
    assert publish(replace(crossing(40), coverage=0.49)) is None
    half = publish(replace(crossing(40), coverage=0.5))
    assert half is not None
    assert half.count == 85
    assert half.uncertainty > publish(crossing(80)).uncertainty  # type: ignore[union-attr]


def test_nothing_few_and_unseen_are_told_alike() -> None:
    key = Key(LINES[0], NOON, int(Category.PEDESTRIANS))
    cells = [crossing(0), crossing(9), replace(crossing(200), coverage=0.0)]

    assert [roll_up(key, BASE, [shown for shown in [publish(cell)] if shown], 1) for cell in cells] == [
        OpenFlow(key, BASE, 0.0, 1, None)
    ] * 3


def test_a_quiet_quarter_is_missing_from_its_hour_and_the_hour_says_so() -> None:
    key = Key(LINES[0], NOON, int(Category.PEDESTRIANS))
    shown = [cell for number in (40, 40, 3, 40) if (cell := publish(crossing(number))) is not None]

    hour = roll_up(key, GRANULARITIES[2], shown, 4)

    assert hour.figures is not None
    assert (hour.figures.count, hour.withheld, hour.coverage) == (135, 1, 0.75)
