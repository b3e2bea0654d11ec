from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.domain.assignment import assign
from detector.domain.detections import Detections, ObjectClass, overlaps, suppress
from detector.domain.kalman import BoxFilters
from detector.domain.track_life import TRANSITIONS, Signal, TrackState
from detector.domain.tracking import Tracker


def tracker(seed: int = 1) -> Tracker:
    source = random.Random(seed)
    return Tracker(lambda: source.getrandbits(64))


def seen(*boxes: tuple[float, float, float], object_class: ObjectClass = ObjectClass.PERSON) -> Detections:
    """People of 20 x 60 pixels: left, top, score of each."""
    corners = np.array([[x, y, x + 20, y + 60] for x, y, _ in boxes], np.float32).reshape(-1, 4)
    scores = np.array([score for _, _, score in boxes], np.float32)
    return Detections(corners, scores, np.full(len(boxes), object_class, np.int16))


def test_the_table_of_a_track_is_whole_and_its_end_is_final() -> None:
    states = [state for state in TrackState if state is not TrackState.ENDED]

    assert set(TRANSITIONS) == set(itertools.product(states, Signal))
    assert all(TRANSITIONS[state, Signal.EXPIRED] is TrackState.ENDED for state in states)
    assert TRANSITIONS[TrackState.TENTATIVE, Signal.SEEN] is TrackState.TENTATIVE
    assert TRANSITIONS[TrackState.TENTATIVE, Signal.PROVEN] is TrackState.FOLLOWED
    assert TRANSITIONS[TrackState.LOST, Signal.SEEN] is TrackState.FOLLOWED
    assert TRANSITIONS[TrackState.FOLLOWED, Signal.MISSED] is TrackState.LOST


def test_a_walker_is_one_track_through_a_gap() -> None:
    subject = tracker()
    found: list[set[int]] = []
    for number in range(40):
        gap = 15 <= number < 22
        frame = subject.step(number / 10, seen() if gap else seen((100 + 6 * number, 50, 0.8)))
        found.append({track.track for track in frame.tracks if track.detection is not None})

    assert len(set.union(*found)) == 1
    assert found[-1]


@pytest.mark.parametrize(("steps", "missed"), [(12, {4, 5}), (14, {4})])
def test_who_sets_off_while_missed_is_found_again_at_five_frames_a_second(steps: int, missed: set[int]) -> None:
    subject, found = tracker(), set[int]()
    for number in range(20):
        # 60 pixels high: 1 and 1.2 of its heights a second.
        here = (100 + steps * max(0, number - 3), 50, 0.8)
        frame = subject.step(number / 5, seen() if number in missed else seen(here))
        found |= {track.track for track in frame.tracks}

    assert len(found) == 1


def test_a_walker_is_one_track_at_five_frames_a_second() -> None:
    subject = tracker()
    found = {
        track.track
        for number in range(20)
        for track in subject.step(number / 5, seen((100 + 12 * number, 50, 0.8))).tracks
    }

    assert len(found) == 1


@pytest.mark.parametrize("step", [20.0, 26.0, -26.0])
def test_who_runs_is_one_track_at_five_frames_a_second(step: float) -> None:
    # More than a width of the box from frame to frame, from the first one on: four metres a second.
    subject = tracker()
    found = [subject.step(number / 5, seen((300 + step * number, 50, 0.7))).tracks for number in range(12)]

    assert len({track.track for tracks in found for track in tracks}) == 1
    assert all(len(tracks) == 1 for tracks in found[1:])


def test_who_comes_elsewhere_when_somebody_goes_is_somebody_else() -> None:
    subject = tracker()
    first = [subject.step(number / 5, seen((300, 50, 0.7))).tracks for number in range(5)][-1]
    later = [subject.step(1.0 + number / 5, seen((420, 50, 0.7))).tracks for number in range(5)][-1]

    assert {track.track for track in first}.isdisjoint(track.track for track in later if track.present)


