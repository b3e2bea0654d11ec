"""What a camera looks like to the rest of the gateway, whatever it speaks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from camera_gateway.domain.clock import CaptureTime
    from camera_gateway.domain.liveness import Reason
    from camera_gateway.domain.sight import Change


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
        pack: makes `i420`; not called before, so that a picture which gives way to a newer one is never copied.
        width: pixels, even.
        height: pixels, even.
        capture_time: when it was captured.
        arrival: when its last byte arrived at the gateway, monotonic seconds.
    """

    pack: Callable[[], bytes] = dataclasses.field(repr=False)
    width: int
    height: int
    capture_time: CaptureTime
    arrival: float

    @property
    def i420(self) -> bytes:
        """The Y, U and V planes without padding, limited range, 8 bit; width * height * 3 / 2 bytes."""
        return self.pack()


@dataclasses.dataclass(slots=True)
class Outcome:
    """What became of a few coded pictures or of a decoded one.

    Attributes:
        decoded: pictures that came out of the decoder.
        width: their width in pixels, as the camera sends them.
        height: their height.
        failed: access units that the decoder refused.
        wanted: what makes the newest picture that is wanted for analysis, by optic: several optics may share a stream.
        pictures: those, once `settle` has made them.
        superseded: how many gave way to a newer one, by optic.
        still: pictures held back because nothing moved, by optic.
        shed: pictures left out because there is not enough computing power, by optic.
        sights: what changed in what an optic can see.
        dropped: pictures left out for all optics, by reason.
    """

    decoded: int = 0
    width: int = 0
    height: int = 0
    failed: int = 0
    wanted: dict[str, Callable[[], Picture]] = dataclasses.field(default_factory=dict, repr=False)
    pictures: dict[str, Picture] = dataclasses.field(default_factory=dict)
    superseded: dict[str, int] = dataclasses.field(default_factory=dict)
    still: dict[str, int] = dataclasses.field(default_factory=dict)
    shed: dict[str, int] = dataclasses.field(default_factory=dict)
    sights: dict[str, list[Change]] = dataclasses.field(default_factory=dict)
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)

    def want(self, optic: str, make: Callable[[], Picture]) -> None:
        """A picture is wanted for the analysis of ``optic``: an older one would be late beside it and is not made."""
        if optic in self.wanted:
            self.superseded[optic] = self.superseded.get(optic, 0) + 1
        self.wanted[optic] = make

    def settle(self) -> None:
        """Nothing more comes: make the pictures. On the thread that decoded them, since some must be scaled."""
        self.pictures = {optic: make() for optic, make in self.wanted.items()}
        self.wanted.clear()

    def drop(self, reason: str) -> None:
        """One more picture was left out for ``reason``."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class Listener(Protocol):
    """Hears what a source does; called on the event loop."""

    def on_connected(self) -> None:
        """The camera accepted the session; no picture yet."""

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """That many pictures were received and decoded, of this size in pixels."""

    def on_broken(self, units: int) -> None:
        """That many coded pictures came and did not decode."""

    def on_picture(self, optic: str, picture: Picture) -> None:
        """One of them is wanted for the analysis of ``optic``."""

    def on_held_back(self, optic: str, reason: str, count: int) -> None:
        """That many were held back from the analysis of ``optic``: "still", "shed" or "superseded"."""

    def on_sight(self, optic: str, changes: list[Change]) -> None:
        """What ``optic`` can see has changed."""

    def on_skipped(self, units: int) -> None:
        """That many coded pictures came that nobody needs decoded."""

    def on_dropped(self, reason: str, count: int) -> None:
        """Coded or decoded pictures were dropped; ``reason`` is a constant of the metrics."""

    def on_lost(self, packets: int) -> None:
        """That many packets were lost on the way."""

    def on_left_out(self, kind: str) -> None:
        """The camera offers a track that is not taken: "audio", "metadata", "video" or "other"."""

    def on_clock(self, drift: float) -> None:
        """The camera told its clock; see `CaptureClock.drift`."""


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
    held_back = {"still": outcome.still, "shed": outcome.shed, "superseded": outcome.superseded}
    for reason, counts in held_back.items():
        for optic, count in counts.items():
            listener.on_held_back(optic, reason, count)
    for optic, changes in outcome.sights.items():
        listener.on_sight(optic, changes)
    for optic, picture in outcome.pictures.items():
        listener.on_picture(optic, picture)
