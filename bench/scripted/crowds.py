"""Scripted crowds: people on the ground whose every step is known.

A *script* says where everybody is on the ground at every moment. Scripts come from a small simulator in which people
want a velocity and keep a distance (social force model, Helbing and Molnár: Physical Review E 51, 1995, without walls);
the same seed gives the same crowd again. What a camera makes of a script is the business of crowd_camera.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Desire = Callable[[float, Floats], Floats]
"""(time, positions n x 2) -> the velocities that people want, n x 2, metres per second."""

TICK = 0.04
"""Of the simulation, seconds: one frame at 25 frames/s."""
GIRTH = 0.45
"""Of a person, metres."""
RELAXATION_SECONDS = 0.5
REPULSION, REACH = 2.1, 0.15
"""Acceleration between two who touch, m/s², and the distance in metres over which it falls to a third."""


# Scripts --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Script:
    """Where everybody is.

    Attributes:
        positions: moments x people x 2, metres east and north, one moment a tick; NaN: not there.
        lifts: moments x people, metres that the feet are above the ground.
        begin: time of the first moment, seconds.
    """

    positions: Floats
    lifts: Floats
    begin: float = 0.0

    def frames(self, rate: float) -> Iterator[tuple[float, Floats, Floats]]:
        """(time, positions, lifts) at a frame rate that divides 25."""
        every = round(1.0 / (rate * TICK))
        for moment in range(0, len(self.positions), every):
            yield self.begin + moment * TICK, self.positions[moment], self.lifts[moment]

    def inside(self, corners: Floats) -> Floats:
        """How many are in a rectangle on the ground (opposite corners, 2 x 2), by moment."""
        within = (self.positions >= corners.min(axis=0)) & (self.positions <= corners.max(axis=0))
        count: Floats = within.all(axis=2).sum(axis=1).astype(np.float64)
        return count


def simulate(
    start: Floats, seconds: float, desire: Desire, random: np.random.Generator, *, sway: float = 0.3
) -> Script:
    """People who start somewhere and want to go somewhere.

    Args:
        start: n x 2, metres.
        seconds: for how long.
        desire: what they want at any time; NaN: not there (yet, or any more).
        random: for how they sway.
        sway: standard deviation of the acceleration that nobody intends, m/s² per square root of a second.
    """
    positions, velocities = start.astype(np.float64), np.zeros_like(start, dtype=np.float64)
    found = []
    for tick in range(round(seconds / TICK) + 1):
        wanted = desire(tick * TICK, positions)
        there = known(wanted)
        found.append(np.where(there[:, None], positions, np.nan))
        push = (np.nan_to_num(wanted) - velocities) / RELAXATION_SECONDS
        push[there] += _repulsion(positions[there])
        push += random.normal(0.0, sway / np.sqrt(TICK), positions.shape)
        velocities = np.where(there[:, None], velocities + push * TICK, 0.0)
        positions = positions + velocities * TICK
    shape = np.stack(found)
    return Script(shape, np.zeros(shape.shape[:2]))


def together(*scripts: Script) -> Script:
    """Several crowds at once, of the same length, which do not see each other."""
    positions = np.concatenate([script.positions for script in scripts], axis=1)
    return Script(positions, np.concatenate([script.lifts for script in scripts], axis=1), scripts[0].begin)


def known(points: Floats) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = np.isfinite(points[:, 0])
    return known


def _repulsion(positions: Floats) -> Floats:
    apart = positions[:, None] - positions[None]
    distance = np.linalg.norm(apart, axis=2)
    np.fill_diagonal(distance, np.inf)
    strength = REPULSION * np.exp((GIRTH - distance) / REACH)
    force: Floats = (apart / np.maximum(distance, 0.05)[:, :, None] * np.minimum(strength, 10.0)[:, :, None]).sum(
        axis=1
    )
    return force


def scattered(number: int, corners: Floats, random: np.random.Generator, *, apart: float = 0.5) -> Floats:
    """Places in a rectangle (opposite corners, 2 x 2) that keep a distance, n x 2."""
    places: list[Floats] = []
    while len(places) < number:
        place = random.uniform(corners.min(axis=0), corners.max(axis=0))
        if all(np.linalg.norm(place - other) >= apart for other in places):
            places.append(place)
    return np.array(places)


def towards(positions: Floats, goals: Floats, speeds: Floats | float, *, arrived: float = 0.3) -> Floats:
    """Velocities that lead to goals, n x 2; nothing for who is there."""
    way = goals - positions
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    speed = np.broadcast_to(np.asarray(speeds, dtype=np.float64), (len(positions),))[:, None]
    return np.where(distance > arrived, way / np.maximum(distance, 1e-9) * speed, 0.0)


SQUARE = np.array([[-7.0, 11.0], [7.0, 25.0]])
"""Where the crowds below are, metres east and north of a camera that looks north."""


def waiting(number: int, seconds: float, seed: int, corners: Floats = SQUARE) -> Script:
    """People who stand about."""
    random = np.random.default_rng(seed)
    home = scattered(number, corners, random)
    return simulate(home, seconds, lambda _, positions: home - positions, random)


def bolting(number: int, seconds: float, at: float, seed: int, *, corners: Floats = SQUARE) -> Script:
    """A crowd that stands, and from a moment on runs away from its middle, each after a reaction time of its own."""
    random = np.random.default_rng(seed)
    home = scattered(number, corners, random)
    speeds = random.normal(4.0, 0.6, number).clip(2.8, 5.5)
    starts = at + random.exponential(0.4, number).clip(0.0, 1.5)
    away = home - home.mean(axis=0) + random.normal(0.0, 1.0, home.shape)
    away /= np.linalg.norm(away, axis=1, keepdims=True)

    def desire(time: float, positions: Floats) -> Floats:
        return np.where((time >= starts)[:, None], away * speeds[:, None], (home - positions) * 0.5)

    return simulate(home, seconds, desire, random)


def boarding(number: int, seconds: float, at: float, seed: int) -> Script:
    """A bus stop that empties: all go to one door, the last ones hurry, and are gone when they are there."""
    random = np.random.default_rng(seed)
    home, door = scattered(number, SQUARE, random), np.array([6.0, 23.0])
    speeds = np.where(np.arange(number) % 4 == 0, 2.3, random.normal(1.5, 0.2, number))
    starts = at + random.uniform(0.0, 4.0, number)
    aboard = np.zeros(number, dtype=np.bool_)

    def desire(time: float, positions: Floats) -> Floats:
        aboard[(np.linalg.norm(positions - door, axis=1) < 0.8) & (time > starts)] = True
        wanted = np.where((time >= starts)[:, None], towards(positions, door, speeds), (home - positions) * 0.5)
        return np.where(aboard[:, None], np.nan, wanted)

    return simulate(home, seconds, desire, random)


def rushing(number: int, seconds: float, at: float, seed: int) -> Script:
    """People who stand about, and from a moment on all run to one place, as to a stage, and stay there."""
    random = np.random.default_rng(seed)
    home, stage = scattered(number, SQUARE, random), np.array([0.0, 18.0])
    starts = at + random.exponential(0.4, number).clip(0.0, 1.5)

    def desire(time: float, positions: Floats) -> Floats:
        running = towards(positions, stage, 3.5, arrived=2.5)
        return np.where((time >= starts)[:, None], running, home - positions)

    return simulate(home, seconds, desire, random)


def celebrating(number: int, seconds: float, at: float, seed: int) -> Script:
    """A goal: all jump on the spot, twice a second, and push each other about."""
    random = np.random.default_rng(seed)
    home = scattered(number, SQUARE, random)
    calm = simulate(home, seconds, lambda _, positions: (home - positions) * 0.8, random, sway=1.2)
    times = np.arange(len(calm.positions))[:, None] * TICK
    phases, beats = random.uniform(0.0, 1.0, number), random.normal(2.0, 0.2, number)
    lifts = 0.35 * np.abs(np.sin(np.pi * (times * beats + phases))) * (times >= at)
    return Script(calm.positions, lifts)


def jogging(number: int, seconds: float, at: float, seed: int, *, speed: float = 3.2, north: float = 18.0) -> Script:
    """A group that runs through the square from west to east."""
    return passing(number, seconds, at, seed, speed=speed, north=north, length=5.0)


def passing(
    number: int, seconds: float, at: float, seed: int, *, speed: float = 1.3, north: float = 18.0, length: float = 15.0
) -> Script:
    """A group that goes through the square one way (negative speed: from east to west), in a column.

    Args:
        number: how many.
        seconds: for how long.
        at: when the first ones reach the square.
        seed: of the random numbers.
        speed: metres per second.
        north: of the column's middle, metres.
        length: of the column, metres.
    """
    random = np.random.default_rng(seed)
    side = float(np.sign(speed))
    behind = 7.0 + random.uniform(0.0, length, number)
    start = np.stack([-side * (behind + abs(speed) * at), random.normal(north, 1.0, number)], axis=1)
    wanted = np.stack([random.normal(speed, 0.05 * abs(speed), number), np.zeros(number)], axis=1)
    return simulate(start, seconds, lambda _, __: wanted, random)


def playing(number: int, seconds: float, seed: int) -> Script:
    """Children who run to one place after the other, all the time."""
    random = np.random.default_rng(seed)
    goals = random.uniform(SQUARE[0], SQUARE[1], (200, number, 2))
    at = np.zeros(number, dtype=np.intp)

    def desire(_: float, positions: Floats) -> Floats:
        goal = goals[at, np.arange(number)]
        at[np.linalg.norm(goal - positions, axis=1) < 1.0] += 1
        return towards(positions, goals[at, np.arange(number)], 3.2)

    return simulate(scattered(number, SQUARE, random), seconds, desire, random)


def gathering(number: int, seconds: float, at: float, over: float, seed: int, corners: Floats = SQUARE) -> Script:
    """People who come from outside one after the other, and stay standing.

    Args:
        number: how many.
        seconds: for how long.
        at: when the first one comes.
        over: within which time they come.
        seed: of the random numbers.
        corners: of where they stand.
    """
    random = np.random.default_rng(seed)
    goals = scattered(number, corners, random)
    comes = at + np.sort(random.uniform(0.0, over, number))
    start = np.stack([np.where(goals[:, 0] < 0.0, -12.0, 12.0), goals[:, 1]], axis=1)

    def desire(time: float, positions: Floats) -> Floats:
        return np.where((time >= comes)[:, None], towards(positions, goals, 1.4), np.nan)

    return simulate(start, seconds, desire, random)


def streaming(per_minute: float, seconds: float, seed: int, *, begin: float = 0.0, west: bool = False) -> Script:
    """A steady stream of walkers through the square, from west to east or the other way round.

    Args:
        per_minute: how many.
        seconds: for how long.
        seed: of the random numbers.
        begin: when the first one comes, seconds.
        west: they go from east to west.
    """
    random = np.random.default_rng(seed)
    number = round(per_minute * (seconds - begin) / 60.0)
    side = 1.0 if west else -1.0
    comes = begin + np.sort(random.uniform(0.0, seconds - begin, number))
    start = np.stack([np.full(number, side * 9.0), random.uniform(14.0, 22.0, number)], axis=1)
    wanted = np.stack([-side * random.normal(1.4, 0.15, number), np.zeros(number)], axis=1)

    def desire(time: float, positions: Floats) -> Floats:
        there = (time >= comes) & (np.abs(positions[:, 0]) < 9.5)
        return np.where(there[:, None], wanted, np.nan)

    return simulate(start, seconds, desire, random)
