"""People who propose changes of a scene and decide on them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from argo.registry.v1 import proposal_service_pb2, proposal_service_pb2_grpc, scene_pb2
from argo.registry.v1.proposal_service_pb2 import Proposal
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Registry
from tests.unit.registry import lawful

RULE, LINE, ZONE = f"{OPTIC}/rules/r", f"{OPTIC}/lines/varco", f"{OPTIC}/zones/giochi"
LIVE = scene_pb2.Rule.MODE_LIVE
SHADOW = scene_pb2.Rule.MODE_SHADOW


class Person:
    """Somebody who proposes and decides; says why where a method asks for it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = proposal_service_pb2_grpc.ProposalServiceStub(channel)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            request_type = getattr(proposal_service_pb2, f"{method}Request")
            if "reason" in request_type.DESCRIPTOR.fields_by_name:
                arguments.setdefault("reason", f"{method} for a test")
            return getattr(self._stub, method)(request_type(**arguments))

        return call

    def propose(self, proposal_id: str = "p", *mask: str, **record: Any) -> Any:
        proposal = Proposal(update_mask=FieldMask(paths=mask), **record)
        return self.CreateProposal(parent=OPTIC, proposal_id=proposal_id, proposal=proposal)

    def go_live(self, proposal_id: str = "p") -> Any:
        return self.propose(proposal_id, rule=scene_pb2.Rule(name=RULE, mode=LIVE))


@contextlib.asynccontextmanager
async def acting(registry: Registry, identity: str) -> AsyncIterator[Person]:
    async with registry.channel(identity) as channel:
        yield Person(channel)


async def states(person: Person) -> dict[str, str]:
    found = (await person.ListProposals(parent=OPTIC)).proposals
    return {each.name.rpartition("/")[2]: Proposal.State.Name(each.state).removeprefix("STATE_") for each in found}


def moved_line() -> scene_pb2.Line:
    return scene_pb2.Line(name=LINE, polyline=lawful.polyline((0.1, 0.1), (0.9, 0.9)))
