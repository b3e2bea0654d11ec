"""Holds leases of devices from the registry and lets the fleet follow them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import structlog

from argo.registry.v1 import lease_service_pb2 as lease
from camera_gateway.domain.leases import LeaseTable
from camera_gateway.domain.liveness import Reason

if TYPE_CHECKING:
    from camera_gateway.fleet import Fleet

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 1.0
"""Well below a third of any lease that is worth having; the message holds some dozen names."""

RETRY_SECONDS = 1.0
SILENCE_SECONDS = 10.0
"""A registry that says nothing for so long is away, whatever the connection says."""


class Registry(Protocol):
    """Opens the RPC to the registry."""

    def hold_leases(self) -> Any:
        """A new HoldLeases call."""


class LeaseHolder:
    """Keeps the lease stream open and the fleet in step with it.

    Args:
        registry: opens the stream.
        fleet: the sessions.
        replica: this replica's name.
        capacity: how many optics it can carry.
        grace: see `LeaseTable`.
    """

    def __init__(self, registry: Registry, fleet: Fleet, *, replica: str, capacity: int, grace: float) -> None:
        self._registry = registry
        self._fleet = fleet
        self._replica = replica
        self._capacity = capacity
        self._table = LeaseTable(grace)
        self._call: Any = None
        # One message at a time: grpc's core refuses a second one.
        self._writing = asyncio.Lock()
        self._heard = float("-inf")
        self._draining = False
        self.connected = False

    async def run(self) -> None:
        """Hold leases until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold(), name="lease-stream")
            group.create_task(self._expire(), name="lease-expiry")

    async def drain(self) -> None:
        """End every stream and give every device back, so that another replica can take it at once.

        Each by itself: a camera that takes its time to close keeps no other from being taken over.
        """
        self._draining = True
        await asyncio.gather(*(self._give_back(device) for device in self._table.devices))
        if self.connected:
            with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
                await self._call.done_writing()

    async def _give_back(self, device: str) -> None:
        await self._fleet.drop(device, Reason.SHUTDOWN)
        self._table.drop(device)
        if self.connected:
            release = lease.HoldLeasesRequest.Release(device=device)
            with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
                await self._write(lease.HoldLeasesRequest(release=release))

    async def _write(self, request: lease.HoldLeasesRequest) -> None:
        async with self._writing:
            await self._call.write(request)

    async def _hold(self) -> None:
        told = False
        while not self._draining:
            answered = await self._converse()
            if answered or not told:
                told = True
                log.warning("registry.lost", held=len(self._table.devices))
            await asyncio.sleep(RETRY_SECONDS)
        await asyncio.Event().wait()

    async def _converse(self) -> bool:
        self._call = self._registry.hold_leases()
        answered = False
        heartbeat: asyncio.Task[None] | None = None
        try:
            announce = lease.HoldLeasesRequest.Announce(replica=self._replica, capacity=self._capacity)
            await self._write(lease.HoldLeasesRequest(announce=announce))
            self._heard = time.monotonic()
            heartbeat = asyncio.create_task(self._beat(), name="lease-heartbeat")
            while (response := await self._call.read()) is not grpc.aio.EOF:
                if not answered:
                    answered = self.connected = True
                    log.info("registry.connected", replica=self._replica)
                self._heard = time.monotonic()
                await self._take(response)
        except asyncio.CancelledError:
            # grpc.aio raises this also where the call was cancelled and not the task.
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            code = error.code().name if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
            log.debug("registry.stream_ended", code=code)
        finally:
            self.connected = False
            self._call.cancel()
            if heartbeat is not None:
                heartbeat.cancel()
                await asyncio.gather(heartbeat, return_exceptions=True)
        return answered

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._draining:
                continue
            beat = lease.HoldLeasesRequest.Heartbeat(devices=self._table.devices)
            await self._write(lease.HoldLeasesRequest(heartbeat=beat))
            if time.monotonic() - self._heard > SILENCE_SECONDS:
                self._call.cancel()

    async def _take(self, response: lease.HoldLeasesResponse) -> None:
        match response.WhichOneof("message"):
            case "lease" if not self._draining:
                self._table.hold(response.lease.device, response.lease.expire_time.ToMicroseconds() / 1e6)
                await self._fleet.apply(response.lease)
            case "renewal":
                renewal = response.renewal
                self._table.renew(renewal.devices, renewal.expire_time.ToMicroseconds() / 1e6)
            case "withdrawal":
                device = response.withdrawal.device
                self._table.drop(device)
                await self._fleet.drop(device, Reason.LEASE_ENDED)
                log.info("lease.withdrawn", device=device)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for device in self._table.take_expired(time.time(), registry_away=not self.connected):
                log.warning("lease.expired", device=device, registry_away=not self.connected)
                await self._fleet.drop(device, Reason.LEASE_ENDED)
