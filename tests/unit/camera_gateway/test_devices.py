from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import site_pb2
from argo.type.v1 import geometry_pb2
from camera_gateway.decoding import Sampler
from camera_gateway.domain.admission import Admission, Limits
from camera_gateway.domain.crop import WHOLE
from camera_gateway.domain.liveness import Backoff, Event, Liveness, Reason, Timeouts
from camera_gateway.domain.motion import MotionGate
from camera_gateway.fleet import Fleet
from camera_gateway.incidents import DeviceIncidents
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.session import OpticSession
from camera_gateway.sources import Listener, SourceError
from camera_gateway.stream import Stream
from camera_gateway.turns import Turns
from camera_gateway.views import View, Views

DEVICES = ("devices/a", "devices/b")
PATHS = ("/1", "/2")


class Camera:
    """A source that counts who is connected to it, and sends a picture at once."""

    def __init__(self, key: tuple[str, str], connected: Counter[tuple[str, str]]) -> None:
        self._key, self._connected = key, connected

    async def run(self, listener: Listener) -> None:
        self._connected[self._key] += 1
        try:
            listener.on_connected()
            listener.on_received(1, 320, 240)
            await asyncio.Event().wait()
        finally:
            self._connected[self._key] -= 1


class Gone:
    """A source that is not there."""

    async def run(self, listener: Listener) -> None:
        raise SourceError(Reason.UNREACHABLE, "no connection")


class Wandering:
    """Tells a clock that is off, and then hangs up."""

    def __init__(self, hang_up: asyncio.Event) -> None:
        self._hang_up = hang_up

    async def run(self, listener: Listener) -> None:
        listener.on_connected()
        listener.on_received(1, 320, 240)
        listener.on_clock(3.5)
        await self._hang_up.wait()
        raise SourceError(Reason.END_OF_STREAM, "")


class Session:
    """Stands in for the session of an optic, which needs a detector and an anonymizer."""

    crop = WHOLE

    def __init__(self, configuration: lease.OpticConfiguration, stream: Stream) -> None:
        self.configuration, self.stream, self.optic = configuration, stream, configuration.optic
        self.received = 0

    async def run(self) -> None:
        await asyncio.Event().wait()

    def configure(self, configuration: lease.OpticConfiguration) -> None:
        self.configuration = configuration

    def stop(self) -> None: ...

    def on_state(self) -> None: ...

    def on_received(self, pictures: int, width: int, height: int) -> None:
        self.received += pictures


class Workshop:
    """Makes streams to `Camera`."""

    def __init__(self) -> None:
        self.connected: Counter[tuple[str, str]] = Counter()
        self.made = 0
        self.metrics = GatewayMetrics(CollectorRegistry())
        self.turns = Turns(Admission(Limits()))

    def make_stream(
        self, device: lease.DeviceLease, configuration: lease.OpticConfiguration, incidents: DeviceIncidents
    ) -> Stream:
        self.made += 1
        return Stream(
            device.device,
            Camera((device.device, configuration.stream_path), self.connected),
            Views(),
            liveness=Liveness(Timeouts(), Backoff(), random.Random(1).random),
            listener=incidents,
            metrics=self.metrics,
            turns=(self.turns, configuration.site),
        )

    def make_session(
        self, configuration: lease.OpticConfiguration, stream: Stream, incidents: DeviceIncidents, on_change: Any
    ) -> OpticSession:
        return cast("OpticSession", Session(configuration, stream))

    def make_view(self, session: OpticSession) -> View:
        return View(5.0, lambda: Sampler(session.optic, MotionGate(5.0), 64))


leases = st.lists(
    st.tuples(
        st.sampled_from(DEVICES),
        st.one_of(
            st.none(),
            st.tuples(
                st.dictionaries(st.sampled_from("wxyz"), st.tuples(st.sampled_from(PATHS), st.booleans())),
                st.sampled_from(["10.0.0.1", "10.0.0.2"]),
            ),
        ),
    ),
    max_size=12,
)


def device_lease(device: str, optics: dict[str, tuple[str, bool]], address: str) -> lease.DeviceLease:
    made = lease.DeviceLease(device=device, address=address)
    for name, (path, cropped) in optics.items():
        added = made.optics.add(optic=f"{device}/optics/{name}", stream_path=path, ingest=site_pb2.Optic.INGEST_RTSP)
        if cropped:
            added.crop.CopyFrom(geometry_pb2.Box(left=0.5, top=0.0, width=0.5, height=1.0))
    return made


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@settings(max_examples=60, deadline=None)
@given(leases)
def test_no_sequence_of_leases_makes_more_than_one_session_of_an_optic_or_connection_of_a_stream(steps: Any) -> None:
    async def play() -> None:
        workshop = Workshop()
        fleet = Fleet(workshop)
        held: dict[str, dict[str, tuple[str, bool]]] = {}
        for device, change in steps:
            if change is None:
                held.pop(device, None)
                await fleet.drop(device, Reason.LEASE_ENDED)
            else:
                held[device] = change[0]
                await fleet.apply(device_lease(device, *change))
            await settle()
            wanted = {(of, path) for of, optics in held.items() for path, _ in optics.values()}
            assert {key for key, count in workshop.connected.items() if count} == wanted
            assert max(workshop.connected.values(), default=0) <= 1
            assert [session.optic for session in fleet.sessions] == sorted(
                f"{of}/optics/{name}" for of, optics in held.items() for name in optics
            )
        await fleet.close()
        await settle()
        assert not any(workshop.connected.values())
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(play())


