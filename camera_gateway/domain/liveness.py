"""The life of one optic's connection: a transition table, its timeouts, and the wait before the next dial.

Everything that decides when an optic is dialled again lives here. The machine does no I/O: whoever drives it says what
happened and at what monotonic time (seconds), and reads the state, the deadline and the time of the next dial.
"""

from __future__ import annotations

import dataclasses
import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class State(enum.Enum):
    """Where the connection of one optic stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    WAITING_FIRST_FRAME = "waiting_first_frame"
    STREAMING = "streaming"
    BACKING_OFF = "backing_off"
    REFUSED = "refused"
    STOPPED = "stopped"


class Event(enum.Enum):
    """What can happen to the connection of one optic."""

    DIAL = "dial"
    CONNECTED = "connected"
    FRAME = "frame"
    FAILED = "failed"
    REFUSED = "refused"
    STOP = "stop"


class Reason(enum.Enum):
    """Why an optic is not streaming."""

    CONNECT_TIMEOUT = "connect_timeout"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    NO_FIRST_FRAME = "no_first_frame"
    STALL = "stall"
    PROTOCOL_ERROR = "protocol_error"
    DECODE_ERRORS = "decode_errors"
    END_OF_STREAM = "end_of_stream"
    ADDRESS_OUTSIDE_CAMERA_NETWORKS = "address_outside_camera_networks"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    UNSUPPORTED_CODEC = "unsupported_codec"
    INTERNAL = "internal"
    LEASE_ENDED = "lease_ended"
    SHUTDOWN = "shutdown"


POLICY_REFUSALS: Final = frozenset({Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS, Reason.UNSUPPORTED_CODEC})
"""Reasons that dialling sooner cannot heal: the optic waits the longest time before it is tried again."""

# A pair that is not listed changes nothing: a frame or a failure that arrives after the session was
# given up belongs to the past.
TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.IDLE, Event.DIAL): State.CONNECTING,
        (State.IDLE, Event.STOP): State.STOPPED,
        (State.CONNECTING, Event.CONNECTED): State.WAITING_FIRST_FRAME,
        (State.CONNECTING, Event.FAILED): State.BACKING_OFF,
        (State.CONNECTING, Event.REFUSED): State.REFUSED,
        (State.CONNECTING, Event.STOP): State.STOPPED,
        (State.WAITING_FIRST_FRAME, Event.FRAME): State.STREAMING,
        (State.WAITING_FIRST_FRAME, Event.FAILED): State.BACKING_OFF,
        (State.WAITING_FIRST_FRAME, Event.REFUSED): State.REFUSED,
        (State.WAITING_FIRST_FRAME, Event.STOP): State.STOPPED,
        (State.STREAMING, Event.FRAME): State.STREAMING,
        (State.STREAMING, Event.FAILED): State.BACKING_OFF,
        (State.STREAMING, Event.REFUSED): State.REFUSED,
        (State.STREAMING, Event.STOP): State.STOPPED,
        (State.BACKING_OFF, Event.DIAL): State.CONNECTING,
        (State.BACKING_OFF, Event.STOP): State.STOPPED,
        (State.REFUSED, Event.DIAL): State.CONNECTING,
        (State.REFUSED, Event.STOP): State.STOPPED,
    }
)

OVERDUE_INTERVALS: Final = 3.0
"""After so many of the intervals in which pictures are wanted, one that did not come will not come."""

LONGEST_OVERDUE: Final = 30.0
"""However seldom pictures are wanted, seconds: three windows of `DecodeEffort`, which learns how often they come."""

EXPIRY_REASON: Final[Mapping[State, Reason]] = MappingProxyType(
    {
        State.CONNECTING: Reason.CONNECT_TIMEOUT,
        State.WAITING_FIRST_FRAME: Reason.NO_FIRST_FRAME,
        State.STREAMING: Reason.STALL,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each state may last without progress, in seconds; ``None`` is for ever (a camera that dials us)."""

    connect: float | None = 10.0
    first_frame: float = 10.0
    stall: float = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Jittered exponential wait before the next dial, in seconds.

    The wait after the n-th failure in a row is uniform in [shortest, min(longest, shortest * 2**n)]: full jitter, so
    that cameras which fell together do not return together. A connection that was healthy for ``healthy_after``
    seconds starts again at the beginning.
    """

    shortest: float = 1.0
    longest: float = 60.0
    healthy_after: float = 60.0

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """The wait after ``failures`` (>= 1) failures in a row; ``random`` gives numbers in [0, 1)."""
        # 2.0**1024 overflows; the ceiling is reached long before.
        ceiling = min(self.longest, self.shortest * 2.0 ** min(failures, 32))
        return self.shortest + (ceiling - self.shortest) * random()


class Liveness:
    """The connection state of one optic. Times are monotonic seconds given by the caller."""

    def __init__(self, timeouts: Timeouts, backoff: Backoff, random: Callable[[], float]) -> None:
        self._timeouts = timeouts
        self._backoff = backoff
        self._random = random
        self._failures = 0
        self._streaming_since: float | None = None
        self.state = State.IDLE
        self.reason: Reason | None = None
        self.deadline: float | None = None
        """When the current state expires, or None."""
        self.retry_at: float | None = None
        """When the optic is to be dialled again, or None."""
        self._broken = False
        self._last_frame = float("-inf")
        self._last_sign = float("-inf")
        self._overdue = 0.0

    @property
    def failures(self) -> int:
        """Failures in a row since the last healthy connection."""
        return self._failures

    def apply(self, event: Event, now: float, reason: Reason | None = None) -> bool:
        """Take one event at ``now``; True when it changed the state.

        Raises:
            ValueError: a failure, a refusal or a stop came without its reason.
        """
        if event in (Event.FAILED, Event.REFUSED, Event.STOP) and reason is None:
            raise ValueError(f"{event.value} needs a reason")
        target = TRANSITIONS.get((self.state, event))
        if target is None:
            return False
        changed, self.state = target is not self.state, target
        if reason is not None:
            self.reason = reason
        self._enter(target, now, changed=changed)
        return changed

    def fail(self, reason: Reason, now: float) -> bool:
        """The connection failed, or was refused by policy, for ``reason``."""
        return self.apply(Event.REFUSED if reason in POLICY_REFUSALS else Event.FAILED, now, reason)

    def on_broken(self) -> None:
        """Something came that does not decode: if the state expires before a frame comes, that is the reason."""
        self._broken = True

    def on_skipped(self, now: float, rate: float) -> None:
        """Something came that nobody needs decoded: a sign of life, but only until a picture is overdue.

        What is not decoded may be anything. So much is left out only where pictures come at ``rate`` without it.

        Args:
            now: when it came.
            rate: decoded pictures per second that are wanted.
        """
        self._on_sign(now, OVERDUE_INTERVALS / rate if rate > 0 else LONGEST_OVERDUE)

    def on_undelivered(self, now: float) -> None:
        """What came did not reach the decoder: packets were lost on the way, or the decoder is behind.

        The camera sends: dialling again would cost pictures and mend nothing.
        """
        self._on_sign(now, LONGEST_OVERDUE)

    def _on_sign(self, now: float, overdue: float) -> None:
        if self.state is not State.STREAMING:
            return
        self._last_sign = now
        # The longest since the last picture: when the rate rises, the next may still be as far away as before.
        self._overdue = max(self._overdue, self._timeouts.stall, min(overdue, LONGEST_OVERDUE))
        self.deadline = min(now + self._timeouts.stall, self._last_frame + self._overdue)

    def expire(self, now: float) -> bool:
        """Fail with the state's own timeout reason when its deadline has passed; True when it did."""
        if self.deadline is None or now < self.deadline:
            return False
        # A camera that hangs was skipped just before, too: what came must have gone on.
        came = self._broken or self._last_sign > self.deadline - 0.5 * self._timeouts.stall
        undecodable = came and self.state is not State.CONNECTING
        return self.fail(Reason.DECODE_ERRORS if undecodable else EXPIRY_REASON[self.state], now)

    def _enter(self, state: State, now: float, *, changed: bool) -> None:
        self.deadline = self._deadline(state, now)
        self.retry_at = None
        self._broken = False
        self._last_sign = float("-inf")
        if state is State.STREAMING:
            self._last_frame, self._overdue = now, 0.0
            if changed:
                self._streaming_since, self.reason = now, None
            return
        healthy = self._streaming_since is not None and now - self._streaming_since >= self._backoff.healthy_after
        self._streaming_since = None
        if healthy:
            self._failures = 0
        if state is State.BACKING_OFF:
            self._failures += 1
            self.retry_at = now + self._backoff.delay(self._failures, self._random)
        elif state is State.REFUSED:
            self._failures += 1
            # Half of the longest wait is kept as jitter, for the day that a whole network is refused by mistake.
            self.retry_at = now + self._backoff.longest * (0.5 + 0.5 * self._random())

    def _deadline(self, state: State, now: float) -> float | None:
        match state:
            case State.CONNECTING:
                return None if self._timeouts.connect is None else now + self._timeouts.connect
            case State.WAITING_FIRST_FRAME:
                return now + self._timeouts.first_frame
            case State.STREAMING:
                return now + self._timeouts.stall
            case _:
                return None
