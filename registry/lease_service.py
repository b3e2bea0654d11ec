"""LeaseService: unpacks what gateways say and packs what they have to be told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from argo.registry.v1 import lease_service_pb2 as pb
from argo.registry.v1 import lease_service_pb2_grpc
from mesh.errors import FieldViolation, InvalidArgument, Unavailable
from registry.auditing import ReadLog
from registry.leases import LeaseDesk, Session, announced

FULL_NAME = "argo.registry.v1.LeaseService"
MAXIMUM_CAPACITY = 10_000
_REPLICA = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ANNOUNCE_SECONDS = 10


class LeaseServicer(lease_service_pb2_grpc.LeaseServiceServicer):
    """Leases devices to gateways."""

    def __init__(self, desk: LeaseDesk, reads: ReadLog) -> None:
        """Takes the desk at which the gateways line up, and the log in which that they read is put on record."""
        self._desk = desk
        self._reads = reads

    async def HoldLeases(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[pb.HoldLeasesRequest], context: Any
    ) -> AsyncIterator[pb.HoldLeasesResponse]:
        """Speaks with one gateway until either side ends it."""
        first = await _first(request_iterator)
        await self._record(first.announce.replica)
        async with self._desk.session(announced(first, context.peer())) as session:
            listening = asyncio.create_task(_listen(session, request_iterator), name="hold-leases-requests")
            try:
                async for response in session.responses():
                    yield response
            finally:
                listening.cancel()

    async def _record(self, replica: str) -> None:
        try:
            await self._reads.record("HoldLeases", f"leases of {replica}")
        except Unavailable:
            # Leases that are remembered here were told on record before the database went away, and run to their end.
            if not self._desk.running(replica):
                raise


async def _listen(session: Session, requests: AsyncIterator[pb.HoldLeasesRequest]) -> None:
    try:
        async for request in requests:
            if request.WhichOneof("message") == "announce":
                session.end(_refused([FieldViolation("announce", "must be the first message only")]))
                return
            await session.hear(request)
    except Exception as error:  # noqa: BLE001 - raised again by the stream's own task
        session.end(error)
    else:
        session.finish()


async def _first(requests: AsyncIterator[pb.HoldLeasesRequest]) -> pb.HoldLeasesRequest:
    try:
        async with asyncio.timeout(_ANNOUNCE_SECONDS):
            first = await anext(requests)
    except (TimeoutError, StopAsyncIteration):
        raise _refused([FieldViolation("announce", "must be the first message")]) from None
    if first.WhichOneof("message") != "announce":
        raise _refused([FieldViolation("announce", "must be the first message")])
    violations = []
    if not _REPLICA.fullmatch(first.announce.replica):
        violations.append(FieldViolation("announce.replica", "must be letters, digits, '.', '_' and '-', at most 253"))
    if first.announce.capacity > MAXIMUM_CAPACITY:
        violations.append(FieldViolation("announce.capacity", f"must be at most {MAXIMUM_CAPACITY}"))
    if violations:
        raise _refused(violations)
    return first


def _refused(violations: list[FieldViolation]) -> InvalidArgument:
    return InvalidArgument("the gateway did not announce itself", reason="INVALID_ANNOUNCEMENT", violations=violations)
