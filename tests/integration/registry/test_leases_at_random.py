"""Leases under random kills, partitions, drains and clock jumps, against PostgreSQL itself.

Time is moved by moving what PostgreSQL has on record: a step of the common clock shifts both the rows and the
gateways' own deadlines, a jump of PostgreSQL's clock only the rows.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import pydantic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh import postgres
from mesh.embedded import EmbeddedPostgres
from mesh.errors import ResourceExhausted
from mesh.postgres import Pool
from registry.lease_store import GatewaySession, LeaseStore
from tests.contract.registry.support import fresh_database

T = TypeVar("T")

LEASE_SECONDS = 100.0
# No sum of these comes near the life of a lease, so that the milliseconds of the test itself decide nothing.
STEPS = (35.0, 60.0, 130.0)
JUMPS = (-3600.0, 3600.0)
OPTICS = (4, 4, 4, 1, 1, 2)
GATEWAYS = 4

GATEWAY_ACTS = ("connect", "heartbeat", "disconnect", "kill", "release")
ACTS = st.one_of(
    st.tuples(st.sampled_from(GATEWAY_ACTS), st.integers(0, GATEWAYS - 1)),
    st.tuples(st.just("round"), st.integers(0, 1)),
    st.tuples(st.just("step"), st.integers(0, len(STEPS) - 1)),
    st.tuples(st.just("jump"), st.integers(0, len(JUMPS) - 1)),
)


@dataclass
class Gateway:
    """A gateway as it sees itself: it works on a device until its own deadline, told or not."""

    number: int
    capacity: int
    session: GatewaySession | None = None
    deadlines: dict[str, float] = field(default_factory=dict)

    def working(self, now: float) -> set[str]:
        return {device for device, deadline in self.deadlines.items() if deadline > now}


class Mesh:
    """Two replicas of the registry and some gateways."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.stores = [LeaseStore(pool, duration=timedelta(seconds=LEASE_SECONDS)) for _ in range(2)]
        self.gateways = [Gateway(number, capacity=8) for number in range(GATEWAYS)]
        self.now = 0.0
        self.jumped = False

    async def act(self, act: str, which: int) -> None:
        await getattr(self, act)(self.gateways[which] if act in GATEWAY_ACTS else which)
        await self.check()

    async def connect(self, gateway: Gateway) -> None:
        session = GatewaySession(f"gateway-{gateway.number}", gateway.capacity, "10.0.0.1", uuid.uuid4())
        await self.stores[gateway.number % 2].attach(session)
        gateway.session = session

    async def heartbeat(self, gateway: Gateway) -> None:
        if gateway.session is None:
            return
        working = gateway.working(self.now)
        try:
            renewed = await self.stores[gateway.number % 2].heartbeat(gateway.session, working)
        except ResourceExhausted:
            gateway.session = None
            return
        # As the desk does: a renewal speaks only of what this gateway has been told to work on.
        for lease in renewed:
            if lease.device in working:
                gateway.deadlines[lease.device] = self.now + lease.remaining.total_seconds()

    async def disconnect(self, gateway: Gateway) -> None:
        """A broken network: the gateway works on until its leases end."""
        if gateway.session is not None:
            await self.stores[gateway.number % 2].detach(gateway.session)
            gateway.session = None

    async def kill(self, gateway: Gateway) -> None:
        """It stops working at once and says nothing to anybody."""
        gateway.session = None
        gateway.deadlines.clear()

    async def release(self, gateway: Gateway) -> None:
        working = sorted(gateway.working(self.now))
        if gateway.session is not None and working:
            del gateway.deadlines[working[0]]
            await self.stores[gateway.number % 2].release(gateway.session, working[0])

    async def step(self, which: int) -> None:
        self.now += STEPS[which]
        await self._shift(STEPS[which])

    async def jump(self, which: int) -> None:
        self.jumped = True
        await self._shift(JUMPS[which])

    async def round(self, which: int) -> None:
        """One replica plans, and every connected gateway is told."""
        await self.stores[which].plan()
        for gateway in self.gateways:
            if gateway.session is None:
                continue
            held = (await self.stores[which].held_by([gateway.session.replica]))[gateway.session.replica]
            gateway.deadlines = {
                lease.device: self.now + lease.remaining.total_seconds() for lease in held if not lease.withdrawn
            }
        await self._check_connected()

    async def check(self) -> None:
        """Nobody carries more than it can; without a clock that lies, no two work on one device, ever."""
        loads = await self.pool.fetch(
            "SELECT leases.replica, capacity, count(*) AS load FROM leases JOIN gateways USING (replica) "
            "JOIN optics ON optics.parent = leases.device WHERE NOT withdrawn GROUP BY 1, 2"
        )
        # A gateway that gave a device back announced less room by it; what it still has goes on.
        assert all(row["load"] <= 8 for row in loads)
        if not self.jumped:
            self._require_one_each(self.gateways)

    async def _check_connected(self) -> None:
        """Whatever the clocks did: who is connected is told, and of those no two work on one device."""
        self._require_one_each([gateway for gateway in self.gateways if gateway.session is not None])

    def _require_one_each(self, gateways: list[Gateway]) -> None:
        working = [device for gateway in gateways for device in gateway.working(self.now)]
        assert len(working) == len(set(working)), {g.number: sorted(g.working(self.now)) for g in gateways}

    async def _shift(self, seconds: float) -> None:
        shift = timedelta(seconds=seconds)
        await self.pool.execute("UPDATE leases SET expire_time = expire_time - $1::interval", shift)
        await self.pool.execute(
            "UPDATE gateways SET expire_time = expire_time - $1::interval, "
            "heartbeat_time = heartbeat_time - $1::interval",
            shift,
        )


