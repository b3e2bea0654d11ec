"""The registry at full size: lease rounds, gateways that die at once, a change for a thousand watchers."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from google.protobuf import field_mask_pb2, timestamp_pb2

from argo.registry.v1 import (
    lease_service_pb2,
    lease_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
    scene_pb2,
    site_pb2,
)
from bench.full_fleet import LEASE_SECONDS, FullFleet, full_fleet
from bench.results import Result
from registry.sql import QUERIES

GATEWAYS = 10
WATCHERS = 1000
RATIO_BOUND = 2.5
_CAPACITY = 200
_ROUNDS = 30
_CHANNELS = 10
_MOVED_BOUND = LEASE_SECONDS + 5
_TOLD_BOUND = 1.0

Request = lease_service_pb2.HoldLeasesRequest


def measure() -> list[Result]:
    """All figures, on one fleet."""
    print(f"bench: the registry with the full fleet, {GATEWAYS} gateways, {WATCHERS} watchers", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> list[Result]:
    async with full_fleet(folder, replicas=2) as fleet:
        results = [await _lease_round(fleet), *await _gateways_die(fleet)]
        return [*results, await _watchers(fleet)]


class Gateway:
    """A gateway that takes leases and does nothing with them.

    Attributes:
        deadlines: of the devices that it works on, by its own monotonic clock.
        optics: how many optics each of its devices has.
    """

    def __init__(self, replica: str, channel: grpc.aio.Channel) -> None:
        """Connects when entered."""
        self.deadlines: dict[str, float] = {}
        self.optics: dict[str, int] = {}
        self.renewed = asyncio.Event()
        self._replica = replica
        self._call = lease_service_pb2_grpc.LeaseServiceStub(channel).HoldLeases()

    @contextlib.asynccontextmanager
    async def running(self, *, heartbeats: bool) -> AsyncIterator[Gateway]:
        """Holds leases for the block, then dies without a word; what it worked on counts until its deadline."""
        announce = Request.Announce(replica=self._replica, capacity=_CAPACITY)
        await self._call.write(Request(announce=announce))
        tasks = [asyncio.create_task(self._listen())]
        if heartbeats:
            tasks.append(asyncio.create_task(self._beat()))
        try:
            yield self
        finally:
            self._call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def heartbeat(self) -> None:
        """Sends one and waits for the renewal."""
        self.renewed.clear()
        await self._call.write(Request(heartbeat=Request.Heartbeat(devices=self.working())))
        await self.renewed.wait()

    def working(self) -> list[str]:
        """Devices whose lease still runs."""
        now = time.monotonic()
        return [device for device, deadline in self.deadlines.items() if deadline > now]

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await self.heartbeat()

    async def _listen(self) -> None:
        async for response in self._call:
            if response.HasField("lease"):
                self.optics[response.lease.device] = len(response.lease.optics)
                self.deadlines[response.lease.device] = _deadline(response.lease.expire_time)
            elif response.HasField("withdrawal"):
                self.deadlines.pop(response.withdrawal.device, None)
            else:
                end = _deadline(response.renewal.expire_time)
                self.deadlines |= dict.fromkeys(response.renewal.devices, end)
                self.renewed.set()


def _deadline(expire_time: timestamp_pb2.Timestamp) -> float:
    return time.monotonic() + expire_time.ToNanoseconds() / 1e9 - time.time()


@contextlib.asynccontextmanager
async def _gateways(fleet: FullFleet, generation: str, *, heartbeats: bool) -> AsyncIterator[list[Gateway]]:
    async with contextlib.AsyncExitStack() as stack:
        gateways = []
        for number in range(GATEWAYS):
            channel = await stack.enter_async_context(fleet.channel("service/camera-gateway", number % 2))
            gateway = Gateway(f"gateway-{generation}{number}", channel)
            gateways.append(await stack.enter_async_context(gateway.running(heartbeats=heartbeats)))
        yield gateways


async def _all_leased(
    fleet: FullFleet, gateways: Sequence[Gateway], others: Sequence[Gateway] = ()
) -> tuple[float, int]:
    """Seconds until every optic is leased to one of ``gateways``, and how often two worked on one device meanwhile.

    Looked at every 100 ms, through the eyes of the gateways and of the ``others``, who may have been cut off.
    """
    started, doubled = time.monotonic(), 0
    while True:
        working = Counter(device for gateway in (*gateways, *others) for device in gateway.working())
        doubled += sum(count > 1 for count in working.values())
        optics = sum(gateway.optics[device] for gateway in gateways for device in gateway.working())
        if optics == fleet.optics:
            return time.monotonic() - started, doubled
        if time.monotonic() - started > 10 * _MOVED_BOUND:
            raise SystemExit(f"bench: only {optics} of {fleet.optics} optics are leased")
        await asyncio.sleep(0.1)


async def _lease_round(fleet: FullFleet) -> Result:
    async with _gateways(fleet, "a", heartbeats=False) as gateways:
        await _all_leased(fleet, gateways)
        through_registry, bare = [], []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            await asyncio.gather(*(gateway.heartbeat() for gateway in gateways))
            through_registry.append(time.perf_counter() - started)
            bare.append(await _bare_round(fleet, gateways))
        return Result.at_most(
            f"lease round of {GATEWAYS} gateways, {fleet.optics} optics",
            (statistics.median(through_registry) * 1e3, "ms"),
            (statistics.median(bare) * 1e3, "ms, the same SQL through asyncpg"),
            RATIO_BOUND,
        )


async def _bare_round(fleet: FullFleet, gateways: Sequence[Gateway]) -> float:
    duration = timedelta(seconds=LEASE_SECONDS)

    async def heartbeat(connection: asyncpg.Connection, row: asyncpg.Record, working: list[str]) -> None:
        async with connection.transaction():
            await connection.execute(QUERIES["lock_planning"])
            await connection.fetchval(QUERIES["renew_gateway"], row["replica"], row["session"], duration)
            await connection.fetch(QUERIES["renew_leases"], row["replica"], duration)
            await connection.execute(QUERIES["confirm_withdrawals"], row["replica"], working)

    async with contextlib.AsyncExitStack() as stack:
        options = {"server_settings": {"search_path": "registry"}}
        pool = await stack.enter_async_context(
            asyncpg.create_pool(fleet.dsn, min_size=GATEWAYS, max_size=GATEWAYS, **options)
        )
        rows = await pool.fetch("SELECT replica, session FROM gateways ORDER BY replica")
        connections = [await stack.enter_async_context(pool.acquire()) for _ in rows]
        work = list(zip(connections, rows, (gateway.working() for gateway in gateways), strict=True))
        await asyncio.gather(*(heartbeat(*each) for each in work))  # prepares the statements
        started = time.perf_counter()
        await asyncio.gather(*(heartbeat(*each) for each in work))
        return time.perf_counter() - started


async def _gateways_die(fleet: FullFleet) -> list[Result]:
    async with _gateways(fleet, "b", heartbeats=True) as dying:
        _, doubled_before = await _all_leased(fleet, dying)
    # The dead still count as at work until their leases end: so would gateways behind a broken network.
    async with _gateways(fleet, "c", heartbeats=True) as fresh:
        seconds, doubled_after = await _all_leased(fleet, fresh, dying)
    doubled = doubled_before + doubled_after
    return [
        Result(
            f"{GATEWAYS} gateways killed at once: every optic leased again",
            f"{seconds:.1f} s",
            bound=f"<= {_MOVED_BOUND:g} s",
            holds=seconds <= _MOVED_BOUND,
        ),
        Result("devices at work twice, looked at every 100 ms", f"{doubled}", bound="0", holds=doubled == 0),
    ]


async def _watchers(fleet: FullFleet) -> Result:
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(fleet.channel("service/alerting", number % 2))
            for number in range(_CHANNELS)
        ]
        stubs = [registry_service_pb2_grpc.RegistryServiceStub(channel) for channel in channels]
        token, optic = await _bookmark(stubs[0])
        watches = [
            stubs[number % _CHANNELS].WatchOptics(registry_service_pb2.WatchOpticsRequest(resume_token=token))
            for number in range(WATCHERS)
        ]
        # The first answer of a resumed watch is its bookmark: from then on it is open.
        await asyncio.gather(*(watch.read() for watch in watches))
        told = [asyncio.create_task(_told(watch, optic)) for watch in watches]
        administrator = await stack.enter_async_context(fleet.channel("administrator/bench"))
        committed = await _change(administrator, optic)
        seconds = max(await asyncio.gather(*told)) - committed
        for watch in watches:
            watch.cancel()
    return Result(
        f"one change reaches {WATCHERS} watchers",
        f"{seconds:.2f} s after the commit",
        bound=f"<= {_TOLD_BOUND:g} s",
        holds=seconds <= _TOLD_BOUND,
    )


async def _bookmark(stub: Any) -> tuple[str, str]:
    """Where watches may begin without a snapshot, and an optic to change."""
    optic, watch = "", stub.WatchOptics(registry_service_pb2.WatchOpticsRequest())
    async for response in watch:
        if response.HasField("bookmark"):
            watch.cancel()
            return response.resume_token, optic
        optic = response.updated.optic
    raise SystemExit("bench: the watch ended before its bookmark")


async def _told(watch: Any, optic: str) -> float:
    while True:
        response = await watch.read()
        if response.updated.optic == optic and response.updated.policy.maximum_viewers == 1:
            return time.monotonic()


async def _change(channel: grpc.aio.Channel, optic: str) -> float:
    """Changes an optic; answers a time before its commit."""
    stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
    await stub.GetOptic(registry_service_pb2.GetOpticRequest(name=optic))
    request = registry_service_pb2.UpdateOpticRequest(
        optic=site_pb2.Optic(name=optic, policy=scene_pb2.Policy(maximum_viewers=1)),
        update_mask=field_mask_pb2.FieldMask(paths=["policy.maximum_viewers"]),
        reason="benchmark",
    )
    started = time.monotonic()
    await stub.UpdateOptic(request)
    return started
