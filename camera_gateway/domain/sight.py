"""Whether an optic still sees what it should: ONVIF's tampering modes, a frozen picture, and lost visibility.

A few measures of the picture, taken every fifth second, are held against what is usual for this optic. Each mode has a
duration that it must last before it is told, and again before it is over (ONVIF Analytics Service Specification,
TamperingDetection: 1 s to 1 min). What is spoilt is never learned: a camera that was turned is told until it is turned
back or somebody confirms the scene anew (`Sight.relearn`).
"""

from __future__ import annotations

import dataclasses
import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from camera_gateway.domain.luma import Luma, shrunk

if TYPE_CHECKING:
    from collections.abc import Mapping

_Plane = npt.NDArray[np.float32]

PERIOD: Final = 5.0
"""Seconds between two looks: as long as the shortest of the `DURATIONS`; more of them would tell nothing sooner."""
WIDTH, HEIGHT = 320, 180
"""Size at which is looked: fine enough that a lens out of focus shows."""
MOST: Final = 0.95
DARK: Final = 28
"""A picture is too dark when `MOST` of it is below this luma: a cap on the lens, not a night with street lamps."""
BRIGHT: Final = 205
"""A picture is too bright when `MOST` of it is above this luma; white is 235."""
WHITEST: Final = 255
SHARP_SHARE: Final = 0.35
"""A picture is blurred when it has less than this share of its usual edges and still its usual contrast."""
FOG_SHARE: Final = 0.4
"""Visibility is lost when both contrast and edges are below this share of the usual."""
SAME_SCENE: Final = 0.5
"""Below this likeness (see `_likeness`) a picture shows another scene. Measured: unchanged scenes with people, cars and
noise 0.8 and more, a camera turned by a twentieth of its view 0.2 to 0.5, turned away 0."""
LEARNED_AFTER: Final = 5
"""Looks after which something is usual."""
INTERRUPTED_AFTER: Final = 3 * PERIOD
"""Seconds without a look after which nothing is known of the time between."""
_MEMORY: Final = 1800.0
"""Seconds over which the usual is learned: dusk is slower, a hand before the lens is not."""
_SCENE_MEMORY: Final = 120.0
COARSE: Final = (32, 18)
"""Columns and rows at which contrast is measured: fog takes it there too, a lens out of focus does not."""
SAME_SHAPE: Final = 0.02
"""Largest relative difference of two aspect ratios that count as the same."""
BLOCKS: Final = (8, 5)
"""Columns and rows of the blocks in which edges are compared."""
HALVED: Final = (WIDTH // 2, HEIGHT // 2)
"""Columns and rows at which the light and the edges are measured."""
EDGE_BLUR: Final = (5, 5)
"""Size, in pixels of that size, of the filter by which edges are blurred."""


class Mode(enum.Enum):
    """What can be wrong with a picture."""

    GLOBAL_SCENE_CHANGE = "global_scene_change"
    IMAGE_TOO_DARK = "image_too_dark"
    IMAGE_TOO_BRIGHT = "image_too_bright"
    IMAGE_TOO_BLURRY = "image_too_blurry"
    FROZEN = "frozen"
    LOW_VISIBILITY = "low_visibility"


DURATIONS: Final[Mapping[Mode, float]] = MappingProxyType(
    {
        Mode.GLOBAL_SCENE_CHANGE: 5.0,
        Mode.IMAGE_TOO_DARK: 5.0,
        Mode.IMAGE_TOO_BRIGHT: 5.0,
        Mode.IMAGE_TOO_BLURRY: 5.0,
        # Longer than cameras wait between key pictures: between them a still scene may be coded as no change at all.
        Mode.FROZEN: 30.0,
        Mode.LOW_VISIBILITY: 10.0,
    }
)
"""Seconds that a mode must last before it is told, and be absent before it is over."""


class State(enum.Enum):
    """Where a mode stands."""

    ABSENT = "absent"
    SUSPECTED = "suspected"
    PRESENT = "present"
    FADING = "fading"


class Event(enum.Enum):
    """What a look can bring."""

    SEEN = "seen"
    UNSEEN = "unseen"
    LASTED = "lasted"
    INTERRUPTED = "interrupted"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.ABSENT, Event.SEEN): State.SUSPECTED,
        (State.SUSPECTED, Event.UNSEEN): State.ABSENT,
        (State.SUSPECTED, Event.LASTED): State.PRESENT,
        (State.SUSPECTED, Event.INTERRUPTED): State.ABSENT,
        (State.PRESENT, Event.UNSEEN): State.FADING,
        (State.FADING, Event.SEEN): State.PRESENT,
        (State.FADING, Event.LASTED): State.ABSENT,
        (State.FADING, Event.INTERRUPTED): State.PRESENT,
    }
)
"""A pair that is not listed changes nothing."""

