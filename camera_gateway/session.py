"""One optic at work: its stream, its road, its tally."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Final

import structlog

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.registry.v1 import scene_pb2
from camera_gateway import packing
from camera_gateway.attention import Attention
from camera_gateway.domain.coverage import Stage
from camera_gateway.domain.crop import WHOLE, Crop
from camera_gateway.domain.liveness import Liveness, Reason, State
from camera_gateway.domain.sharing import Pace
from camera_gateway.road import Peers, Road
from camera_gateway.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from argo.registry.v1 import lease_service_pb2 as lease
    from camera_gateway.domain.sight import Change
    from camera_gateway.incidents import DeviceIncidents
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.sources import Picture, Source
    from camera_gateway.stream import Stream

log = structlog.get_logger(__name__)

DEFAULT_RATE: Final = 5.0

ADVICE = {
    Reason.CONNECT_TIMEOUT: "the camera does not answer: check its power, its address and the network",
    Reason.UNREACHABLE: "nothing listens there: check the address and the port",
    Reason.UNAUTHORIZED: "the camera refuses the user or the password: check the named secret",
    Reason.NOT_FOUND: "the camera has no such stream: check the stream path in the registry",
    Reason.REJECTED: "the camera refuses the session: it may serve too many clients already",
    Reason.NO_FIRST_FRAME: "the camera accepts and sends no picture: restart it",
    Reason.STALL: "pictures stopped: the camera or the network hangs",
    Reason.PROTOCOL_ERROR: "what answers there does not speak the camera's protocol",
    Reason.DECODE_ERRORS: "what comes does not decode: look at the packets lost on its way, then at its encoder",
    Reason.END_OF_STREAM: "the camera ended the stream",
    Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS: "the address is outside the configured camera networks and is not dialled",
    Reason.UNSUPPORTED_CODEC: "set the camera to H.264 or H.265",
    Reason.CERTIFICATE_UNTRUSTED: "its certificate is neither the pinned one nor signed by a trusted authority",
    Reason.INTERNAL: "an error of the gateway: see its log",
    Reason.LEASE_ENDED: "the registry no longer leases this optic",
    Reason.SHUTDOWN: "the gateway is stopping",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Times:
    """What holds for all optics of a process.

    Attributes:
        verdict_seconds: how long a picture waits for its verdict.
        heartbeat: analysed pictures per second of a still scene, where the policy does not say.
    """

    verdict_seconds: float
    heartbeat: float


class OpticSession:
    """Runs one optic under one lease.

    Args:
        configuration: of the optic.
        stream: what it looks at, maybe together with others.
        incidents: of its device.
        peers: the detector and the anonymizer.
        metrics: of the process.
        times: of the process.
        on_change: called with the optic after each change of state.
    """

    def __init__(  # the composition root names each part
        self,
        configuration: lease.OpticConfiguration,
        stream: Stream,
        incidents: DeviceIncidents,
        *,
        peers: Peers,
        metrics: GatewayMetrics,
        times: Times,
        on_change: Callable[[str], None],
    ) -> None:
        self.configuration = configuration
        self.optic = configuration.optic
        self.crop = crop_of(configuration)
        self.stream = stream
        self.incidents = incidents
        self.tally = Tally(self.optic, metrics)
        self.attention = Attention()
        self._heartbeat = times.heartbeat
        self._metrics = metrics
        self._notify = on_change
        self._road = Road(configuration, peers, self.tally, times.verdict_seconds)

    @property
    def pace(self) -> Pace:
        """How often its policy wants it analysed."""
        policy = self.configuration.policy
        rate = policy.analysed_frame_rate or DEFAULT_RATE
        return Pace(rate, min(rate, policy.heartbeat_frame_rate or self._heartbeat), int(policy.priority))

    @property
    def source(self) -> Source:
        """Where its pictures come from."""
        return self.stream.source

    @property
    def liveness(self) -> Liveness:
        """The machine of its stream's connection."""
        return self.stream.liveness

    async def run(self) -> None:
        """Work until cancelled."""
        await self._road.run()

    def configure(self, configuration: lease.OpticConfiguration) -> None:
        """Go on under a new configuration, from the next picture."""
        if _scene(configuration) != _scene(self.configuration):
            self.attention.relearn()
        self.configuration = configuration
        self.crop = crop_of(configuration)
        self._road.configure(configuration)

    def stop(self) -> None:
        """It is no longer worked on; the caller cancels `run`."""
        self._metrics.forget(self.optic)

    def describe(self, now: float) -> gateway.Session:
        """The session as the contract shows it, at Unix time ``now``."""
        connection = self.stream.connection
        reason = self.liveness.reason if self.liveness.state is not State.STREAMING else None
        advice = ADVICE[reason] if reason is not None else ""
        counters = gateway.Counters(current_tracks=self.tally.tracks.current, tracks=self.tally.tracks.total)
        for name in self.tally.counts.__slots__:
            setattr(counters, name, getattr(self.tally.counts, name))
        return gateway.Session(
            optic=self.optic,
            state=packing.state(self.liveness.state),
            reason="" if reason is None else reason.value.upper(),
            detail=f"{advice} ({connection.detail})" if advice and connection.detail else advice,
            state_time=packing.timestamp(connection.state_time),
            attempts=connection.attempts,
            counters=counters,
            width=self.tally.width,
            height=self.tally.height,
            coverage=packing.coverage(self.tally.coverage.total(now)),
        )

    def on_state(self) -> None:
        """See `Optic`."""
        state, reason = self.liveness.state, self.liveness.reason
        self._metrics.set_state(self.optic, state)
        lost = reason.value if reason is not None else state.value
        for stage in Stage:
            self.tally.coverage.explain(stage, "gap" if state is State.STREAMING else lost)
        self._notify(self.optic)

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Optic`."""
        self.tally.on_received(pictures, width, height)

    def on_skipped(self, units: int) -> None:
        """See `Optic`."""
        self.tally.on_skipped(units)

    def on_broken(self, units: int) -> None:
        """See `Optic`."""
        self.tally.on_broken(units)

    def on_dropped(self, reason: str, count: int) -> None:
        """See `Optic`."""
        self.tally.on_dropped(reason, count)

    def on_sight(self, changes: list[Change]) -> None:
        """See `Optic`."""
        for change in changes:
            self._metrics.set_impaired(self.optic, change.mode, present=change.present)
            if change.present:
                log.warning("optic.impaired", optic=self.optic, impairment=change.mode.value)
            else:
                seconds = round(change.lasted, 1)
                log.info("optic.sight_restored", optic=self.optic, impairment=change.mode.value, seconds=seconds)

    def on_picture(self, picture: Picture) -> None:
        """See `Optic`."""
        self.tally.on_offered(time.monotonic() - picture.arrival)
        self._road.put(picture)


def crop_of(configuration: lease.OpticConfiguration) -> Crop:
    """The optic's part of the stream's picture.

    Raises:
        ValueError: it is empty or reaches outside the picture.
    """
    if not configuration.HasField("crop"):
        return WHOLE
    box = configuration.crop
    return Crop(box.left, box.top, box.width, box.height)


def ignored_zones(configuration: lease.OpticConfiguration) -> list[scene_pb2.Zone]:
    """The zones where movement means nothing."""
    return [zone for zone in configuration.zones if zone.kind == scene_pb2.Zone.KIND_IGNORED]


def _scene(configuration: lease.OpticConfiguration) -> tuple[object, ...]:
    """What says that people have looked at the scene, or that it is another."""
    crop = configuration.crop.SerializeToString(deterministic=True) if configuration.HasField("crop") else b""
    return configuration.scene_version, configuration.mask_whole_picture, configuration.site, crop
