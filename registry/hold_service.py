"""HoldService: unpacks, calls, packs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from argo.registry.v1 import hold_service_pb2 as pb
from mesh.identity import current_identity
from registry import requests, tenancy
from registry.auditing import ReadLog, audited
from registry.cases import NewCase, own_fields
from registry.holds import HOLD, Holds, KeptPictures
from registry.listing import listing
from registry.store import Author, RecordStore

FULL_NAME = "argo.registry.v1.HoldService"
_OWN_FIELDS = ("scope", "interval", "authority", "act", "expire_time")


class HoldServicer:
    """Answers for the legal holds."""

    def __init__(self, holds: Holds, records: RecordStore, reads: ReadLog) -> None:
        """Takes the holds, the store whose key signs page tokens, and the log of reads."""
        self.reads = reads
        self._holds = holds
        self._records = records

    @audited
    async def GetHold(self, request: pb.GetHoldRequest, _context: Any) -> pb.Hold:  # noqa: N802 - the contract's name
        """One hold."""
        hold: pb.Hold = await self._holds.cases.get(request.name)
        return hold

    @audited
    async def ListHolds(self, request: pb.ListHoldsRequest, _context: Any) -> pb.ListHoldsResponse:  # noqa: N802
        """A page of holds."""
        holds, next_page_token = await self._holds.cases.page(request)
        return pb.ListHoldsResponse(holds=holds, next_page_token=next_page_token)

    async def CreateHold(self, request: pb.CreateHoldRequest, _context: Any) -> pb.Hold:  # noqa: N802
        """A proposal."""
        author = _author("CreateHold", request)
        message = own_fields(request.hold, _OWN_FIELDS)
        message.name = HOLD.pattern.child("", request.hold_id)
        violations = requests.check_new(HOLD, request, "")
        hold: pb.Hold = await self._holds.propose(
            NewCase(message, author, requests.repeatable(request, author), violations)
        )
        return hold

    async def ApproveHold(self, request: pb.ApproveHoldRequest, _context: Any) -> pb.Hold:  # noqa: N802
        """One of two approvals."""
        hold: pb.Hold = await self._holds.approve(request.name, request.etag, _author("ApproveHold", request))
        return hold

    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, _context: Any) -> pb.Hold:  # noqa: N802
        """The end of a hold before its time."""
        hold: pb.Hold = await self._holds.release(request.name, request.etag, _author("ReleaseHold", request))
        return hold

    @audited
    async def ListHeldIntervals(  # noqa: N802
        self, request: pb.ListHeldIntervalsRequest, _context: Any
    ) -> pb.ListHeldIntervalsResponse:
        """A page of what may not be erased."""
        sight = tenancy.visible_to(current_identity())
        asked = listing(request, query=f"held intervals seen by {sight}", secret=await self._records.page_secret())
        kept = await self._holds.kept(sight, _place(asked.after), asked.limit)
        response = pb.ListHeldIntervalsResponse(
            next_page_token=asked.next_page_token(
                kept, lambda held: f"{held.hold} {held.optic} {held.start.isoformat()}"
            )
        )
        for pictures in kept[: asked.size]:
            _pack(pictures, response.held_intervals.add())
        return response


def _author(method: str, request: Any) -> Author:
    return Author(current_identity().path, method, request.reason)


def _place(position: str) -> tuple[str, str, datetime]:
    """After which held pictures a page begins."""
    hold, optic, start = position.split(" ") if position else ("", "", datetime.min.replace(tzinfo=UTC).isoformat())
    return hold, optic, datetime.fromisoformat(start)


def _pack(kept: KeptPictures, message: pb.HeldInterval) -> None:
    message.hold, message.optic = kept.hold, kept.optic
    message.interval.start_time.FromDatetime(kept.start)
    message.interval.end_time.FromDatetime(kept.end)
    message.expire_time.FromDatetime(kept.expire_time)