TOLD: Final = frozenset({State.PRESENT, State.FADING})
"""The states in which a mode counts as present."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A mode came or went.

    Attributes:
        mode: which.
        present: whether it came.
        lasted: seconds for which it was told; 0 when it came.
    """

    mode: Mode
    present: bool
    lasted: float = 0.0


class _Watch:
    """One mode's way through the table."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._since = self._told = 0.0
        self.state = State.ABSENT

    def look(self, *, seen: bool, interrupted: bool, now: float) -> Change | None:
        """Whether the mode came or went."""
        if not seen and self.state is State.ABSENT:
            # As nearly always: the table changes nothing, whatever came between.
            return None
        before = self.state in TOLD
        if interrupted:
            self._apply(Event.INTERRUPTED, now)
        self._apply(Event.SEEN if seen else Event.UNSEEN, now)
        if now - self._since >= DURATIONS[self._mode]:
            self._apply(Event.LASTED, now)
        if (self.state in TOLD) is before:
            return None
        if before:
            return Change(self._mode, present=False, lasted=now - self._told)
        self._told = now
        return Change(self._mode, present=True)

    def _apply(self, event: Event, now: float) -> None:
        following = TRANSITIONS.get((self.state, event), self.state)
        if following is not self.state:
            self.state, self._since = following, now


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """The measures of one picture."""

    dark: bool
    bright: bool
    contrast: float
    sharpness: float
    edges: _Plane
    luma: Luma


class _Usual:
    """What an optic usually shows: how clear it is, and the scene."""

    def __init__(self) -> None:
        self._clear_looks = self._scene_looks = 0
        self._contrast = self._sharpness = 0.0
        self._edges: _Plane | None = None

    def forget_clarity(self) -> None:
        """How clear its picture is will be learned anew; the scene is the same."""
        self._clear_looks = 0

    def clarity(self, look: _Look) -> tuple[float, float] | None:
        """Contrast and sharpness as shares of the usual; None while it is not known."""
        if self._clear_looks < LEARNED_AFTER:
            return None
        return look.contrast / self._contrast, look.sharpness / self._sharpness

    def shows(self, look: _Look) -> bool:
        """Whether it is the usual scene; true while that is not known."""
        if self._edges is None or self._scene_looks < LEARNED_AFTER:
            return True
        return _likeness(look.edges, self._edges) >= SAME_SCENE

    def learn(self, look: _Look) -> None:
        """This is usual."""
        self._clear_looks += 1
        self._scene_looks += 1
        share = max(1.0 / self._clear_looks, PERIOD / _MEMORY)
        self._contrast += share * (look.contrast - self._contrast)
        self._sharpness += share * (look.sharpness - self._sharpness)
        if self._edges is None:
            self._edges = look.edges.copy()
        else:
            cv2.accumulateWeighted(look.edges, self._edges, max(1.0 / self._scene_looks, PERIOD / _SCENE_MEMORY))


class Sight:
    """Watches the picture of one optic. Times are monotonic seconds; they are arguments."""

    def __init__(self) -> None:
        self._watches = {mode: _Watch(mode) for mode in DURATIONS}
        self._looked = float("-inf")
        self._last: Luma | None = None
        self._size = (0, 0)
        self._usual = _Usual()

    def relearn(self) -> None:
        """Forgets what is usual, after people have moved the optic or confirmed its scene anew."""
        self._usual = _Usual()

    @property
    def impairments(self) -> tuple[Mode, ...]:
        """What is wrong now."""
        return tuple(mode for mode, watch in self._watches.items() if watch.state in TOLD)

    def due(self, now: float) -> bool:
        """Whether it is time for a look; asks for no pixels."""
        return now >= self._looked + PERIOD

    def look(self, luma: Luma, now: float) -> list[Change]:
        """Takes a look; call only when `due`.

        Args:
            luma: (height, width) uint8, the Y plane at any size. Of another shape than the last one, it is another
                scene; of another size and the same shape, only its sharpness is learned anew.
            now: monotonic seconds.

        Returns:
            The modes that came or went.
        """
        interrupted, self._looked = now - self._looked > INTERRUPTED_AFTER, now
        self._follow_size(luma.shape[1], luma.shape[0])
        look = _measure(luma)
        seen = self._judge(look)
        watched = [
            watch.look(seen=mode in seen, interrupted=interrupted, now=now) for mode, watch in self._watches.items()
        ]
        if not seen - {Mode.FROZEN}:
            self._usual.learn(look)
        self._last = look.luma
        return [change for change in watched if change is not None]

    def _follow_size(self, width: int, height: int) -> None:
        before, self._size = self._size, (width, height)
        if before == self._size or not all(before):
            return
        if abs(width * before[1] - height * before[0]) > SAME_SHAPE * width * before[1]:
            self.relearn()
        else:
            # Not the scene: whoever turns a camera could hide it by changing its resolution.
            self._usual.forget_clarity()

    def _judge(self, look: _Look) -> set[Mode]:
        """What the picture shows, each independent of time. A picture without light says nothing about the rest."""
        if look.dark:
            return {Mode.IMAGE_TOO_DARK}
        if look.bright:
            return {Mode.IMAGE_TOO_BRIGHT}
        seen = set()
        if self._last is not None and cv2.norm(look.luma, self._last, cv2.NORM_INF) == 0:
            seen.add(Mode.FROZEN)
        if (clarity := self._usual.clarity(look)) is not None:
            contrast, sharpness = clarity
            if contrast < FOG_SHARE and sharpness < FOG_SHARE:
                return seen | {Mode.LOW_VISIBILITY}
            if sharpness < SHARP_SHARE:
                return seen | {Mode.IMAGE_TOO_BLURRY}
        if not self._usual.shows(look):
            seen.add(Mode.GLOBAL_SCENE_CHANGE)
        return seen


def _measure(luma: Luma) -> _Look:
    small: Any = shrunk(luma, WIDTH, HEIGHT)
    halved: Any = cv2.resize(small, HALVED, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(halved, COARSE, interpolation=cv2.INTER_AREA)
    # By the light that there is: dusk takes contrast and light alike, fog takes contrast alone. The floors keep a
    # picture without anything in it from being divided by.
    mean = cv2.mean(halved)[0]
    light = mean + 16.0
    contrast = float(cv2.meanStdDev(coarse)[1][0, 0]) / light
    sharpness = cv2.norm(cv2.Laplacian(small, cv2.CV_16S), cv2.NORM_L1) / small.size / light
    return _Look(
        dark=mean <= MOST * (DARK - 1) + (1 - MOST) * WHITEST and _mostly(halved, 0, DARK - 1),
        bright=mean >= MOST * (BRIGHT + 1) and _mostly(halved, BRIGHT + 1, WHITEST),
        contrast=max(contrast, 0.01),
        sharpness=max(sharpness, 0.001),
        edges=_edges(halved),
        luma=small,
    )


def _mostly(luma: Any, low: int, high: int) -> bool:
    """Whether `MOST` of the plane lies between the two."""
    return bool(cv2.countNonZero(cv2.inRange(luma, low, high)) >= MOST * luma.size)


def _edges(halved: Any) -> _Plane:
    """How much the luma changes from place to place, blurred, so that a mast in the wind is no other scene."""
    across, down = cv2.spatialGradient(halved)
    strength: Any = cv2.add(cv2.convertScaleAbs(across, alpha=0.25), cv2.convertScaleAbs(down, alpha=0.25))
    return np.asarray(cv2.GaussianBlur(strength, EDGE_BLUR, 0), np.float32)


def _likeness(edges: _Plane, usual: _Plane) -> float:
    """How far the usual edges are where they were, -1..1; 1 for a picture without any structure.

    The weighted median over the blocks of Pearson's correlation in each, a block counting by its usual structure: what
    covers less than half of the scene, a lorry or a crowd, does not change it.
    """
    now, before = _block_means(edges), _block_means(usual)
    both = _block_means(cv2.multiply(edges, usual))
    now_squared, before_squared = _block_means(cv2.multiply(edges, edges)), _block_means(cv2.multiply(usual, usual))
    weight = np.sqrt(np.maximum(before_squared - before * before, 0.0))
    if not weight.any():
        return 1.0
    strength = np.sqrt(np.maximum(now_squared - now * now, 0.0))
    correlations = (both - now * before) / np.maximum(strength * weight, 1e-6)
    return _weighted_median(correlations.tolist(), weight.tolist())


def _weighted_median(values: list[float], weights: list[float]) -> float:
    """The smallest value that, together with those below it, has half of the weight."""
    half, reached = sum(weights) / 2, 0.0
    ordered = sorted(zip(values, weights, strict=True))
    for value, weight in ordered:
        reached += weight
        if reached >= half:
            return value
    return ordered[-1][0]


def _block_means(plane: Any) -> _Plane:
    """The mean of each of the `BLOCKS`, of which none cuts a pixel, (blocks,)."""
    return np.asarray(cv2.resize(plane, BLOCKS, interpolation=cv2.INTER_AREA).ravel(), np.float32)
