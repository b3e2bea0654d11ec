"""What stands still: held when the detector misses it, and told from what only looks like an object."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.domain.clutter import CAPACITY, HALF_LIFE_SECONDS, Clutter
from detector.domain.detections import Detections, ObjectClass, ordered
from detector.domain.track_life import KINDS, TRANSITIONS, Kind, Lives, Sightings, Signal, TrackState, hold_seconds
from detector.domain.tracker_parameters import TrackerParameters
from detector.domain.tracking import Sight, Track, TrackedFrame, Tracker

Seen = tuple[float, float, float]
"""Left, score, and the top of a box."""
CAR, PERSON, BUS = ObjectClass.CAR, ObjectClass.PERSON, ObjectClass.BUS
SIZES = {CAR: (120, 60), PERSON: (20, 60), BUS: (400, 160)}
RATE = 10.0


def seen(*things: tuple[ObjectClass, float, float, float]) -> Detections:
    """Class, left, top and score of each."""
    corners = [(x, y, x + SIZES[kind][0], y + SIZES[kind][1]) for kind, x, y, _ in things]
    scores = np.array([score for *_, score in things], np.float32)
    return ordered(np.array(corners, np.float32).reshape(-1, 4), scores, [int(kind) for kind, *_ in things])


def tracker(seed: int = 1, parameters: TrackerParameters | None = None) -> Tracker:
    source = random.Random(seed)
    return Tracker(lambda: source.getrandbits(64), parameters)


def play(subject: Tracker, frames: Iterable[Detections], start: float = 0.0, rate: float = RATE) -> list[TrackedFrame]:
    """Step through frames that come at one rate."""
    return [subject.step(start + number / rate, frame) for number, frame in enumerate(frames)]


def present(frame: TrackedFrame) -> list[Track]:
    return [track for track in frame.tracks if track.present]


def parked(score: float, frames: int) -> list[Detections]:
    return [seen((CAR, 300, 200, score))] * frames


def test_a_parked_car_that_the_detector_misses_is_held_under_its_id_where_it_stands() -> None:
    subject = tracker()
    before = play(subject, parked(0.7, 40))[-1].tracks[0]
    missed = play(subject, [seen()] * 45, start=4.0)
    back = play(subject, parked(0.7, 3), start=8.5)[-1]

    assert [len(present(frame)) for frame in missed] == [1] * 45
    assert {frame.tracks[0].sight for frame in missed[2:]} == {Sight.HELD}
    assert missed[-1].tracks[0].box == pytest.approx(before.box, abs=1.0)
    assert missed[-1].tracks[0].velocity[0] == 0.0
    assert [track.track for track in back.tracks] == [before.track]


def test_a_car_that_is_seen_in_one_frame_of_six_does_not_flicker() -> None:
    subject = tracker()
    arriving = play(subject, [seen((CAR, 100 + 10 * number, 200, 0.7)) for number in range(20)])
    weakly = play(subject, [seen((CAR, 290, 200, 0.3)) if n % 6 == 0 else seen() for n in range(600)], start=2.0)

    assert {len(present(frame)) for frame in weakly[30:]} == {1}
    assert {track.track for frame in [*arriving, *weakly] for track in frame.tracks} == {arriving[-1].tracks[0].track}


def test_a_car_that_was_always_seen_and_is_missed_for_long_has_left() -> None:
    subject = tracker()
    play(subject, parked(0.7, 100))
    missed = play(subject, [seen()] * 150, start=10.0)
    held = sum(bool(present(frame)) for frame in missed) / RATE
    ended = [track for frame in missed for track in frame.ended]

    assert TrackerParameters().hold_least <= held < 10.0
    assert len(ended) == 1


def test_a_car_behind_a_bus_is_still_there_when_the_bus_has_gone() -> None:
    subject = tracker()
    car = play(subject, parked(0.7, 40))[-1].tracks[0].track
    bus = play(subject, [seen((BUS, 150, 150, 0.8))] * 250, start=4.0)
    after = play(subject, parked(0.7, 5), start=29.0)[-1]

    assert all(car in {track.track for track in present(frame)} for frame in bus)
    assert car in {track.track for track in after.tracks if track.detection is not None}


def test_a_car_that_drives_off_takes_its_track_along() -> None:
    subject = tracker()
    car = play(subject, parked(0.7, 60))[-1].tracks[0].track
    leaving = play(subject, [seen((CAR, 300 + 8 * number, 200, 0.7)) for number in range(40)], start=6.0)

    assert [[track.track for track in present(frame)] for frame in leaving] == [[car]] * 40
    assert leaving[-1].tracks[0].box[0] == pytest.approx(612, abs=8)


def test_a_person_who_stood_and_is_missed_is_held_for_a_moment_only() -> None:
    subject = tracker()
    play(subject, [seen((PERSON, 300, 200, 0.7))] * 40)
    missed = play(subject, [seen()] * 40, start=4.0)
    held = sum(bool(present(frame)) for frame in missed) / RATE

    assert 0.5 <= held <= TrackerParameters().hold_most_living + 0.2


def test_a_walker_who_is_missed_is_not_held() -> None:
    subject = tracker()
    play(subject, [seen((PERSON, 100 + 6 * number, 200, 0.7)) for number in range(40)])
    missed = play(subject, [seen()] * 10, start=4.0)

    assert [track.sight for frame in missed for track in frame.tracks][:3] == [Sight.COASTED, Sight.LOST, Sight.LOST]


def test_a_walker_who_is_missed_behind_somebody_is_reported_for_a_little_longer() -> None:
    def behind(bus_left: float) -> list[Sight]:
        subject = tracker()
        there = [(PERSON, 100.0 + 6 * n, 200.0, 0.7) for n in range(30)]
        play(subject, [seen(walker) for walker in there])
        hidden = play(subject, [seen((BUS, bus_left, 100, 0.8))] * 5, start=3.0)
        return [track.sight for frame in hidden for track in frame.tracks if track.object_class is PERSON]

    assert behind(150.0)[:3] == [Sight.COASTED, Sight.COASTED, Sight.LOST]
    assert behind(5000.0)[:3] == [Sight.COASTED, Sight.LOST, Sight.LOST]


def test_after_a_gap_a_parked_car_is_the_same_and_a_walker_is_somebody_new() -> None:
    subject = tracker()
    both = play(subject, [seen((CAR, 300, 200, 0.7), (PERSON, 100 + 3 * n, 200, 0.7)) for n in range(40)])[-1]
    after = subject.step(24.0, seen((CAR, 300, 200, 0.7), (PERSON, 217, 200, 0.7)))
    ids = {track.object_class: track.track for track in both.tracks}
    new = {track.object_class: track.track for track in present(after)}

    assert new[CAR] == ids[CAR]
    assert new[PERSON] != ids[PERSON]
    assert after.ended == (ids[PERSON],)


def test_a_stone_that_looks_weakly_like_a_person_begins_no_track_once_it_is_known() -> None:
    subject, fresh = tracker(), tracker()
    play(subject, [seen((PERSON, 300, 200, 0.4))] * 150)
    flash = seen((PERSON, 300, 200, 0.55))
    known = play(subject, [flash, seen((PERSON, 300, 200, 0.4))] * 20, start=15.0)

    assert [frame.tracks for frame in known] == [()] * 40
    assert fresh.step(0.0, flash).tracks


def test_somebody_before_a_known_stone_is_followed() -> None:
    subject = tracker()
    stone = (PERSON, 300.0, 200.0, 0.4)
    play(subject, [seen(stone)] * 150)
    passing = play(subject, [seen(stone, (PERSON, 200 + 6 * n, 205, 0.7)) for n in range(40)], start=15.0)

    assert len({track.track for frame in passing for track in frame.tracks}) == 1
    assert all(len(present(frame)) == 1 for frame in passing[2:])


def test_a_stone_that_is_taken_away_is_forgotten() -> None:
    clutter = Clutter()
    box, kind, score = (
        np.array([[300, 200, 320, 260]], np.float32),
        np.array([0], np.int16),
        np.array([0.4], np.float32),
    )
    for number in range(300):
        clutter.learn(number / 10, 0.1, box, kind, score)
    known = clutter.evidence(box, kind, score)[0]
    nothing = box[:0], kind[:0], score[:0]
    clutter.learn(30.0 + HALF_LIFE_SECONDS, HALF_LIFE_SECONDS, *nothing)
    half = clutter.evidence(box, kind, score)[0]
    clutter.learn(30.0 + 12 * HALF_LIFE_SECONDS, 11 * HALF_LIFE_SECONDS, *nothing)

    assert known == pytest.approx(29.0, abs=0.5)
    assert half == pytest.approx(known / 2, rel=0.01)
    assert len(clutter) == 0


def test_what_walks_past_leaves_nothing_behind_in_the_memory() -> None:
    clutter = Clutter()
    kind, score = np.array([0], np.int16), np.array([0.4], np.float32)
    for lap, step in itertools.product(range(20), range(60)):
        box = np.array([[8 * step, 200, 8 * step + 20, 260]], np.float32)
        clutter.learn(lap * 6.0 + step / 10, 0.1, box, kind, score)
        assert clutter.evidence(box, kind, score)[0] == 0.0

    assert len(clutter) < 20


def test_clutter_is_told_from_what_is_clearer_of_another_kind_or_beside_it() -> None:
    clutter = Clutter()
    box, kind, score = (
        np.array([[300, 200, 320, 260]], np.float32),
        np.array([0], np.int16),
        np.array([0.4], np.float32),
    )
    for number in range(100):
        clutter.learn(number / 10, 0.1, box, kind, score)
    others = clutter.evidence(
        np.concatenate([box, box, box, box + 15]), np.array([0, 0, 2, 0], np.int16), np.array([0.55, 0.7, 0.4, 0.4])
    )

    assert (others > 0.0).tolist() == [True, False, False, False]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 900))
def test_the_memory_is_bounded_and_never_knows_more_time_than_has_passed(seed: int, count: int) -> None:
    source, clutter = np.random.default_rng(seed), Clutter()
    corner = source.uniform(0, 4000, (count, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + np.array([20, 60])], axis=1).astype(np.float32)
    kinds, scores = np.zeros(count, np.int16), source.uniform(0.1, 0.5, count).astype(np.float32)
    for number in range(30):
        clutter.learn(number / 10, 0.1, boxes, kinds, scores)

    assert len(clutter) <= CAPACITY
    assert clutter.evidence(boxes, kinds, scores).max() <= 3.0


def test_the_table_says_when_a_track_is_held() -> None:
    states = [state for state in TrackState if state is not TrackState.ENDED]
    held = {state for state in states if TRANSITIONS[state, Signal.STOOD] is TrackState.HELD}

    assert held == {TrackState.FOLLOWED, TrackState.HELD}
    assert {pair for pair, state in TRANSITIONS.items() if state is TrackState.HELD} == {
        (state, Signal.STOOD) for state in held
    }
    assert TRANSITIONS[TrackState.HELD, Signal.MISSED] is TrackState.LOST
    assert TRANSITIONS[TrackState.HELD, Signal.SEEN] is TrackState.FOLLOWED
    assert TRANSITIONS[TrackState.HELD, Signal.EXPIRED] is TrackState.ENDED


@given(st.integers(0, 400), st.integers(0, 400))
def test_what_is_seen_seldom_is_held_for_longer(hits: int, misses: int) -> None:
    parameters, frames = TrackerParameters(), np.full(2, hits + misses)
    seldom, often = hold_seconds(frames, np.array([hits, hits + misses]), parameters)

    assert seldom >= often >= parameters.hold_least


def lives(number: int = 1) -> Lives:
    found = Lives()
    found.begin(list(range(7, 7 + number)), np.full(number, Kind.VEHICLE, np.int16), 0.0)
    return found


def sightings(*things: tuple[float, float, bool]) -> Sightings:
    """Cars of score, x and whether it may be clutter."""
    scores, places, cluttered = zip(*things, strict=True)
    return Sightings(
        np.array(scores, np.float64),
        np.full(len(things), int(CAR), np.int16),
        np.array([(x, 200.0) for x in places]),
        np.full(len(things), 60.0),
        np.array(cluttered, np.bool_),
    )


def test_a_life_that_was_never_seen_is_not_settled_and_every_class_has_a_kind() -> None:
    subject = lives()
    subject.miss(np.array([0]), 1.0, np.array([False]))

    assert subject.settled(TrackerParameters()).tolist() == [False]
    assert set(KINDS) == set(ObjectClass)


def test_a_rest_ends_with_a_move_and_begins_anew_where_it_stops() -> None:
    subject, parameters = lives(), TrackerParameters()
    settled = []
    for number in range(80):
        x = 100.0 + 6.0 * min(max(number - 30, 0), 20)
        subject.see(np.array([0]), number / 10, 0.1, sightings((0.7, x, False)), parameters)
        subject.advance(number / 10, parameters, np.array([True]))
        settled += subject.settled(parameters).tolist()

    assert settled.index(True) == 20
    assert not any(settled[34:65])
    assert settled[-1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_many_lives_together_are_what_each_would_be_alone(seed: int) -> None:
    source, parameters, number = np.random.default_rng(seed), TrackerParameters(), 5
    together, alone = lives(number), [lives() for _ in range(number)]
    places, time = source.uniform(0, 700, number), 0.0
    for _ in range(40):
        passed = float(source.choice([0.04, 0.2, 1.5]))
        time += passed
        places = places + source.choice([0.0, 20.0], number)
        seen, covered = source.random(number) < 0.6, source.random(number) < 0.3
        things = [(score, x, doubt) for score, x, doubt in zip(source.random(number), places, covered, strict=True)]
        rows, missed = np.flatnonzero(seen), np.flatnonzero(~seen)
        if len(rows):
            together.see(rows, time, passed, sightings(*(things[row] for row in rows)), parameters)
        together.miss(missed, passed, covered[missed])
        together.advance(time, parameters, seen)
        for row, each in enumerate(alone):
            if seen[row]:
                each.see(np.array([0]), time, passed, sightings(things[row]), parameters)
            else:
                each.miss(np.array([0]), passed, covered[[row]])
            each.advance(time, parameters, seen[[row]])

        assert together.states == [each.states[0] for each in alone]
        assert together.object_classes.tolist() == [each.object_classes[0] for each in alone]
        settled = [bool(each.settled(parameters)[0]) for each in alone]
        assert together.settled(parameters).tolist() == settled


steps = st.lists(
    st.tuples(
        st.floats(-1.0, 100.0).filter(math.isfinite),
        st.lists(st.tuples(st.floats(0, 700), st.floats(0.1, 0.99), st.floats(0, 500)), max_size=5),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 9))
def test_whatever_the_clock_does_ids_never_come_back_and_boxes_stay_finite(
    frames: list[tuple[float, list[Seen]]], seed: int
) -> None:
    subject, time, ended = tracker(seed), 1000.0, set[int]()
    for leap, things in frames:
        time += leap
        frame = subject.step(time, seen(*((CAR, x, y, score) for x, score, y in things)))
        ids = {track.track for track in frame.tracks}

        assert not ids & ended
        assert len(ids) == len(frame.tracks)
        assert all(np.isfinite([*track.box, *track.velocity]).all() for track in frame.tracks)
        ended |= set(frame.ended)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100))
def test_optics_do_not_know_of_each_other_in_whatever_order_their_frames_come(seed: int) -> None:
    source = random.Random(seed)
    films = [
        [seen((PERSON, 100 + source.uniform(2, 8) * n, 200, 0.7), (CAR, 400, 100, 0.6)) for n in range(20)]
        for _ in range(3)
    ]
    alone = [play(tracker(optic), film) for optic, film in enumerate(films)]
    together: list[list[TrackedFrame]] = [[], [], []]
    trackers = [tracker(optic) for optic in range(3)]
    turns = [optic for optic in range(3) for _ in range(20)]
    source.shuffle(turns)
    for optic in turns:
        number = len(together[optic])
        together[optic].append(trackers[optic].step(number / RATE, films[optic][number]))

    assert together == alone


def test_two_hundred_people_are_two_hundred_tracks() -> None:
    subject = tracker()
    crowd = [(60.0 * (n % 20), 70.0 * (n // 20)) for n in range(200)]
    frames = play(subject, [seen(*((PERSON, x + 2 * n, y, 0.7) for x, y in crowd)) for n in range(20)])

    assert {len(present(frame)) for frame in frames[1:]} == {200}
    assert len({track.track for frame in frames for track in frame.tracks}) == 200
