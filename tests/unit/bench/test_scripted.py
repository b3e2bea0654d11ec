"""Scripted scenes: their labels say what their scripts do, and the same seed plays the same scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.scripted import panic, road_users, shadows, walks, weather
from bench.scripted.crowds import bolting
from bench.scripted.flawed_detector import NONE, Errors, FlawedDetector, Seen
from bench.scripted.stages import crowd_seen
from bench.scripted.takes import Labels, Study, Take, measure, play
from detector.domain.detections import ObjectClass
from mesh.local.scorecard.matching import Judgement

CAR: Seen = (1, ObjectClass.CAR, (100.0, 100.0, 160.0, 140.0))


def told(study: Study, take: Take, rate: float = 5.0) -> list[float]:
    return [event.time for event in play(study, take, rate, 0)[0]]


def first(study: Study, *, labelled: bool) -> Take:
    return next(take for take in study.takes if bool(take.labels.episodes) is labelled)


@pytest.mark.parametrize(
    "build", [road_users.wrong_way, road_users.stopped_vehicle, road_users.pedestrian_on_carriageway]
)
def test_the_street_s_rules_tell_what_is_labelled_and_nothing_else(build: Callable[[], Study]) -> None:
    study = build()
    take = first(study, labelled=True)
    ((start, due, end),) = take.labels.episodes

    (time,) = told(study, take)

    # What the rule measures trembles: it may know a moment before.
    assert start <= due - 1.0 <= time <= end + 5.0
    assert not told(study, first(study, labelled=False))


def test_people_who_run_apart_are_told_within_five_seconds_and_a_celebration_is_not() -> None:
    study = panic.dispersal(episodes=0, negatives=0)
    take = panic.bolting_take(8)
    celebration = next(script for name, script in panic.LIVELY if "celebration" in name)(100)

    (time,) = told(study, take)

    assert panic.ONSET <= time <= take.labels.episodes[0][0] + 5.0
    assert not told(study, Take("celebration", panic.SECONDS, seen=crowd_seen(celebration)))


def test_the_same_seed_is_the_same_scene_and_another_is_another() -> None:
    one, same, other = (bolting(6, 3.0, 1.0, seed) for seed in (4, 4, 5))

    assert np.array_equal(one.positions, same.positions)
    assert not np.array_equal(one.positions, other.positions)
    study = road_users.wrong_way()
    assert play(study, study.takes[0], 5.0, 3)[0] == play(study, study.takes[0], 5.0, 3)[0]


def test_a_recording_shows_the_same_pictures_again_when_it_is_played_again() -> None:
    recording = weather.smoke_or_fire().takes[0].picture
    assert recording is not None
    times = [0.0, 66.0, 70.0]

    shown = [[recording(time).luma for time in times] for _ in range(2)]

    assert all(np.array_equal(one, two) for one, two in zip(*shown, strict=True))
    assert not np.array_equal(shown[0][0], shown[0][1])


def test_the_detector_errs_as_much_as_it_is_said_to() -> None:
    def boxes(errors: Errors) -> Sequence[int]:
        detector = FlawedDetector(errors, 1, 1280, 720)
        return [len(detector.look(frame / 5, [CAR])) for frame in range(600)]

    assert set(boxes(NONE)) == {1}
    assert np.mean(boxes(replace(NONE, missed=0.2))) == pytest.approx(0.8, abs=0.06)
    assert np.mean(boxes(replace(NONE, imagined=0.3))) == pytest.approx(1.3, abs=0.08)


@pytest.mark.parametrize("rate", [5.0, 25.0])
def test_errors_that_last_have_the_same_spread_at_any_frame_rate(rate: float) -> None:
    detector = FlawedDetector(replace(NONE, drift=0.05, drift_seconds=0.5), 2, 1280, 720)
    lefts = [float(detector.look(frame / rate, [CAR]).boxes[0, 0]) for frame in range(2000)]

    assert np.std(lefts) == pytest.approx(0.05 * 40.0, rel=0.2)


def test_takes_are_one_time_line_and_an_event_stays_in_its_own_take() -> None:
    study = road_users.wrong_way()
    ghost, flow = first(study, labelled=True), first(study, labelled=False)
    unlabelled = replace(ghost, labels=Labels())

    card = measure(replace(study, takes=[flow, ghost, unlabelled]), 5.0)

    (rule,) = card.rules
    assert [found for _, found in rule.result.events] == [Judgement.DETECTION, Judgement.FALSE_ALARM]
    assert not rule.result.missed
    assert card.replay.seconds == flow.seconds + 2 * ghost.seconds


def test_labels_of_walks_come_from_the_script() -> None:
    study = walks.zone_intrusion(2)
    cuts, keeps = study.takes[0].labels, study.takes[1].labels

    ((entered, due, left),) = cuts.episodes
    assert due - entered == pytest.approx(1.0)
    assert 2.0 < left - entered < 8.0
    assert not keeps.episodes
    lawn = next(present for zone, present in cuts.present.items() if zone.endswith("lawn"))
    assert sum(lawn) / 25.0 == pytest.approx(left - entered, abs=0.2)


def test_nearly_every_kind_of_take_has_a_counterpart_without_an_episode() -> None:
    for build in (shadows.person_down, shadows.abandoned_object, road_users.wrong_way, road_users.stopped_vehicle):
        takes = build().takes
        assert sum(bool(take.labels.episodes) for take in takes) >= 20
        assert sum(not take.labels.episodes for take in takes) >= 10
        assert len({take.seconds for take in takes}) == 1
