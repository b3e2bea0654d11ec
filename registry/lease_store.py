"""The leases in PostgreSQL, the only arbiter: its clock, its keys and one lock decide who works on which device."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mesh.errors import ResourceExhausted
from mesh.postgres import Pool
from registry.database import borrowed
from registry.domain.leasing import Gateway, LeasableDevice, Plan, plan_leases
from registry.sql import QUERIES


@dataclass(frozen=True)
class GatewaySession:
    """A stream that speaks for a replica of the gateway.

    Attributes:
        replica: its name.
        capacity: optics that it can carry.
        host: where the stream comes from.
        session: tells this stream from earlier ones.
    """

    replica: str
    capacity: int
    host: str
    session: uuid.UUID


@dataclass(frozen=True)
class HeldLease:
    """A lease as last read.

    Attributes:
        device: ``devices/{device}``.
        expire_time: by PostgreSQL's clock, aware.
        remaining: until then, when it was read.
        withdrawn: the holder has to end it.
    """

    device: str
    expire_time: datetime
    remaining: timedelta
    withdrawn: bool


class LeaseStore:
    """Reads and writes leases. All methods raise Unavailable while PostgreSQL is away."""

    def __init__(self, pool: Pool, *, duration: timedelta) -> None:
        """Takes a pool on the registry's migrated schema, and the life of a lease."""
        self._pool = pool
        self._duration = duration

    async def attach(self, gateway: GatewaySession) -> None:
        """Makes a stream the one that speaks for its replica; the leases that the replica still has go on.

        A new stream from the same host replaces the old one, and so does any once the old one has missed a heartbeat
        and a half: that is a reconnect. Otherwise two processes use one name.

        Raises:
            ResourceExhausted: the replica is known from another host.
        """
        async with self._planning() as connection:
            known = await connection.fetchrow(QUERIES["gateway_for_update"], gateway.replica)
            connected = known is not None and known["session"] is not None
            if connected and known["host"] != gateway.host and known["silence"] < self._duration / 2:
                raise _known_elsewhere(gateway.replica)
            await connection.execute(
                QUERIES["attach_gateway"],
                gateway.replica, gateway.capacity, gateway.session, gateway.host, self._duration,
            )  # fmt: skip

    async def detach(self, gateway: GatewaySession) -> None:
        """Notes that the stream has ended; the leases live on until they expire."""
        async with self._planning() as connection:
            await connection.execute(QUERIES["detach_gateway"], gateway.replica, gateway.session)

    async def heartbeat(self, gateway: GatewaySession, devices: Iterable[str]) -> list[HeldLease]:
        """Prolongs the leases of a replica, and frees the withdrawn ones that it no longer works on.

        Args:
            gateway: whose stream it came on.
            devices: what the replica works on.

        Returns:
            The leases that go on.

        Raises:
            ResourceExhausted: another stream speaks for the replica now.
        """
        async with self._planning() as connection:
            arguments = (gateway.replica, gateway.session, self._duration)
            if await connection.fetchval(QUERIES["renew_gateway"], *arguments) is None:
                known = await connection.fetchrow(QUERIES["gateway_for_update"], gateway.replica)
                if known is not None and known["session"] is not None:
                    raise _known_elsewhere(gateway.replica)
                await connection.execute(
                    QUERIES["attach_gateway"],
                    gateway.replica, gateway.capacity, gateway.session, gateway.host, self._duration,
                )  # fmt: skip
            renewed = await connection.fetch(QUERIES["renew_leases"], gateway.replica, self._duration)
            await connection.execute(QUERIES["confirm_withdrawals"], gateway.replica, list(devices))
            return [_lease(row) for row in renewed]

    async def release(self, gateway: GatewaySession, device: str) -> None:
        """Frees a device. A replica that gives one back unasked can carry no more than what it still has."""
        async with self._planning() as connection:
            withdrawn = await connection.fetchval(QUERIES["release_lease"], gateway.replica, device)
            if withdrawn is False:
                await connection.execute(QUERIES["lower_capacity"], gateway.replica)

    async def plan(self) -> Plan:
        """Frees what has expired, withdraws what is no longer admitted, gives out what is free, evens out.

        Returns:
            What was given out and moved.
        """
        async with self._planning() as connection:
            for query in ("expire_leases", "expire_gateways", "withdraw_refused"):
                await connection.execute(QUERIES[query])
            gateways = [_gateway(row) for row in await connection.fetch(QUERIES["live_gateways"])]
            devices = [_device(row) for row in await connection.fetch(QUERIES["leasable_devices"])]
            plan = plan_leases(devices, gateways)
            for device, replica in plan.grants.items():
                await connection.execute(QUERIES["grant_lease"], device, replica, self._duration)
            for device, successor in plan.moves.items():
                await connection.execute(QUERIES["move_lease"], device, successor)
            return plan

    async def held_by(self, replicas: Iterable[str]) -> Mapping[str, list[HeldLease]]:
        """The unexpired leases of replicas, by replica."""
        found: dict[str, list[HeldLease]] = {replica: [] for replica in replicas}
        async with borrowed(self._pool) as connection:
            for row in await connection.fetch(QUERIES["leases_of"], list(found)):
                found[row["replica"]].append(_lease(row))
        return found

    @asynccontextmanager
    async def _planning(self) -> AsyncIterator[Any]:
        """A transaction that no other one about leases runs beside, in any replica of the registry."""
        async with borrowed(self._pool) as connection, connection.transaction():
            await connection.execute(QUERIES["lock_planning"])
            yield connection


def _gateway(row: Mapping[str, Any]) -> Gateway:
    return Gateway(row["replica"], row["capacity"], row["connected"])


def _lease(row: Mapping[str, Any]) -> HeldLease:
    return HeldLease(row["device"], row["expire_time"], row["remaining"], row["withdrawn"])


def _device(row: Mapping[str, Any]) -> LeasableDevice:
    return LeasableDevice(row["device"], row["optics"], row["replica"], bool(row["withdrawn"]), row["successor"])


def _known_elsewhere(replica: str) -> ResourceExhausted:
    return ResourceExhausted(
        f"a gateway of the name {replica} is already known from elsewhere",
        reason="REPLICA_KNOWN_ELSEWHERE",
        metadata={"replica": replica},
        retry_after=1.0,
    )
