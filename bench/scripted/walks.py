"""People who walk over a square: who steps on a lawn, who crosses a line, how many are there."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bench import labels
from bench.scripted import crowds
from bench.scripted.crowds import Floats, Script, known
from bench.scripted.stages import ACROSS, CAMERA, LAWN, WHOLE, crowd_seen, place, square
from bench.scripted.takes import SCRIPT_RATE, Labels, Study, Take
from bench.scripted.views import project

INTRUSIONS: Final = 20
_SECONDS: Final = 24.0
_STREAM_SECONDS: Final = 60.0
_FILLING_SECONDS: Final = 40.0
_CROSSING_SECONDS: Final = 1.0
"""A crossing is an episode from this long before to this long after."""


def zone_intrusion(number: int = 2 * INTRUSIONS) -> Study:
    """Somebody cuts across the lawn while others pass beside it; and takes in which all keep off it, by 0.6 m."""
    configuration = square("zone_intrusion", {"zone": place("zones", "lawn"), "minimum_dwell": "1s"})
    takes = []
    for seed in range(number):
        crosses = seed % 2 == 0
        script = _around_the_lawn(seed, crosses=crosses)
        name = "somebody cuts across the lawn" if crosses else "all keep off the lawn"
        takes.append(Take(name, _SECONDS, _labelled(configuration, script), crowd_seen(script)))
    return Study(configuration, takes, CAMERA.width, CAMERA.height)


def _around_the_lawn(seed: int, *, crosses: bool) -> Script:
    random = np.random.default_rng(seed)
    (west, south), (east, north) = LAWN.tolist()
    # South and north of it, 0.6 m and more beside the edge; and two who stand at its corners.
    rows = [south - random.uniform(0.6, 3.0, 3), north + random.uniform(0.6, 4.0, 3)]
    norths = np.concatenate([*rows, random.uniform(south, north, 2)])
    start = np.stack([random.uniform(-11.0, -8.0, 8), norths], axis=1)
    speeds = random.normal(1.35, 0.15, 8)
    start[6:], speeds[6:] = [[west - 1.0, south + 1.0], [east + 1.0, north - 1.0]], 0.0
    walker = np.array([[random.uniform(west + 0.5, east - 0.5), 11.0]])
    begins, pace = random.uniform(4.0, 8.0), random.normal(1.35, 0.15)

    def desire(time: float, positions: Floats) -> Floats:
        wanted = np.stack([speeds, (norths - positions[:8, 1]) * 0.8], axis=1)
        wanted[6:] = (start[6:] - positions[6:8]) * 0.8
        across = [[0.0, pace if time >= begins else 0.0]] if crosses else [[np.nan, np.nan]]
        return np.concatenate([wanted, across])

    return crowds.simulate(np.concatenate([start, walker]), _SECONDS, desire, random, sway=0.15)


def line_crossing() -> Study:
    """Streams over a line; the rule watches those who go from east to west, and everybody is counted.

    Some cross and turn back, some walk along the line and never cross it.
    """
    name = place("lines", "across")
    configuration = square(
        "line_crossing", {"line": name, "direction": "DIRECTION_RIGHT_TO_LEFT"}, classes=["OBJECT_CLASS_PERSON"]
    )
    takes = []
    for seed in range(6):
        script = crowds.together(
            crowds.streaming(14.0, _STREAM_SECONDS, seed),
            crowds.streaming(6.0, _STREAM_SECONDS, seed + 100, west=True),
            _along_the_line(seed + 200),
        )
        made = _labelled(configuration, script)
        west = _crossed_west(script)
        episodes = tuple((max(0.0, time - _CROSSING_SECONDS), time, time + _CROSSING_SECONDS) for time in west)
        exact = Labels(episodes, (), made.crossings, made.present)
        takes.append(Take("streams both ways", _STREAM_SECONDS, exact, crowd_seen(script)))
    return Study(configuration, takes, CAMERA.width, CAMERA.height)


def _along_the_line(seed: int) -> Script:
    random = np.random.default_rng(seed)
    start = np.array([[-1.2, 12.0], [1.2, 24.0]])
    goals = start[:, ::-1] * 0.0 + np.array([[-1.2, 24.0], [1.2, 12.0]])
    return crowds.simulate(
        start, _STREAM_SECONDS, lambda _, positions: crowds.towards(positions, goals, 0.6), random, sway=0.1
    )


def _crossed_west(script: Script) -> list[float]:
    """When people crossed the line from east to west, seconds."""
    (_, south), (_, north) = ACROSS.tolist()
    east, norths = script.positions[:, :, 0], script.positions[:, :, 1]
    crossed = (east[:-1] > 0.0) & (east[1:] <= 0.0) & (norths[1:] > south) & (norths[1:] < north)
    return sorted(float(tick + 1) * crowds.TICK for tick, _ in np.argwhere(crossed).tolist())


def zone_occupancy() -> Study:
    """A square that fills above the threshold of twelve, or only up to nine; and a column that passes through it."""
    configuration = square("zone_occupancy", {"zone": place("zones", "square"), "threshold": 12})
    takes = []
    for seed in range(20):
        full = crowds.gathering(17, _FILLING_SECONDS, 3.0, 15.0, seed)
        takes.append(_filling("a square that fills", configuration, full))
    for seed in range(8):
        few = crowds.gathering(9, _FILLING_SECONDS, 3.0, 15.0, seed)
        takes.append(_filling("a square that fills a little", configuration, few))
    return Study(configuration, takes, CAMERA.width, CAMERA.height)


def _filling(name: str, configuration: dict[str, Any], script: Script) -> Take:
    threshold, dwell = int(configuration["rules"][0]["zone_occupancy"]["threshold"]), 3.0
    enough = np.flatnonzero(script.inside(WHOLE) >= threshold)
    made = _labelled(configuration, script)
    episodes: tuple[tuple[float, float, float], ...] = ()
    if len(enough):
        start = float(enough[0]) * crowds.TICK
        episodes = ((start, start + dwell, _FILLING_SECONDS),)
    return Take(name, _FILLING_SECONDS, Labels(episodes, (), {}, made.present), crowd_seen(script))


def _labelled(configuration: dict[str, Any], script: Script) -> Labels:
    """The labels that bench.labels makes of the script's own steps, as it does of annotated boxes."""
    frames = len(script.positions) - 1
    scene = {"configuration": configuration, "frame_rate": SCRIPT_RATE, "frames": frames}
    found = labels.labels(_walks(script, frames), scene)
    return Labels(
        episodes=tuple((each["start"], each["due"], each["end"]) for each in found["episodes"]),
        unjudged=tuple((each["start"], each["end"]) for each in found["unjudged"]),
        crossings={each["line"]: (each["left_to_right"], each["right_to_left"]) for each in found["crossings"]},
        present={each["zone"]: tuple(each["present"]) for each in found["occupancy"]},
    )


def _walks(script: Script, frames: int) -> list[labels.Walk]:
    walks = []
    for person in range(script.positions.shape[1]):
        positions = script.positions[:frames, person]
        there = np.flatnonzero(known(positions))
        feet = project(CAMERA.homography, positions[there])
        shown = (feet > 0.0).all(axis=1) & (feet < 1.0).all(axis=1)
        if shown.any():
            points = tuple((float(x), float(y)) for x, y in feet[shown].tolist())
            walks.append(labels.Walk(tuple(there[shown].tolist()), points))
    return walks
