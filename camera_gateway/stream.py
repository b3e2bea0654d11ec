"""One stream of a device: a connection and the optics that look at what comes over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from camera_gateway.connection import Connection
from camera_gateway.views import View, Views

if TYPE_CHECKING:
    from camera_gateway.domain.crop import Crop
    from camera_gateway.domain.liveness import Liveness, Reason
    from camera_gateway.domain.sight import Change
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.sources import Picture, Source
    from camera_gateway.turns import Turns


class Optic(Protocol):
    """One optic that looks at the stream; called on the event loop."""

    crop: Crop

    def on_state(self) -> None:
        """The connection's state changed."""

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """That many pictures came; the optic's part of them has this size in pixels."""

    def on_skipped(self, units: int) -> None:
        """That many coded pictures came that nobody needs decoded."""

    def on_broken(self, units: int) -> None:
        """That many coded pictures did not decode."""

    def on_dropped(self, reason: str, count: int) -> None:
        """Pictures were dropped."""

    def on_picture(self, picture: Picture) -> None:
        """A picture is wanted for analysis."""

    def on_sight(self, changes: list[Change]) -> None:
        """What it can see has changed."""


class StreamListener(Protocol):
    """Hears of a stream as a whole."""

    def on_stream_state(self, stream: Stream) -> None:
        """Its connection changed its state."""

    def on_stream_clock(self, stream: Stream, drift: float) -> None:
        """Its camera told its clock; see `CaptureClock.drift`."""


class Stream:
    """Keeps one source running and shares what it brings among the optics.

    Args:
        name: for the log: device and path.
        source: where the pictures come from; it reads ``views``.
        views: of the optics.
        liveness: the machine of the connection.
        listener: hears of the stream as a whole.
        metrics: of the process.
        turns: see `Connection`.
    """

    def __init__(  # the composition root names each part
        self,
        name: str,
        source: Source,
        views: Views,
        *,
        liveness: Liveness,
        listener: StreamListener,
        metrics: GatewayMetrics,
        turns: tuple[Turns, str] | None,
    ) -> None:
        self.name = name
        self.source = source
        self.liveness = liveness
        self._views = views
        self._listener = listener
        self._metrics = metrics
        self._optics: dict[str, Optic] = {}
        self.connection = Connection(name, source, liveness, self, self._changed, turns, lambda: views.rate)

    @property
    def optics(self) -> tuple[str, ...]:
        """The optics that look at it."""
        return tuple(self._optics)

    async def run(self) -> None:
        """Work until cancelled."""
        await self.connection.run()

    def attach(self, name: str, optic: Optic, view: View) -> None:
        """``optic`` looks at the stream, or looks otherwise, from now on."""
        self._optics[name] = optic
        self._views.put(name, view)

    def detach(self, name: str) -> None:
        """The optic no longer looks."""
        self._optics.pop(name, None)
        self._views.remove(name)

    def stop(self, reason: Reason) -> None:
        """Say why it ends; the caller cancels `run`."""
        self.connection.stop(reason)

    def _changed(self) -> None:
        for optic in self._optics.values():
            optic.on_state()
        self._listener.on_stream_state(self)

    def on_connected(self) -> None:
        """See `Listener`."""

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Listener`."""
        for optic in self._optics.values():
            optic.on_received(pictures, *optic.crop.pixels(width, height)[2:])

    def on_skipped(self, units: int) -> None:
        """See `Listener`."""
        for optic in self._optics.values():
            optic.on_skipped(units)

    def on_broken(self, units: int) -> None:
        """See `Listener`."""
        for optic in self._optics.values():
            optic.on_broken(units)

    def on_dropped(self, reason: str, count: int) -> None:
        """See `Listener`."""
        for optic in self._optics.values():
            optic.on_dropped(reason, count)

    def on_lost(self, packets: int) -> None:
        """See `Listener`."""
        for optic in self._optics:
            self._metrics.packets_lost.labels(optic).inc(packets)

    def on_left_out(self, kind: str) -> None:
        """See `Listener`."""
        self._metrics.left_out.labels(kind).inc()

    def on_clock(self, drift: float) -> None:
        """See `Listener`."""
        self._listener.on_stream_clock(self, drift)

    def on_held_back(self, optic: str, reason: str, count: int) -> None:
        """See `Listener`."""
        if (held := self._optics.get(optic)) is not None:
            held.on_dropped(reason, count)

    def on_sight(self, optic: str, changes: list[Change]) -> None:
        """See `Listener`."""
        if (held := self._optics.get(optic)) is not None:
            held.on_sight(changes)

    def on_picture(self, optic: str, picture: Picture) -> None:
        """See `Listener`."""
        if (held := self._optics.get(optic)) is not None:
            held.on_picture(picture)
