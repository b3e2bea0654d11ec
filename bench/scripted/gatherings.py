"""People who gather, wait, stream and turn round on a square; and those who only seem to."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.scripted import crowds
from bench.scripted.crowds import SQUARE, Floats, Script
from bench.scripted.stages import CAMERA, LAWN, WHOLE, crowd_seen, place, square
from bench.scripted.takes import Labels, Study, Take

EPISODES, NEGATIVES = 20, 5
_WALK: Final = 1.4
_STANDING_SPEED: Final = 0.5
_LAWN_SQUARE_METRES: Final = 25.0


def _study(rule: str, parameters: dict[str, object], takes: list[Take]) -> Study:
    return Study(square(rule, parameters), takes, CAMERA.width, CAMERA.height)


def _take(name: str, seconds: float, script: Script, *episodes: tuple[float, float, float]) -> Take:
    return Take(name, seconds, Labels(episodes), crowd_seen(script))


def _first(flags: Floats | np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    """Time of the first moment at which something is true."""
    found = np.flatnonzero(flags)
    if not len(found):
        raise ValueError("the script never does what its label says")
    return float(found[0]) * crowds.TICK


# Loitering ------------------------------------------------------------------------------------------------------------

_LOITERING_SECONDS, _LOITERS_FROM = 60.0, 40.0


def loitering() -> Study:
    """One who paces about among few; one who leaves in time, and a full bus stop, where everybody waits."""
    takes = []
    for seed in range(EPISODES):
        script = crowds.together(_pacing(seed, _LOITERING_SECONDS), crowds.streaming(6.0, _LOITERING_SECONDS, seed))
        takes.append(_take("somebody stays", _LOITERING_SECONDS, script, (0.0, _LOITERS_FROM, _LOITERING_SECONDS)))
    for seed in range(NEGATIVES):
        script = crowds.together(_pacing(seed + 50, 28.0), crowds.streaming(6.0, _LOITERING_SECONDS, seed))
        takes.append(_take("somebody leaves in time", _LOITERING_SECONDS, script))
        takes.append(_take("a full bus stop", _LOITERING_SECONDS, crowds.waiting(14, _LOITERING_SECONDS, seed)))
    parameters: dict[str, object] = {"zone": place("zones", "square"), "time_threshold": f"{_LOITERS_FROM:g}s"}
    return _study("loitering", parameters, takes)


def _pacing(seed: int, until: float) -> Script:
    """Up and down the square, until then; afterwards away to the south."""
    random = np.random.default_rng(seed)
    start = random.uniform([-5.0, 13.0], [5.0, 22.0], (1, 2))
    goals = random.uniform([-5.0, 13.0], [5.0, 22.0], (200, 2))

    def desire(time: float, positions: Floats) -> Floats:
        if time > until:
            return np.where(positions[:, 1:] < 9.0, np.nan, [[0.0, -_WALK]])
        return crowds.towards(positions, goals[int(time / 8.0)][None], 0.8)

    return crowds.simulate(start, _LOITERING_SECONDS, desire, random)


# Density and forming --------------------------------------------------------------------------------------------------

_DENSITY_SECONDS, _DENSE_FROM = 45.0, 0.8
_FORMING_SECONDS, _FORMS_FROM, _STAYS = 65.0, 10, 30.0


def crowd_density() -> Study:
    """A lawn of 25 m² with 30 people, and with 12; the threshold is 0.8 persons per square metre."""
    takes = []
    for seed in range(EPISODES):
        script = crowds.gathering(30, _DENSITY_SECONDS, 2.0, 8.0, seed, LAWN)
        dense = script.inside(LAWN) / _LAWN_SQUARE_METRES
        mean = np.convolve(dense, np.ones(250) / 250)[: len(dense)]
        start, full = _first(dense >= _DENSE_FROM), _first(mean >= _DENSE_FROM)
        # Ten seconds of averaging, and ten for which it has to last.
        present = {place("zones", "lawn"): tuple(int(number) for number in script.inside(LAWN)[:-1])}
        labels = Labels(((start, full + 10.0, _DENSITY_SECONDS),), present=present)
        takes.append(Take("a full lawn", _DENSITY_SECONDS, labels, crowd_seen(script)))
    for seed in range(NEGATIVES):
        script = crowds.gathering(12, _DENSITY_SECONDS, 2.0, 8.0, seed, LAWN)
        takes.append(_take("a lawn that is half full", _DENSITY_SECONDS, script))
    return _study("crowd_density", {"zone": place("zones", "lawn"), "threshold": _DENSE_FROM}, takes)


def crowd_forming() -> Study:
    """Fifteen who gather and stay; as many who wait at a light and leave; and a stream that never stands."""
    takes = []
    for seed in range(EPISODES):
        script = crowds.gathering(15, _FORMING_SECONDS, 12.0, 8.0, seed)
        steps = np.linalg.norm(np.diff(script.positions[::25], axis=0), axis=2)
        start = float(np.flatnonzero((steps < _STANDING_SPEED).sum(axis=1) >= _FORMS_FROM)[0])
        takes.append(
            _take("people gather", _FORMING_SECONDS, script, (start, min(start + _STAYS, 64.0), _FORMING_SECONDS))
        )
    for seed in range(NEGATIVES // 2):
        takes.append(_take("people wait at a light", _FORMING_SECONDS, _at_a_light(seed)))
        takes.append(_take("a stream", _FORMING_SECONDS, crowds.streaming(60.0, _FORMING_SECONDS, seed)))
    return _study("crowd_forming", {"zone": place("zones", "square")}, takes)


def _at_a_light(seed: int) -> Script:
    random = np.random.default_rng(seed)
    places = crowds.scattered(15, np.array([[-6.0, 13.0], [-2.0, 21.0]]), random)
    comes = 12.0 + random.uniform(0.0, 8.0, 15)
    start = np.stack([np.full(15, -12.0), places[:, 1]], axis=1)

    def desire(time: float, positions: Floats) -> Floats:
        wanted = crowds.towards(positions, places, _WALK) if time < 38.0 else np.tile([[_WALK, 0.0]], (15, 1))
        there = (time >= comes) & (positions[:, 0] < SQUARE[1, 0] + 3.0)
        return np.where(there[:, None], wanted, np.nan)

    return crowds.simulate(start, _FORMING_SECONDS, desire, random)


# Flows ----------------------------------------------------------------------------------------------------------------

_FLOW_SECONDS, _TURNS = 80.0, 40.0
_INTERVAL, _CROSSINGS, _SHARE = 30.0, 10, 0.35
_RUN_SECONDS, _RUNS = 32.0, 20.0


def counter_flow() -> Study:
    """A stream that turns round; streams that go one way, with one in ten against them."""
    takes = []
    for seed in range(EPISODES):
        there = crowds.streaming(40.0, _TURNS, seed)
        away = np.full((round((_FLOW_SECONDS - _TURNS) / crowds.TICK), *there.positions.shape[1:]), np.nan)
        gone = Script(np.concatenate([there.positions, away]), np.zeros((2001, there.positions.shape[1])))
        script = crowds.together(gone, crowds.streaming(40.0, _FLOW_SECONDS, seed + 50, begin=_TURNS, west=True))
        due = _counter_flow_from(script)
        takes.append(_take("a stream turns round", _FLOW_SECONDS, script, (_TURNS, due, _FLOW_SECONDS)))
    for seed in range(NEGATIVES):
        few = crowds.streaming(4.0, _FLOW_SECONDS, seed + 50, west=True)
        script = crowds.together(crowds.streaming(40.0, _FLOW_SECONDS, seed), few)
        takes.append(_take("a stream with a few against it", _FLOW_SECONDS, script))
    parameters: dict[str, object] = {
        "line": place("lines", "across"),
        "interval": f"{_INTERVAL:g}s",
        "minimum_crossings": _CROSSINGS,
    }
    return _study("counter_flow", parameters, takes)


def _counter_flow_from(script: Script) -> float:
    """When enough of the last interval's crossings go each way."""
    east = script.positions[:, :, 0]
    there, back = (east[:-1] < 0.0) & (east[1:] >= 0.0), (east[:-1] > 0.0) & (east[1:] <= 0.0)
    window = np.ones(round(_INTERVAL / crowds.TICK))
    right, left = (np.convolve(way.sum(axis=1), window)[: len(east) - 1] for way in (there, back))
    total, fewer = right + left, np.minimum(right, left)
    return max(_TURNS, _first((total >= _CROSSINGS) & (fewer >= _SHARE * total)))


