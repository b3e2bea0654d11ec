"""The streams of the gateways: what each has been told, and what it has to be told now."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from argo.registry.v1 import lease_service_pb2
from mesh.errors import Unavailable
from registry import admissions
from registry.database import uninterrupted
from registry.domain.admission import Admitted, Reason
from registry.domain.network import CameraNetworks
from registry.fleet import Fleet
from registry.lease_store import GatewaySession, HeldLease, LeaseStore

log = structlog.get_logger()

Request = lease_service_pb2.HoldLeasesRequest
Response = lease_service_pb2.HoldLeasesResponse


@dataclass(frozen=True)
class _Remembered:
    """A lease in memory. It counts for as long as it had left when it was read, whatever PostgreSQL does meanwhile."""

    lease: HeldLease
    deadline: float  # of the monotonic clock


class LeaseDesk:
    """All gateway streams of this replica of the registry, and their leases in memory."""

    def __init__(
        self,
        store: LeaseStore,
        fleet: Fleet,
        networks: CameraNetworks,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Takes the fleet that somebody else refreshes.

        Args:
            store: of the leases.
            fleet: as last read.
            networks: where cameras may be.
            clock: the present time, aware; for admission.
            monotonic: seconds; for the end of leases in memory.
        """
        self.store = store
        self.fleet = fleet
        self._networks = networks
        self._clock = clock
        self._monotonic = monotonic
        self._sessions: dict[str, Session] = {}
        self._remembered: dict[str, dict[str, _Remembered]] = {}
        self.stirred = asyncio.Event()

    @property
    def sessions(self) -> int:
        """How many gateways are connected here."""
        return len(self._sessions)

    @asynccontextmanager
    async def session(self, announced: GatewaySession) -> AsyncIterator[Session]:
        """Opens the desk to a gateway for the block.

        Raises:
            ResourceExhausted: the replica is known from elsewhere.
            Unavailable: PostgreSQL is away, and no lease of this replica is remembered here.
        """
        try:
            await uninterrupted(self.store.attach(announced))
            await self.refresh([announced.replica])
        except Unavailable:
            if not self.running(announced.replica):
                raise
        if (previous := self._sessions.get(announced.replica)) is not None:
            previous.end(Unavailable("a newer stream speaks for this replica", reason="REPLACED"))
        session = self._sessions[announced.replica] = Session(self, announced)
        log.info("gateway.announced", replica=announced.replica, capacity=announced.capacity)
        self.stirred.set()
        try:
            yield session
        finally:
            if self._sessions.get(announced.replica) is session:
                del self._sessions[announced.replica]
            with suppress(Unavailable):
                await uninterrupted(self.store.detach(announced))
            log.info("gateway.detached", replica=announced.replica)

    async def refresh(self, replicas: Iterable[str] | None = None) -> None:
        """Reads the leases of replicas, or of all that are connected here, and lets their streams look.

        Raises:
            Unavailable: PostgreSQL is away; what is remembered stays.
        """
        chosen = list(self._sessions) if replicas is None else list(replicas)
        if not chosen:
            return
        read_at = self._monotonic()
        for replica, leases in (await self.store.held_by(chosen)).items():
            self._remembered[replica] = {
                lease.device: _Remembered(lease, read_at + lease.remaining.total_seconds()) for lease in leases
            }

    def prolong(self, replica: str, leases: Iterable[HeldLease]) -> None:
        """Notes that leases go on. Whether others came or went is for the sweep, which also knows why."""
        read_at = self._monotonic()
        known = self._remembered.setdefault(replica, {})
        for lease in leases:
            if lease.device in known:
                known[lease.device] = _Remembered(lease, read_at + lease.remaining.total_seconds())

    def wake(self) -> None:
        """Lets every stream look whether there is something to say, and forgets the gateways that are gone for good."""
        now = self._monotonic()
        for replica in self._remembered.keys() - self._sessions.keys():
            if all(remembered.deadline <= now for remembered in self._remembered[replica].values()):
                del self._remembered[replica]
        for session in self._sessions.values():
            session.wake()

    async def drain(self) -> None:
        """Ends all streams; the gateways go to another replica of the registry, their leases live on."""
        for session in self._sessions.values():
            session.end(Unavailable("this replica is stopping: announce yourself at another", reason="DRAINING"))

    def running(self, replica: str) -> dict[str, HeldLease]:
        """The leases that go on: neither withdrawn, nor over, nor of a device that may not stream at this moment."""
        now = self._monotonic()
        return {
            device: remembered.lease
            for device, remembered in self._remembered.get(replica, {}).items()
            if not remembered.lease.withdrawn and remembered.deadline > now and not self._refusal(device)
        }

    def reasons(self, replica: str, device: str) -> tuple[Reason, ...]:
        """Why a lease does not go on; none: it ran out."""
        remembered = self._remembered.get(replica, {}).get(device)
        if refusal := self._refusal(device):
            return refusal
        if remembered is not None and not remembered.lease.withdrawn:
            return ()
        return (Reason.REBALANCED,)

    def _refusal(self, device: str) -> tuple[Reason, ...]:
        known = self.fleet.devices.get(device)
        if known is None or not known.configurations:
            return (Reason.DELETED,)
        decision = admissions.admit(known.record, known.deployments, self._clock(), self._networks)
        return () if isinstance(decision, Admitted) else decision.reasons


