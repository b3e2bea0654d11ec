"""The ways in which a camera can misbehave, and when. Pure: time is an argument."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class FaultKind(enum.Enum):
    """What goes wrong. The values are the words of fault scripts."""

    HANG_AFTER_CONNECT = "hang-after-connect"
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not-found"
    REDIRECT = "redirect"
    AUDIO = "audio"
    METADATA = "metadata"
    HANG_AFTER_PLAY = "hang-after-play"
    RESET = "reset"
    GARBAGE = "garbage"
    LOSS = "loss"
    REORDER = "reorder"
    NO_SENDER_REPORTS = "no-sender-reports"
    CLOCK_DRIFT = "clock-drift"
    CLOCK_JUMP = "clock-jump"
    PTS_JUMP = "pts-jump"
    TIMESTAMPS_BACKWARDS = "timestamps-backwards"
    FREEZE = "freeze"
    BLACK = "black"
    BRIGHT = "bright"
    BLUR = "blur"
    FOG = "fog"
    SCENE_CHANGE = "scene-change"
    RESIZE = "resize"


@dataclass(frozen=True)
class Range:
    """A number that a fault can be given.

    Attributes:
        default: used when the script does not say.
        lowest: smallest value accepted.
        highest: largest value accepted.
    """

    default: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class FaultRule:
    """What a script may say of a kind of fault.

    Attributes:
        momentary: it happens at an instant and has no duration.
        before_play: it concerns what comes before PLAY, so that it cannot be timed from PLAY.
        whole_device: it cannot be limited to one optic.
        numbers: its settings by name.
        needs_target: it must be given a URL, ``to=URL``.
    """

    momentary: bool = False
    before_play: bool = False
    whole_device: bool = False
    numbers: Mapping[str, Range] = field(default_factory=dict)
    needs_target: bool = False


_SHARE: Final = MappingProxyType({"rate": Range(0.05, 0.0, 1.0)})
_PICTURE: Final = FaultRule()
_BEFORE_PLAY: Final = FaultRule(before_play=True)
_DAY: Final = 86_400.0

RULES: Final[Mapping[FaultKind, FaultRule]] = MappingProxyType(
    {
        FaultKind.HANG_AFTER_CONNECT: FaultRule(before_play=True, whole_device=True),
        FaultKind.OFFLINE: FaultRule(before_play=True, whole_device=True),
        FaultKind.UNAUTHORIZED: _BEFORE_PLAY,
        FaultKind.NOT_FOUND: _BEFORE_PLAY,
        FaultKind.REDIRECT: FaultRule(before_play=True, needs_target=True),
        FaultKind.AUDIO: _BEFORE_PLAY,
        FaultKind.METADATA: _BEFORE_PLAY,
        FaultKind.HANG_AFTER_PLAY: FaultRule(),
        FaultKind.RESET: FaultRule(momentary=True),
        FaultKind.GARBAGE: FaultRule(),
        FaultKind.LOSS: FaultRule(numbers=_SHARE),
        FaultKind.REORDER: FaultRule(numbers=_SHARE),
        FaultKind.NO_SENDER_REPORTS: FaultRule(),
        FaultKind.CLOCK_DRIFT: FaultRule(numbers={"rate": Range(0.01, -1.0, 1.0)}),
        FaultKind.CLOCK_JUMP: FaultRule(momentary=True, numbers={"seconds": Range(3600.0, -_DAY, _DAY)}),
        FaultKind.PTS_JUMP: FaultRule(momentary=True, numbers={"seconds": Range(10.0, -_DAY, _DAY)}),
        FaultKind.TIMESTAMPS_BACKWARDS: FaultRule(numbers={"seconds": Range(0.5, 0.0, _DAY)}),
        FaultKind.FREEZE: _PICTURE,
        FaultKind.BLACK: _PICTURE,
        FaultKind.BRIGHT: _PICTURE,
        FaultKind.BLUR: _PICTURE,
        FaultKind.FOG: _PICTURE,
        FaultKind.SCENE_CHANGE: _PICTURE,
        FaultKind.RESIZE: _PICTURE,
    }
)
"""What a script may say of each kind."""


class Trigger(enum.Enum):
    """From when a time is counted. The values are the words of fault scripts."""

    ALWAYS = ""
    AT = "at"
    AFTER = "after"
    EVERY = "every"


@dataclass(frozen=True)
class Moment:
    """A time on the camera's two clocks, in seconds.

    Attributes:
        since_start: since the camera started.
        since_play: since this client said PLAY; None before it did.
    """

    since_start: float
    since_play: float | None = None


@dataclass(frozen=True)
class Schedule:
    """When a fault happens.

    Attributes:
        trigger: which clock counts, and how.
        seconds: the time, or for EVERY the period.
        duration: seconds for which it lasts each time; infinite: until the end.
    """

    trigger: Trigger = Trigger.ALWAYS
    seconds: float = 0.0
    duration: float = math.inf

    def _elapsed(self, moment: Moment) -> float:
        """Seconds on the clock that counts; negative while it does not run."""
        if self.trigger is Trigger.AFTER:
            return -1.0 if moment.since_play is None else moment.since_play
        return moment.since_start

    def is_active(self, moment: Moment) -> bool:
        """Whether a lasting fault is there."""
        elapsed = self._elapsed(moment)
        if elapsed < self.seconds:
            return False
        if self.trigger is Trigger.EVERY:
            return elapsed % self.seconds < self.duration
        return elapsed - self.seconds < self.duration

    def occurrences(self, moment: Moment) -> int:
        """How often a momentary fault has happened."""
        elapsed = self._elapsed(moment)
        if self.trigger is Trigger.EVERY:
            return max(0, int(elapsed // self.seconds))
        return int(elapsed >= self.seconds)

    def active_seconds(self, moment: Moment) -> float:
        """For how long, in sum, a lasting fault has been there."""
        elapsed = self._elapsed(moment)
        if elapsed < self.seconds:
            return 0.0
        if self.trigger is Trigger.EVERY:
            times = elapsed // self.seconds
            return (times - 1) * self.duration + min(elapsed - times * self.seconds, self.duration)
        return min(elapsed - self.seconds, self.duration)

    def seconds_until_next(self, moment: Moment) -> float | None:
        """Seconds until it happens again; None if it never does, or its clock does not run."""
        elapsed = self._elapsed(moment)
        if elapsed < 0.0 or self.trigger is Trigger.ALWAYS:
            return None
        if self.trigger is Trigger.EVERY:
            return self.seconds * (elapsed // self.seconds + 1) - elapsed
        return self.seconds - elapsed if elapsed < self.seconds else None


@dataclass(frozen=True)
class Fault:
    """One line of a script.

    Attributes:
        kind: what goes wrong.
        schedule: when.
        numbers: its settings, complete.
        target: URL to which a redirect points.
        device: number of the device, from 1; None: all.
        optic: number of the optic, from 1; None: all.
    """

    kind: FaultKind
    schedule: Schedule = Schedule()
    numbers: Mapping[str, float] = field(default_factory=dict)
    target: str = ""
    device: int | None = None
    optic: int | None = None


@dataclass(frozen=True)
class Faults:
    """All faults of something: of a script, of a device, of an optic.

    Attributes:
        all: in the order of the script; where two exclude each other the later one wins.
    """

    all: tuple[Fault, ...] = ()

    def of(self, *, device: int, optic: int | None = None) -> Faults:
        """Those that concern a device or, if an optic is given, that optic of it."""
        return Faults(
            tuple(
                fault
                for fault in self.all
                if fault.device in {None, device} and (optic is None or fault.optic in {None, optic})
            )
        )

    def of_kinds(self, kinds: Collection[FaultKind]) -> tuple[Fault, ...]:
        """Those of some kinds, in order."""
        return tuple(fault for fault in self.all if fault.kind in kinds)

    def active(self, kind: FaultKind, moment: Moment) -> Fault | None:
        """The fault of a kind that is there at a moment."""
        found = [fault for fault in self.of_kinds({kind}) if fault.schedule.is_active(moment)]
        return found[-1] if found else None

    def clock_error(self, moment: Moment) -> float:
        """By how many seconds the camera's wall clock is ahead, from drift and jumps."""
        drift = sum(
            fault.numbers["rate"] * fault.schedule.active_seconds(moment)
            for fault in self.of_kinds({FaultKind.CLOCK_DRIFT})
        )
        return drift + self._jumps(FaultKind.CLOCK_JUMP, moment)

    def timestamp_offset(self, moment: Moment) -> float:
        """By how many seconds RTP timestamps have jumped ahead."""
        return self._jumps(FaultKind.PTS_JUMP, moment)

    def _jumps(self, kind: FaultKind, moment: Moment) -> float:
        jumps = (fault.numbers["seconds"] * fault.schedule.occurrences(moment) for fault in self.of_kinds({kind}))
        return sum(jumps)

    def seconds_until_cut(self, kinds: Collection[FaultKind], moment: Moment) -> float | None:
        """Seconds until the next fault of some kinds begins; None if none will."""
        waits = [fault.schedule.seconds_until_next(moment) for fault in self.of_kinds(kinds)]
        return min((wait for wait in waits if wait is not None), default=None)


NO_FAULTS: Final = Faults()
"""Of a camera that behaves."""
