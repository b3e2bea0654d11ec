"""ProposalService: unpacks what people propose and decide, and packs what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from argo.registry.v1 import proposal_service_pb2 as pb
from argo.registry.v1 import proposal_service_pb2_grpc
from mesh.errors import FieldViolation
from mesh.identity import current_identity
from registry import masks, requests, tenancy
from registry.auditing import ReadLog, audited
from registry.database import uninterrupted
from registry.domain import proposing
from registry.domain.names import ancestor, has_wildcard
from registry.domain.network import CameraNetworks
from registry.domain.proposing import Event
from registry.listing import listing
from registry.proposal_store import PROPOSABLE, PROPOSAL, ProposalStore, record_of
from registry.resources import RESOURCES
from registry.store import Author, PageQuery, RecordStore

FULL_NAME = "argo.registry.v1.ProposalService"


class ProposalServicer(proposal_service_pb2_grpc.ProposalServiceServicer):
    """Leads changes of live rules to a second person."""

    def __init__(self, store: ProposalStore, records: RecordStore, reads: ReadLog, networks: CameraNetworks) -> None:
        """Takes the parts that it drives.

        Args:
            store: of the proposals.
            records: that they are about.
            reads: where reads go on record.
            networks: where cameras may be.
        """
        self.reads = reads
        self._store = store
        self._records = records
        self._networks = networks

    @audited
    async def GetProposal(self, request: pb.GetProposalRequest, _context: Any) -> pb.Proposal:  # noqa: N802 - the contract's name
        """One proposal."""
        requests.check_name("name", request.name, PROPOSAL.pattern)
        return await self._store.get(request.name, tenancy.visible_to(current_identity()))

    @audited
    async def ListProposals(  # noqa: N802 - the contract's name
        self, request: pb.ListProposalsRequest, _context: Any
    ) -> pb.ListProposalsResponse:
        """A page of proposals."""
        sight = tenancy.visible_to(current_identity())
        asked = listing(
            request,
            query=f"proposals of {request.parent} seen by {sight}",
            secret=await self._records.page_secret(),
            resource=PROPOSAL,
            parents=PROPOSAL.pattern.parent,
        )
        page = PageQuery(request.parent, sight, asked.after, asked.limit, asked.condition)
        proposals = await self._store.list_after(page)
        if not proposals and not asked.after and not has_wildcard(request.parent):
            await self._records.get(RESOURCES["optic"], request.parent, sight)
        return pb.ListProposalsResponse(
            proposals=proposals[: asked.size], next_page_token=asked.next_page_token(proposals)
        )

    async def CreateProposal(self, request: pb.CreateProposalRequest, _context: Any) -> pb.Proposal:  # noqa: N802 - the contract's name
        """Proposes a change; what it would make of the record is checked now, so that nobody is asked for nothing."""
        author = Author(current_identity().path, "CreateProposal", request.reason)
        repeatable = requests.repeatable(request, author)
        proposal = request.proposal
        kind, given = record_of(proposal)
        requests.refuse(_problems(request))
        resource = PROPOSABLE[kind]
        requests.check_encodable(given, kind)
        proposal.name = PROPOSAL.pattern.child(request.parent, request.proposal_id)

        def change(stored: Any) -> Any:
            changed = masks.merge(resource, stored, given, proposal.update_mask)
            requests.check_record(resource, changed, [], self._networks)
            return changed

        return await uninterrupted(self._store.create(proposal, change, author, repeatable))

    async def ApproveProposal(self, request: pb.ApproveProposalRequest, _context: Any) -> pb.Proposal:  # noqa: N802 - the contract's name
        """Makes the change."""
        return await self._decide("ApproveProposal", request, proposing.approval)

    async def RejectProposal(self, request: pb.RejectProposalRequest, _context: Any) -> pb.Proposal:  # noqa: N802 - the contract's name
        """Refuses the change, or takes it back."""
        return await self._decide("RejectProposal", request, proposing.rejection)

    async def _decide(self, method: str, request: Any, event_of: Callable[[str, str], Event]) -> pb.Proposal:
        requests.check_name("name", request.name, PROPOSAL.pattern, requests.check_reason(request))
        decider = Author(current_identity().path, method, request.reason)
        return await uninterrupted(self._store.decide(request.name, request.etag, event_of, decider))


def _problems(request: pb.CreateProposalRequest) -> list[FieldViolation]:
    found = requests.check_new(PROPOSAL, request, request.parent)
    kind, given = record_of(request.proposal)
    if not kind:
        return [*found, FieldViolation("proposal.record", "is required")]
    pattern = PROPOSABLE[kind].pattern
    if not pattern.matches(given.name):
        found.append(FieldViolation(f"proposal.{kind}.name", f"must be {pattern}"))
    elif ancestor(given.name, 2) != request.parent:
        found.append(FieldViolation(f"proposal.{kind}.name", f"must be of the parent, {request.parent}"))
    return found