async def test_an_optic_that_changes_restarts_alone() -> None:
    workshop = Workshop()
    fleet = Fleet(workshop)
    await fleet.apply(device_lease("devices/a", {"w": ("/1", False), "x": ("/2", False)}, "10.0.0.1"))
    await settle()
    undisturbed = fleet.session("devices/a/optics/w")

    await fleet.apply(device_lease("devices/a", {"w": ("/1", True), "x": ("/3", False)}, "10.0.0.1"))
    await settle()

    assert fleet.session("devices/a/optics/w") is undisturbed
    assert workshop.made == 3
    assert {key for key, count in workshop.connected.items() if count} == {("devices/a", "/1"), ("devices/a", "/3")}
    await fleet.close()


class Silent:
    """A stream's listener that has nothing to do."""

    def on_stream_state(self, stream: Stream) -> None: ...

    def on_stream_clock(self, stream: Stream, drift: float) -> None: ...


async def test_memory_stays_flat_through_an_outage() -> None:
    """Forty streams to cameras that are gone, each dialled hundreds of times."""
    metrics, turns = GatewayMetrics(CollectorRegistry()), Turns(Admission(Limits(total=8, per_site=2)))
    streams = [
        Stream(
            f"devices/{number}",
            Gone(),
            Views(),
            liveness=Liveness(Timeouts(), Backoff(shortest=1e-5, longest=1e-5), random.Random(number).random),
            listener=Silent(),
            metrics=metrics,
            turns=(turns, f"sites/{number % 7}"),
        )
        for number in range(40)
    ]
    tasks = [asyncio.create_task(stream.run()) for stream in streams]

    async def memory_after(attempts: int) -> int:
        while min(stream.connection.attempts for stream in streams) < attempts:
            await asyncio.sleep(0.005)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await memory_after(50)
        after = await memory_after(250)
    finally:
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Eight thousand dials; a hundred bytes kept of each would be 800 000.
    assert after - before < 100_000
    assert turns._admission.waiting == turns._admission.under_way == 0


# --- incidents


class At:
    """A clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stream_of(*optics: str) -> Stream:
    made = Workshop().make_stream(
        lease.DeviceLease(device="devices/a"), lease.OpticConfiguration(), DeviceIncidents("devices/a", lambda _: None)
    )
    for optic in optics:
        made.attach(optic, cast("Any", Session(lease.OpticConfiguration(optic=optic), made)), View(5.0, _no_sampler))
    return made


def _no_sampler() -> Sampler:
    raise AssertionError("nothing is sampled here")


@pytest.fixture
def clock() -> At:
    return At()


async def test_a_wrong_clock_is_one_event_of_the_device_and_an_impairment_of_its_optics(clock: At) -> None:
    incidents = DeviceIncidents("devices/a", lambda _: None, clock)
    streams = [stream_of("devices/a/optics/w"), stream_of("devices/a/optics/x")]
    seen: list[bool] = []
    with capture_logs() as lines:
        for drift in [0.1] * 3 + [-4.0] * 15 + [0.1] * 15:
            for stream in streams:
                incidents.on_stream_clock(stream, drift)
            seen.append(incidents.clock_is_off)
            clock.now += 1.0

    assert [line["event"] for line in lines] == ["optic.clock_drift", "optic.clock_restored"]
    assert lines[0]["behind_seconds"] == -4.0
    assert seen.index(True) == 13
    assert not seen[-1]


def lost(stream: Stream, apply: Callable[[Stream], None]) -> None:
    stream.liveness.apply(Event.DIAL, 0.0)
    stream.liveness.fail(Reason.STALL, 0.0)
    apply(stream)


async def test_the_reminder_rings_while_a_part_of_the_device_stays_lost(clock: At) -> None:
    streams = {f"devices/a/optics/{name}": stream_of(f"devices/a/optics/{name}") for name in "wx"}
    incidents = DeviceIncidents("devices/a", streams.get, clock)
    incidents.on_optics(set(streams))
    with capture_logs() as lines:
        lost(streams["devices/a/optics/w"], incidents.on_stream_state)
        clock.now = 3.1
        incidents._tick()
        clock.now = 400.0
        incidents._tick()
    incidents.close()

    assert [line["event"] for line in lines] == ["camera.lost", "camera.lost"]
    assert {line["incident"] for line in lines} == {incidents.incident_of("devices/a/optics/w")}
    assert [(line["optics"], line["whole_device"], line["reason"]) for line in lines] == [(["w"], False, "stall")] * 2


async def test_the_drift_of_a_clock_is_unknown_once_nobody_tells_it() -> None:
    hang_up, incidents = asyncio.Event(), DeviceIncidents("devices/a", lambda _: None)
    stream = Stream(
        "devices/a",
        Wandering(hang_up),
        Views(),
        liveness=Liveness(Timeouts(), Backoff(shortest=3600.0, longest=3600.0), lambda: 0.0),
        listener=incidents,
        metrics=GatewayMetrics(CollectorRegistry()),
        turns=None,
    )
    running = asyncio.create_task(stream.run())
    await settle()
    told = incidents.drift

    hang_up.set()
    await settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert (told, incidents.drift) == (3.5, None)