async def settle(mesh: Mesh) -> None:
    """Everybody comes back and time goes on; then every device has to be at work again."""
    for gateway in mesh.gateways:
        await mesh.act("connect", gateway.number)
    await mesh.act("step", 2)
    for number in range(6):
        for gateway in mesh.gateways:
            if gateway.session is None:
                await mesh.act("connect", gateway.number)
            await mesh.act("heartbeat", gateway.number)
        await mesh.act("round", number % 2)
    leased = {device for gateway in mesh.gateways for device in gateway.working(mesh.now)}
    assert leased == {f"devices/d{number}" for number in range(len(OPTICS))}


@asynccontextmanager
async def mesh_on(dsn: str) -> AsyncIterator[Mesh]:
    async with postgres.open_pool(pydantic.SecretStr(dsn), schema="registry") as pool:
        await pool.execute("TRUNCATE leases, gateways")
        yield Mesh(pool)


async def lawful_devices(dsn: str) -> None:
    async with postgres.open_pool(pydantic.SecretStr(dsn), schema="registry") as pool:
        await pool.execute(
            "INSERT INTO sites (name, display_name, location_latitude, location_longitude) "
            "VALUES ('sites/a', 'A', 45, 7)"
        )
        for number, optics in enumerate(OPTICS):
            device = f"devices/d{number}"
            await pool.execute(
                "INSERT INTO devices (name, site, address, view, mobility) "
                "VALUES ($1, 'sites/a', $2, 'VIEW_CONTEXT', 'MOBILITY_FIXED')",
                device,
                f"10.0.0.{number + 1}",
            )
            for optic in range(optics):
                await pool.execute(
                    "INSERT INTO optics (name, main_stream_path) VALUES ($1, '/main')", f"{device}/optics/o{optic}"
                )
            await pool.execute("INSERT INTO admissions (name, site, reasons) VALUES ($1, 'sites/a', '{}')", device)


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner() as runner:
        return runner.run(work)


def test_no_two_gateways_work_on_one_device(postgres_server: EmbeddedPostgres) -> None:
    dsn = run(fresh_database(postgres_server))
    run(lawful_devices(dsn))

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(ACTS, min_size=5, max_size=40))
    def check(acts: list[tuple[str, int]]) -> None:
        async def play() -> None:
            async with mesh_on(dsn) as mesh:
                for gateway in mesh.gateways[:2]:
                    await mesh.act("connect", gateway.number)
                await mesh.act("round", 0)
                for act, which in acts:
                    await mesh.act(act, which)
                await settle(mesh)

        run(play())

    check()