def running_against_flow() -> Study:
    """One who runs against a stream; one who runs with it, and some who walk against it."""
    takes = []
    for seed in range(EPISODES):
        script = crowds.together(crowds.streaming(40.0, _RUN_SECONDS, seed), _running(seed, -3.3))
        runner = script.positions[:, -1, 0]
        inside = np.flatnonzero(np.abs(runner) <= WHOLE[1, 0]) * crowds.TICK
        start, end = float(inside[0]), float(inside[-1])
        takes.append(_take("one runs against the stream", _RUN_SECONDS, script, (start, min(start + 1.5, end), end)))
    for seed in range(NEGATIVES):
        stream = crowds.streaming(40.0, _RUN_SECONDS, seed)
        takes.append(_take("one runs with the stream", _RUN_SECONDS, crowds.together(stream, _running(seed, 3.3))))
        few = crowds.streaming(5.0, _RUN_SECONDS, seed + 50, west=True)
        takes.append(_take("a few walk against the stream", _RUN_SECONDS, crowds.together(stream, few)))
    return _study("running_against_flow", {"zone": place("zones", "square")}, takes)


def _running(seed: int, speed: float) -> Script:
    return crowds.passing(1, _RUN_SECONDS, _RUNS, seed + 200, speed=speed, north=20.0, length=0.1)
