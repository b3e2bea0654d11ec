from __future__ import annotations

import random

import numpy as np
import pytest

from bench.scripted.views import SPREAD, ground_of, project, view
from detector.domain.calibration import Calibration
from detector.domain.detections import Detections, ObjectClass
from detector.domain.ground_motion import GroundMotion, ground_motion
from detector.domain.kalman import Noise
from detector.domain.tracking import Track, Tracker

WIDTH, HEIGHT = 768, 432
VIEW = view(height=9.0, pitch=28.0)
CALIBRATION = Calibration.fit(SPREAD, ground_of(VIEW, SPREAD))


def drive(speed: float, heading: float, *, rate: float, seconds: float, seed: int) -> list[tuple[Track, GroundMotion]]:
    """A car of 1.5 m goes straight on past the middle of the view, seen as well as the tracker expects.

    Args:
        speed: metres per second.
        heading: degrees clockwise from north.
        rate: frames per second.
        seconds: how long.
        seed: of the detector's errors.
    """
    ids, noise = random.Random(seed), np.random.default_rng(seed)
    tracker = Tracker(lambda: ids.getrandbits(64))
    course = np.array([np.sin(np.radians(heading)), np.cos(np.radians(heading))])
    middle = CALIBRATION.to_ground(np.array([[0.5, 0.6]]))[0]
    found = []
    for number in range(int(seconds * rate)):
        place = middle + course * speed * (number / rate - seconds / 2)
        x, y = project(VIEW, place[None])[0] * [WIDTH, HEIGHT]
        tall = 1.5 * CALIBRATION.pixels_per_metre(np.array([[x / WIDTH, y / HEIGHT]]), WIDTH, HEIGHT)[0]
        box = np.array([x - tall, y - tall, x + tall, y]) + noise.normal(0.0, Noise().position * tall, 4)
        seen = Detections(
            box[None].astype(np.float32), np.array([0.8], np.float32), np.array([ObjectClass.CAR], np.int16)
        )
        tracks = tracker.step(number / rate, seen).tracks
        found += [(track, ground_motion([track], CALIBRATION, WIDTH, HEIGHT)) for track in tracks]
    return found


@pytest.mark.parametrize(("speed", "heading"), [(1.5, 90.0), (3.0, 0.0), (6.0, 270.0), (5.0, 225.0)])
def test_the_speed_of_a_car_is_measured_within_the_error_that_is_said(speed: float, heading: float) -> None:
    course = np.array([np.sin(np.radians(heading)), np.cos(np.radians(heading))])
    deviations, errors = [], []
    for seed in range(12):
        for _, motion in drive(speed, heading, rate=12.5, seconds=3.0, seed=seed)[19:]:
            deviations.append((motion.velocity[0] @ course - speed) / motion.speed_error[0])
            errors.append(motion.speed_error[0])

    assert np.mean(np.abs(deviations) < 1.0) > 0.6
    assert np.mean(np.abs(deviations) < 2.0) > 0.9
    assert np.mean(errors) < 0.3 * max(speed, 3.0)


def test_what_stands_has_no_speed_that_is_larger_than_its_error() -> None:
    motions = [motion for seed in range(8) for _, motion in drive(0.0, 0.0, rate=12.5, seconds=4.0, seed=seed)[25:]]

    assert np.mean([motion.speed[0] < 2 * motion.speed_error[0] for motion in motions]) > 0.9


def test_an_error_shrinks_as_a_track_is_watched_and_is_larger_far_away() -> None:
    track, motion = drive(3.0, 90.0, rate=12.5, seconds=3.0, seed=1)[-1]
    _, young = drive(3.0, 90.0, rate=12.5, seconds=3.0, seed=1)[2]
    near, far = (
        ground_motion([moved(track, bottom)], CALIBRATION, WIDTH, HEIGHT).speed_error[0] for bottom in (400.0, 60.0)
    )

    assert motion.speed_error[0] < young.speed_error[0]
    assert near < far


def test_a_foot_above_the_horizon_has_no_motion_and_a_velocity_of_unknown_error_has_none_that_is_known() -> None:
    sky = Calibration.fit(SPREAD, ground_of(view(pitch=10.0), SPREAD))
    unknown = Track(1, ObjectClass.CAR, (300, 200, 340, 300), (5.0, 0.0), 0.0, 1.0, 0)
    above = ground_motion([moved(unknown, 2.0)], sky, WIDTH, HEIGHT)
    on_ground = ground_motion([unknown], sky, WIDTH, HEIGHT)

    assert np.isnan([above.speed[0], above.speed_error[0], *above.position[0]]).all()
    assert on_ground.speed[0] > 0.0
    assert not np.isfinite(on_ground.speed_error[0])
    assert len(ground_motion([], sky, WIDTH, HEIGHT).speed) == 0


def moved(track: Track, bottom: float) -> Track:
    """The same track with its foot on another line of the picture."""
    left, _, right, _ = track.box
    box = (left, bottom - 40.0, right, bottom)
    return Track(track.track, track.object_class, box, track.velocity, 0.0, 1.0, 0, velocity_error=track.velocity_error)
