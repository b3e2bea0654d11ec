"""What a camera looks like to the rest of the gateway, whatever it speaks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from camera_gateway.domain.clock import CaptureTime
    from camera_gateway.domain.liveness import Reason


class SourceError(Exception):
    """The source ended or refused; ``detail`` is for a log and holds neither URL nor credentials."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """One picture at the analysis size.

    Attributes:
        i420: the Y, U and V planes without padding, limited range, 8 bit; width * height * 3 / 2 bytes.
        width: pixels, even.
        height: pixels, even.
        capture_time: when it was captured.
        arrival: when its last byte arrived at the gateway, monotonic seconds.
    """

    i420: bytes = dataclasses.field(repr=False)
    width: int
    height: int
    capture_time: CaptureTime
    arrival: float


@dataclasses.dataclass(slots=True)
class Outcome:
    """What became of one access unit or decoded frame.

    Attributes:
        decoded: pictures that came out of the decoder.
        width: their width in pixels, as the camera sends them.
        height: their height.
        failed: access units that the decoder refused.
        picture: the one that is wanted for analysis.
        dropped: pictures left out, by reason.
    """

    decoded: int = 0
    width: int = 0
    height: int = 0
    failed: int = 0
    picture: Picture | None = None
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)


class Listener(Protocol):
    """Hears what a source does; called on the event loop."""

    def on_connected(self) -> None:
        """The camera accepted the session; no picture yet."""

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """That many pictures were received and decoded, of this size in pixels."""

    def on_broken(self, units: int) -> None:
        """That many coded pictures came and did not decode."""

    def on_picture(self, picture: Picture) -> None:
        """One of them is wanted for analysis."""

    def on_dropped(self, reason: str, count: int) -> None:
        """Coded or decoded pictures were dropped; ``reason`` is a constant of the metrics."""


class Source(Protocol):
    """A camera session: runs until it fails or is cancelled; can be run again."""

    async def run(self, listener: Listener) -> None:
        """Connect and deliver pictures.

        Raises:
            SourceError: the session ended for a named reason.
        """


def deliver(outcome: Outcome, listener: Listener) -> None:
    """Tell a listener what a pool thread did."""
    if outcome.failed:
        listener.on_broken(outcome.failed)
    if outcome.decoded:
        listener.on_received(outcome.decoded, outcome.width, outcome.height)
    for reason, count in outcome.dropped.items():
        listener.on_dropped(reason, count)
    if outcome.picture is not None:
        listener.on_picture(outcome.picture)
