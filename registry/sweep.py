"""The loop that keeps the gate: it follows the changes, applies admission, deals out leases, wakes who must be told.

It runs when PostgreSQL notifies of a change, when a gateway comes or goes, and about every second, since time alone
also ends admissions and leases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from mesh.cancellation import stay_cancelled
from mesh.errors import Unavailable
from mesh.postgres import Pool
from registry import admissions, scenes
from registry.database import AWAY, borrowed, uninterrupted
from registry.domain.admission import Refused
from registry.domain.network import CameraNetworks
from registry.fleet import Fleet, FleetDevice, Verdict
from registry.leases import LeaseDesk
from registry.metrics import RegistryMetrics
from registry.sql import QUERIES
from registry.watching import OpticWatch

log = structlog.get_logger()

CHANNEL = "argo_registry"
_AUTHOR = "service/registry"
_REASON = "admission"
_RELISTEN_SECONDS = 1.0
_FORGET_EVERY = 600


class Sweep:
    """One replica's part in keeping the gate. Several replicas of the registry do the same at the same time."""

    def __init__(
        self,
        pool: Pool,
        desk: LeaseDesk,
        watch: OpticWatch,
        networks: CameraNetworks,
        metrics: RegistryMetrics,
        *,
        clock: Callable[[], datetime],
        period_seconds: float,
    ) -> None:
        """Takes the parts that it drives.

        Args:
            pool: on the registry's migrated schema.
            desk: with the fleet that the sweep keeps fresh.
            watch: is told of every change.
            networks: where cameras may be.
            metrics: are set at every round.
            clock: the present time, aware.
            period_seconds: between rounds when nothing happens.
        """
        self._pool = pool
        self._desk = desk
        self._fleet: Fleet = desk.fleet
        self._watch = watch
        self._networks = networks
        self._metrics = metrics
        self._clock = clock
        self._period_seconds = period_seconds
        self._chores: list[Callable[[], Awaitable[None]]] = []
        self._database_lost = False
        self._rounds = 0

    def also(self, chore: Callable[[], Awaitable[None]]) -> None:
        """Does something else that time alone brings about, at the end of every round."""
        self._chores.append(chore)

    async def run(self) -> None:
        """Sweeps for ever, through losses of the database."""
        while True:
            self._desk.stirred.clear()
            try:
                await uninterrupted(self.once())
            except Unavailable:
                self._tell_database(lost=True)
                # The end of a placement or a lease needs no database to be enforced on the streams here.
                self._desk.wake()
            else:
                self._tell_database(lost=False)
            try:
                async with asyncio.timeout(self._period_seconds):
                    await self._desk.stirred.wait()
            except TimeoutError:
                pass

    async def once(self) -> None:
        """One round.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        await self._refresh_fleet()
        while not await self._apply_admissions():
            await self._refresh_fleet()
        await self._refresh_fleet()
        plan = await self._desk.store.plan()
        if plan.grants or plan.moves:
            log.info("leases.planned", grants=len(plan.grants), moves=len(plan.moves))
        await self._desk.refresh()
        # After the leases, so that the reason of every lease that is gone is known.
        await self._refresh_fleet()
        self._desk.wake()
        self._metrics.show(self._fleet, gateways=self._desk.sessions, watchers=self._watch.watchers)
        for chore in self._chores:
            await chore()
        if self._rounds % _FORGET_EVERY == 0:
            async with borrowed(self._pool) as connection:
                await connection.execute(QUERIES["forget_answers"])
        self._rounds += 1

    async def listen(self) -> None:
        """Stirs the sweep whenever PostgreSQL notifies of a change, for ever; a broken connection is made anew."""
        while True:
            try:
                async with self._pool.acquire(timeout=5) as connection:
                    await self._listen_on(connection)
            except AWAY:
                # The sweep says that the database is lost, and looks by itself every period until then.
                stay_cancelled()
                await asyncio.sleep(_RELISTEN_SECONDS)

    async def _listen_on(self, connection: Any) -> None:
        lost = asyncio.Event()

        def stir(*_notification: object) -> None:
            self._desk.stirred.set()

        def lose(_connection: object) -> None:
            lost.set()

        await connection.add_listener(CHANNEL, stir)
        connection.add_termination_listener(lose)
        try:
            stir()
            await lost.wait()
        finally:
            connection.remove_termination_listener(lose)
            await connection.remove_listener(CHANNEL, stir)

    async def _refresh_fleet(self) -> None:
        async with borrowed(self._pool) as connection:
            delta = await self._fleet.refresh(connection)
        if delta is not None:
            self._watch.publish(delta)

    async def _apply_admissions(self) -> bool:
        """Records the admissions that differ from those on record; false if the fleet in memory is out of date."""
        now = self._clock()
        wanted = {name: self._decide(device, now) for name, device in self._fleet.devices.items()}
        different = {name: verdict for name, verdict in wanted.items() if self._fleet.devices[name].verdict != verdict}
        if not different:
            return True
        async with borrowed(self._pool) as connection, connection.transaction():
            row = await connection.fetchrow(QUERIES["begin_change"], _AUTHOR, _REASON, "")
            if row["sequence"] != self._fleet.sequence:
                return False
            for name, verdict in sorted(different.items()):
                lists = (list(verdict.reasons), list(verdict.unconfirmed), list(verdict.optics))
                if await connection.fetchval(QUERIES["keep_admission"], name, verdict.site or None, *lists) is not None:
                    _tell_transition(self._fleet.devices[name], verdict)
        return True

    def _decide(self, device: FleetDevice, now: datetime) -> Verdict:
        gate = admissions.gate_of(device.record, device.deployments)
        decision = gate.decide(now, self._networks)
        reasons = decision.reasons if isinstance(decision, Refused) else ()
        return Verdict(
            decision.site,
            tuple(reason.value for reason in reasons),
            scenes.unconfirmed(device.configurations, device.places, gate, now),
            tuple(sorted(device.configurations)),
        )

    def _tell_database(self, *, lost: bool) -> None:
        if lost and not self._database_lost:
            log.error("database.lost", gateways=self._desk.sessions)
        if self._database_lost and not lost:
            log.info("database.recovered", gateways=self._desk.sessions)
        self._database_lost = lost
        self._metrics.database_up.set(not lost)


def _tell_transition(device: FleetDevice, verdict: Verdict) -> None:
    """Tells what has become different for the optics of a device."""
    before = device.verdict or Verdict("", ())
    admission_changed = device.verdict is None or (before.site, before.reasons) != (verdict.site, verdict.reasons)
    for optic in verdict.optics:
        # One that joins a device later has not been told of by what was decided about the device before.
        is_news = admission_changed or optic not in before.optics
        if is_news and verdict.reasons:
            log.warning("optic.refused", optic=optic, site=verdict.site, reasons=list(verdict.reasons))
        elif is_news:
            log.info("optic.admitted", optic=optic, site=verdict.site)
        # A device that stands nowhere is refused already.
        if verdict.site and optic in verdict.unconfirmed:
            if is_news or optic not in before.unconfirmed:
                log.warning("scene.unconfirmed", optic=optic, site=verdict.site)
        elif verdict.site and optic in before.unconfirmed:
            log.info("scene.confirmed", optic=optic, site=verdict.site)