class Session:
    """One gateway's stream."""

    def __init__(self, desk: LeaseDesk, gateway: GatewaySession) -> None:
        """Is made by ``LeaseDesk.session``."""
        self.gateway = gateway
        self._desk = desk
        self._told: dict[str, lease_service_pb2.DeviceLease] = {}
        self._renewal_due = False
        self._unexpected: set[str] = set()
        self._awake = asyncio.Event()
        self._awake.set()
        self._end: Exception | None = None
        self._finished = False

    def wake(self) -> None:
        """Has the stream look whether there is something to say."""
        self._awake.set()

    def end(self, error: Exception) -> None:
        """Has the stream end with ``error``."""
        self._end = self._end or error
        self._awake.set()

    def finish(self) -> None:
        """Has the stream end in good order: the gateway has nothing more to say."""
        self._finished = True
        self._awake.set()

    async def hear(self, request: Request) -> None:
        """Takes a heartbeat or a release.

        Raises:
            ResourceExhausted: another stream speaks for the replica now.
        """
        kind = request.WhichOneof("message")
        # Without the database, which the sweep reports, this stream goes on from memory until the leases end.
        with suppress(Unavailable):
            if kind == "heartbeat":
                renewed = await uninterrupted(self._desk.store.heartbeat(self.gateway, request.heartbeat.devices))
                self._desk.prolong(self.gateway.replica, renewed)
            elif kind == "release":
                await uninterrupted(self._desk.store.release(self.gateway, request.release.device))
                self._told.pop(request.release.device, None)
                self._desk.stirred.set()
        if kind == "heartbeat":
            self._renewal_due = True
            # A device that it holds without being told to: lost while the stream was broken.
            self._unexpected |= set(request.heartbeat.devices)
            self.wake()

    async def responses(self) -> AsyncIterator[Response]:
        """What the gateway has to be told, until the stream ends.

        Raises:
            Exception: the one that ``end`` was given.
        """
        while True:
            await self._awake.wait()
            self._awake.clear()
            if self._end is not None:
                raise self._end
            if self._finished:
                return
            for response in self._pending():
                yield response

    def _pending(self) -> Iterator[Response]:
        running = self._desk.running(self.gateway.replica)
        yield from self._withdrawals(running)
        for device, held in running.items():
            lease = self._lease(held)
            if lease is not None and self._told.get(device) != lease:
                self._told[device] = lease
                told = lease_service_pb2.DeviceLease()
                told.CopyFrom(lease)
                told.expire_time.FromDatetime(held.expire_time)
                yield Response(lease=told)
        if self._renewal_due:
            self._renewal_due = False
            yield self._renewal([held for device, held in running.items() if device in self._told])

    def _withdrawals(self, running: dict[str, HeldLease]) -> Iterator[Response]:
        ended = sorted((self._told.keys() | self._unexpected) - running.keys())
        self._unexpected.clear()
        for device in ended:
            self._told.pop(device, None)
            reasons = self._desk.reasons(self.gateway.replica, device)
            log.info(
                "lease.withdrawn",
                replica=self.gateway.replica,
                device=device,
                reasons=[reason.value for reason in reasons],
            )
            yield Response(withdrawal=Response.Withdrawal(device=device, reasons=admissions.refusals(reasons)))

    def _lease(self, held: HeldLease) -> lease_service_pb2.DeviceLease | None:
        """The message for a lease, without its end; None for a device that has lost its optics since."""
        device = self._desk.fleet.devices.get(held.device)
        if device is None or not device.configurations:
            return None
        return lease_service_pb2.DeviceLease(
            device=held.device,
            address=device.record.address,
            credentials=device.record.credentials,
            optics=[device.configurations[optic] for optic in sorted(device.configurations)],
            transport=device.record.transport,
        )

    def _renewal(self, running: list[HeldLease]) -> Response:
        renewal = Response.Renewal(devices=sorted(held.device for held in running))
        if running:
            renewal.expire_time.FromDatetime(min(held.expire_time for held in running))
        return Response(renewal=renewal)


def announced(request: Request, peer: str) -> GatewaySession:
    """The session that a first message asks for; its fields have been checked.

    Args:
        request: with ``announce``.
        peer: grpc's name of the other end, for example ``"ipv4:10.0.0.7:40112"``.
    """
    return GatewaySession(request.announce.replica, request.announce.capacity, host_of(peer), uuid.uuid4())


def host_of(peer: str) -> str:
    """The host in grpc's name of a peer."""
    return peer.partition(":")[2].rpartition(":")[0] or peer
