"""How closely an optic sees each of its zones: pixels per metre against the levels of IEC 62676-4:2025.

Too little for the task is a finding, and so is too much for privacy: what is there to count people must not be able to
show who they are. Resolution is that of the sensor's picture, not of the smaller one that is analysed: it is a property
of what the camera could be asked for.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from detector.domain import geometry

if TYPE_CHECKING:
    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Chain

Floats = npt.NDArray[np.float64]

SAMPLES_PER_SIDE: Final = 32
"""Of the grid laid over a zone's bounding box; its corners and sides are sampled besides, where the extremes lie."""


class Level(enum.IntEnum):
    """OODPCVS, IEC 62676-4:2025: what a picture of so many pixels per metre of the target serves for."""

    OVERVIEW = 20
    OUTLINE = 40
    DISCERN = 80
    PERCEIVE = 125
    CHARACTERISE = 250
    VALIDATE = 500
    SCRUTINISE = 1500


@dataclass(frozen=True, slots=True)
class ZoneResolution:
    """Pixels per metre across the line of sight within a zone, equal parts of the picture counting alike.

    Attributes:
        minimum: 0 when the zone reaches the horizon.
        median: of the part below the horizon; 0 when there is none.
        maximum: likewise.
        seen: share of the zone below the horizon.
    """

    minimum: float
    median: float
    maximum: float
    seen: float


class Finding(enum.Enum):
    """What can be wrong with a resolution."""

    TOO_LITTLE = enum.auto()
    """Somewhere in the zone there are fewer pixels than the task takes."""
    TOO_MUCH = enum.auto()
    """Somewhere in the zone there are more than privacy leaves."""


@dataclass(frozen=True, slots=True)
class ResolutionFinding:
    """One thing that is wrong.

    Attributes:
        finding: which.
        measured: pixels per metre: the least of the zone for too little, the most for too much.
        level: the one that is not reached, or that must not be.
    """

    finding: Finding
    measured: float
    level: Level


def zone_resolution(calibration: Calibration, polygon: Chain, width: int, height: int) -> ZoneResolution:
    """How closely a zone is seen.

    Args:
        calibration: of the optic.
        polygon: the zone's corners, normalised, at least three.
        width: of the sensor's picture, pixels.
        height: likewise.
    """
    samples = _samples(np.array(polygon, dtype=np.float64))
    density = calibration.pixels_per_metre(samples, width, height)
    below = density[np.isfinite(density)]
    if not len(below):
        return ZoneResolution(0.0, 0.0, 0.0, 0.0)
    seen = len(below) / len(density)
    minimum = float(below.min()) if len(below) == len(density) else 0.0
    return ZoneResolution(minimum, float(np.median(below)), float(below.max()), seen)


def level_of(pixels_per_metre: float) -> Level | None:
    """The highest level that is reached; None below all of them."""
    return max((level for level in Level if level <= pixels_per_metre), default=None)


def assess(resolution: ZoneResolution, *, needed: Level | None, limit: Level | None) -> tuple[ResolutionFinding, ...]:
    """What is wrong with a zone's resolution.

    Args:
        resolution: of the zone.
        needed: what the task takes, everywhere in the zone; None: nothing is asked.
        limit: what must not be reached anywhere in it; None: nothing is forbidden.
    """
    found = []
    if needed is not None and resolution.minimum < needed:
        found.append(ResolutionFinding(Finding.TOO_LITTLE, resolution.minimum, needed))
    if limit is not None and resolution.maximum >= limit:
        found.append(ResolutionFinding(Finding.TOO_MUCH, resolution.maximum, limit))
    return tuple(found)


def _samples(corners: Floats) -> Floats:
    """Points of a polygon's inside and sides, n x 2."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    steps = (np.arange(SAMPLES_PER_SIDE) + 0.5) / SAMPLES_PER_SIDE
    grid = np.stack(np.meshgrid(*(low + (high - low) * steps[:, None]).T), axis=-1).reshape(-1, 2)
    shares = np.linspace(0.0, 1.0, SAMPLES_PER_SIDE, endpoint=False)[:, None, None]
    sides = corners + shares * (np.roll(corners, -1, axis=0) - corners)
    return np.concatenate([grid[geometry.contains(corners.tolist(), grid)], sides.reshape(-1, 2)])