def test_two_who_pass_each_other_keep_their_ids() -> None:
    subject = tracker()
    sides: list[tuple[int, int]] = []
    for number in range(50):
        left, right = (50 + 5 * number, 50, 0.8), (300 - 5 * number, 62, 0.8)
        tracks = {track.detection: track.track for track in subject.step(number / 10, seen(left, right)).tracks}
        if {0, 1} <= set(tracks):
            sides.append((tracks[0], tracks[1]))

    assert len(sides) > 40
    assert len(set(sides)) == 1


def test_weak_detections_continue_a_track_and_never_begin_one() -> None:
    subject, weak_only = tracker(), tracker()
    scores = [0.8] * 5 + [0.15] * 25
    continued = [subject.step(n / 10, seen((100 + 2 * n, 50, score))) for n, score in enumerate(scores)]
    none = [weak_only.step(n / 10, seen((100 + 2 * n, 50, 0.15))) for n in range(30)]

    assert [track.detection for track in continued[-1].tracks] == [0]
    assert none[-1].tracks == ()


def test_what_is_weak_and_never_moves_is_not_followed_until_it_moves() -> None:
    subject = tracker()
    standing = [subject.step(n / 10, seen((100, 50, 0.6 if n == 0 else 0.35))) for n in range(50)]
    walking = [subject.step(n / 10, seen((100 + 5 * (n - 50), 50, 0.55))) for n in range(50, 60)]

    assert standing[-1].tracks == ()
    assert len(walking[-1].tracks) == 1


def test_who_walks_past_a_stone_does_not_leave_the_track_on_it() -> None:
    subject = tracker()
    stone = (200, 50, 0.35)
    for number in range(20):
        subject.step(number / 10, seen((100 + 5 * number, 50, 0.8), stone))
    alone = [subject.step(number / 10, seen(stone)) for number in range(20, 70)]

    assert alone[-1].tracks == ()


def test_a_person_who_stands_in_plain_view_is_followed() -> None:
    subject = tracker()
    frames = [subject.step(number / 10, seen((100, 50, 0.7))) for number in range(10)]

    assert len(frames[-1].tracks) == 1


def test_a_track_that_ends_says_so_once_and_its_id_does_not_come_back() -> None:
    subject = tracker()
    before = [subject.step(number / 10, seen((100, 50, 0.8))) for number in range(10)]
    ended = [subject.step(1 + number / 10, seen()).ended for number in range(40)]
    after = [subject.step(10 + number / 10, seen((100, 50, 0.8))) for number in range(10)]

    assert [track for tracks in ended for track in tracks] == [before[-1].tracks[0].track]
    assert after[-1].tracks[0].track != before[-1].tracks[0].track


def test_a_clock_that_steps_back_or_leaps_does_no_harm() -> None:
    subject = tracker()
    frames = [subject.step(time, seen((100, 50, 0.8))) for time in (100.0, 100.1, 100.2, 99.0, 100.3)]
    leapt = subject.step(1e6, seen((100, 50, 0.8)))

    assert len(frames[-1].tracks) == 1
    assert all(np.isfinite(track.box).all() for track in leapt.tracks)


def test_a_van_that_the_detector_calls_a_lorry_for_a_moment_stays_one_track() -> None:
    subject = tracker()
    found = set()
    for number in range(20):
        object_class = ObjectClass.TRUCK if number % 5 == 4 else ObjectClass.CAR
        frame = subject.step(number / 10, seen((100 + 5 * number, 50, 0.8), object_class=object_class))
        found |= {(track.track, track.object_class) for track in frame.tracks}

    assert len(found) == 1
    assert found.pop()[1] is ObjectClass.CAR


def test_a_person_is_never_continued_as_a_car() -> None:
    subject = tracker()
    for number in range(10):
        subject.step(number / 10, seen((100, 50, 0.8)))
    frame = subject.step(1.0, seen((100, 50, 0.8), object_class=ObjectClass.CAR))

    person, *new = frame.tracks
    assert (person.object_class, person.detection) == (ObjectClass.PERSON, None)
    assert [track.object_class for track in new] == [ObjectClass.CAR]


