"""One optic at work: its connection, its road, its tally."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from camera_gateway import packing
from camera_gateway.connection import Connection
from camera_gateway.domain.coverage import Stage
from camera_gateway.domain.liveness import Liveness, Reason, State
from camera_gateway.road import Peers, Road
from camera_gateway.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from argo.registry.v1 import lease_service_pb2 as lease
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.sources import Picture, Source

ADVICE = {
    Reason.CONNECT_TIMEOUT: "the camera does not answer: check its power, its address and the network",
    Reason.UNREACHABLE: "nothing listens there: check the address and the port",
    Reason.UNAUTHORIZED: "the camera refuses the user or the password: check the named secret",
    Reason.NOT_FOUND: "the camera has no such stream: check the stream path in the registry",
    Reason.REJECTED: "the camera refuses the session: it may serve too many clients already",
    Reason.NO_FIRST_FRAME: "the camera accepts and sends no picture: restart it",
    Reason.STALL: "pictures stopped: the camera or the network hangs",
    Reason.PROTOCOL_ERROR: "what answers there does not speak RTSP",
    Reason.DECODE_ERRORS: "what comes does not decode: check the camera's encoder",
    Reason.END_OF_STREAM: "the camera ended the stream",
    Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS: "the address is outside the configured camera networks and is not dialled",
    Reason.UNSUPPORTED_CODEC: "set the camera to H.264 or H.265",
    Reason.INTERNAL: "an error of the gateway: see its log",
    Reason.LEASE_ENDED: "the registry no longer leases this optic",
    Reason.SHUTDOWN: "the gateway is stopping",
}


class OpticSession:
    """Runs one optic under one lease.

    Args:
        configuration: of the optic.
        source: where its pictures come from.
        liveness: the machine of the connection.
        peers: the detector and the anonymizer.
        metrics: of the process.
        verdict_seconds: how long a picture waits for its verdict.
        on_change: called with the optic after each change of state.
    """

    def __init__(  # the composition root names each part
        self,
        configuration: lease.OpticConfiguration,
        source: Source,
        *,
        liveness: Liveness,
        peers: Peers,
        metrics: GatewayMetrics,
        verdict_seconds: float,
        on_change: Callable[[str], None],
    ) -> None:
        self.configuration = configuration
        self.optic = configuration.optic
        self.source = source
        self.tally = Tally(self.optic, metrics)
        self._metrics = metrics
        self._notify = on_change
        self._road = Road(configuration, peers, self.tally, verdict_seconds)
        self.liveness = liveness
        self._connection = Connection(self.optic, source, self.liveness, self, self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run(), name=f"connection {self.optic}")
            group.create_task(self._road.run(), name=f"road {self.optic}")

    def configure(self, configuration: lease.OpticConfiguration) -> None:
        """Go on under a new configuration, from the next picture."""
        self.configuration = configuration
        self._road.configure(configuration)

    def stop(self, reason: Reason) -> None:
        """Say why the session ends; the caller cancels `run`."""
        self._connection.stop(reason)
        self._metrics.forget(self.optic)

    def describe(self, now: float) -> gateway.Session:
        """The session as the contract shows it, at Unix time ``now``."""
        reason = self.liveness.reason if self.liveness.state is not State.STREAMING else None
        advice = ADVICE[reason] if reason is not None else ""
        counters = gateway.Counters(current_tracks=self.tally.tracks.current, tracks=self.tally.tracks.total)
        for name in self.tally.counts.__slots__:
            setattr(counters, name, getattr(self.tally.counts, name))
        return gateway.Session(
            optic=self.optic,
            state=packing.state(self.liveness.state),
            reason="" if reason is None else reason.value.upper(),
            detail=f"{advice} ({self._connection.detail})" if advice and self._connection.detail else advice,
            state_time=packing.timestamp(self._connection.state_time),
            attempts=self._connection.attempts,
            counters=counters,
            width=self.tally.width,
            height=self.tally.height,
            coverage=packing.coverage(self.tally.coverage.total(now)),
        )

    def _changed(self) -> None:
        state, reason = self.liveness.state, self.liveness.reason
        self._metrics.set_state(self.optic, state)
        lost = reason.value if reason is not None else state.value
        for stage in Stage:
            self.tally.coverage.explain(stage, "gap" if state is State.STREAMING else lost)
        self._notify(self.optic)

    def on_connected(self) -> None:
        """See `Listener`."""

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Listener`."""
        self.tally.on_received(pictures, width, height)

    def on_broken(self, units: int) -> None:
        """See `Listener`."""
        self.tally.on_broken(units)

    def on_dropped(self, reason: str, count: int) -> None:
        """See `Listener`."""
        self.tally.on_dropped(reason, count)

    def on_picture(self, picture: Picture) -> None:
        """See `Listener`."""
        self._road.put(picture)
