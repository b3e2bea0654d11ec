"""Which frames the model looks at next. Pure: time is an argument.

A live optic has one place: its newest frame; an older one that still waits is passed over. An optic that wants every
frame looked at has a queue, whose sender waits for its verdicts. The optic that was served longest ago comes first,
so that a fast one never starves a slow one, whatever the order in which their frames arrive.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchingParameters:
    """How batches are made. Times in seconds.

    Attributes:
        most_frames: the largest batch.
        fill_seconds: how long a frame may wait for others to share its batch.
        budget_seconds: how long a live frame may be without an answer; one that would be is passed over.
        most_waiting: places in the queue of an optic that wants every frame.
    """

    most_frames: int = 1
    fill_seconds: float = 0.0
    budget_seconds: float = 0.5
    most_waiting: int = 8


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    shape: Hashable
    arrived: float
    number: int


@dataclass(slots=True)
class _Optic(Generic[T]):
    every_frame: bool
    served: int
    """When one of its frames was last taken, counted in frames taken."""
    waiting: deque[_Waiting[T]] = field(default_factory=deque)


class ExpectedTime:
    """How long something will take at most, nearly always: the mean of what it took, and its scatter four times.

    Both are smoothed as the round-trip time of TCP is (RFC 6298, section 2).
    """

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0

    @property
    def seconds(self) -> float:
        """0 before it has been measured."""
        return 0.0 if self._mean is None else self._mean + 4.0 * self._deviation

    def take(self, seconds: float) -> None:
        """One more measurement."""
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
        self._mean += (seconds - self._mean) / 8


class BatchQueue(Generic[T]):
    """Frames that wait for the model.

    Args:
        parameters: see BatchingParameters.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self._parameters = parameters
        self._optics: dict[Hashable, _Optic[T]] = {}
        self._taken = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return sum(len(optic.waiting) for optic in self._optics.values())

    def open(self, key: Hashable, *, every_frame: bool) -> None:
        """Admit an optic's stream under a key of its own. It begins behind all that are waiting."""
        self._optics[key] = _Optic(every_frame, self._taken)

    def close(self, key: Hashable) -> list[T]:
        """Forget a stream; what of it was still waiting."""
        optic = self._optics.pop(key)
        return [waiting.item for waiting in optic.waiting]

    def has_room(self, key: Hashable) -> bool:
        """Whether this stream may offer a frame; a live one always may."""
        optic = self._optics[key]
        return not optic.every_frame or len(optic.waiting) < self._parameters.most_waiting

    def offer(self, key: Hashable, item: T, *, shape: Hashable, now: float) -> list[T]:
        """Add a frame.

        Args:
            key: its stream.
            item: the frame.
            shape: frames of one batch have equal shapes.
            now: seconds, of any clock that does not run backwards.

        Returns:
            The frames that are passed over for it.

        Raises:
            ValueError: the stream has no room.
        """
        if not self.has_room(key):
            raise ValueError("the stream has as many frames waiting as it may")
        optic = self._optics[key]
        passed_over = [] if optic.every_frame else [waiting.item for waiting in optic.waiting]
        if passed_over:
            optic.waiting.clear()
        self._arrivals += 1
        optic.waiting.append(_Waiting(item, shape, now, self._arrivals))
        return passed_over

    def expire(self, now: float, *, ahead: float = 0.0) -> list[T]:
        """Take out the live frames that could not be answered within their budget any more.

        Args:
            now: see offer.
            ahead: for how long a frame that is taken now is looked at, with what lies before it, seconds. More than
                half of the budget counts as half: a model that is too slow for its budget looks at what it can.
        """
        budget = self._parameters.budget_seconds
        longest = budget - min(ahead, budget / 2)
        late: list[T] = []
        for optic in self._optics.values():
            waiting = [] if optic.every_frame else [*optic.waiting]
            if waiting and now - waiting[0].arrived > longest:
                late.append(optic.waiting.popleft().item)
        return late

    def take(self, now: float, *, only_full: bool = False) -> list[T]:
        """The next batch; empty when there is nothing to do yet.

        Args:
            now: see offer.
            only_full: a batch with room for more is left to fill, however long its frames have waited.
        """
        queue = self._queue()
        if not queue:
            return []
        shape = queue[0][1].shape
        chosen = [(optic, waiting) for optic, waiting in queue if waiting.shape == shape]
        chosen = chosen[: self._parameters.most_frames]
        full = len(chosen) == self._parameters.most_frames
        if not full and (only_full or now - chosen[0][1].arrived < self._parameters.fill_seconds):
            return []
        for optic, waiting in chosen:
            self._taken += 1
            optic.waiting.remove(waiting)
            optic.served = self._taken
        return [waiting.item for _, waiting in chosen]

    def next_change(self) -> float | None:
        """When `take` will give something at the latest, if nothing else arrives; None when nothing waits."""
        queue = self._queue()
        return queue[0][1].arrived + self._parameters.fill_seconds if queue else None

    def _queue(self) -> list[tuple[_Optic[T], _Waiting[T]]]:
        """Every waiting frame in the order in which they are due: round by round, longest unserved optic first."""
        due = [
            (round_number, optic.served, waiting.number, optic, waiting)
            for optic in self._optics.values()
            for round_number, waiting in enumerate(optic.waiting)
        ]
        return [(entry[3], entry[4]) for entry in sorted(due, key=lambda entry: entry[:3])]