def test_an_id_of_a_living_track_or_zero_is_not_given_again() -> None:
    given_ids = iter([0, 7, 7, 7, 8])
    subject = Tracker(lambda: next(given_ids))
    frames = [subject.step(number / 10, seen((100, 50, 0.8), (300, 50, 0.8))) for number in range(5)]

    assert sorted(track.track for track in frames[-1].tracks) == [7, 8]


boxes = st.tuples(st.floats(0, 700), st.floats(0, 500), st.floats(0.1, 0.99))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(boxes, max_size=6), min_size=3, max_size=25), st.integers(0, 1000))
def test_whatever_is_seen_ids_are_unique_and_never_come_back(
    frames: list[list[tuple[float, float, float]]], seed: int
) -> None:
    subject = tracker(seed)
    ended: set[int] = set()
    for number, content in enumerate(frames * 3):
        frame = subject.step(number * 0.4, seen(*content))
        ids = [track.track for track in frame.tracks]
        taken = [track.detection for track in frame.tracks if track.detection is not None]

        assert len(set(ids)) == len(ids)
        assert len(set(taken)) == len(taken)
        assert not ended & set(ids)
        assert 0 not in ids
        ended |= set(frame.ended)


def test_two_optics_with_their_own_sources_share_no_ids() -> None:
    found = []
    for seed in (1, 2):
        subject = tracker(seed)
        frames = [subject.step(number / 10, seen((100, 50, 0.8))) for number in range(5)]
        found.append({track.track for track in frames[-1].tracks})

    assert not found[0] & found[1]


def test_a_filter_learns_a_speed_and_lets_it_fade() -> None:
    filters = BoxFilters()
    filters.append(np.array([[0, 0, 20, 60]], np.float32))
    for number in range(1, 30):
        filters.predict(0.1)
        box = np.array([[number * 3, 0, number * 3 + 20, 60]], np.float32)
        filters.update(np.array([0]), box, np.array([0.9], np.float32))
    speed = filters.velocity[0, 0]
    filters.predict(30.0)

    assert speed == pytest.approx(30.0, rel=0.1)
    assert abs(filters.velocity[0, 0]) < 0.1 * speed
    assert filters.position[0, 0] < 97 + 30 * 8.5


def test_the_filter_does_not_depend_on_how_time_is_cut() -> None:
    whole, halves = BoxFilters(), BoxFilters()
    for filters in (whole, halves):
        filters.append(np.array([[0, 0, 20, 60]], np.float32))
        filters.predict(0.1)
        filters.update(np.array([0]), np.array([[6, 0, 26, 60]], np.float32), np.array([0.9], np.float32))
    whole.predict(0.4)
    halves.predict(0.2)
    halves.predict(0.2)

    np.testing.assert_allclose(whole.position, halves.position, rtol=1e-9)
    np.testing.assert_allclose(whole.velocity, halves.velocity, rtol=1e-9)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 99))
def test_an_assignment_uses_everyone_at_most_once_and_nobody_too_dear(rows: int, columns: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((rows, columns))
    found = assign(cost, 0.5)

    assert len({*found.rows}) == len(found.rows) == len({*found.columns})
    assert all(cost[row, column] < 0.5 for row, column in zip(found.rows, found.columns, strict=True))
    assert sorted([*found.rows, *found.free_rows]) == list(range(rows))
    assert sorted([*found.columns, *found.free_columns]) == list(range(columns))


def test_the_assignment_is_the_cheapest_and_not_the_greediest() -> None:
    found = assign(np.array([[0.1, 0.2], [0.2, 0.9]]), 1.0)

    assert sorted(zip(found.rows.tolist(), found.columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [5, 5, 5, 5]], np.float32)
    found = overlaps(boxes, boxes)

    np.testing.assert_allclose(found[0], [1, 1 / 3, 0, 0])
    assert found[3, 3] == 0


def test_suppression_keeps_the_best_of_each_heap() -> None:
    found = suppress(seen((100, 50, 0.9), (102, 50, 0.8), (104, 50, 0.7), (200, 50, 0.6)))

    np.testing.assert_allclose(found.scores, [0.9, 0.6])
