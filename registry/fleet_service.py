"""FleetService: whole fleets in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from argo.registry.v1 import fleet_service_pb2 as pb
from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import current_identity
from registry import tenancy
from registry.auditing import ReadLog
from registry.database import uninterrupted
from registry.domain import fields
from registry.domain.network import CameraNetworks
from registry.onboarding.fleet_store import FleetStore, Outcome
from registry.onboarding.rows import read_rows
from registry.store import Author

FULL_NAME = "argo.registry.v1.FleetService"
MAXIMUM_ROWS = 10_000


class FleetServicer:
    """Imports and exports the records of the caller's controller."""

    def __init__(self, store: FleetStore, reads: ReadLog, networks: CameraNetworks) -> None:
        """Takes the store, the log of reads, and the networks where cameras may be."""
        self._store = store
        self._reads = reads
        self._networks = networks

    async def ImportFleet(self, request: pb.ImportFleetRequest, _context: Any) -> pb.ImportFleetResponse:  # noqa: N802 - the contract's name
        """Stores all rows or none, unless it may be some."""
        _check(request)
        identity = current_identity()
        author = Author(identity.path, "ImportFleet", request.reason)
        rows, problems = await asyncio.to_thread(read_rows, request.rows, self._networks, identity)
        outcome = await uninterrupted(
            self._store.store(rows, problems, author, partial=request.partial, validate_only=request.validate_only)
        )
        return _response(outcome)

    async def ExportFleet(  # noqa: N802 - the contract's name
        self, _request: pb.ExportFleetRequest, _context: Any
    ) -> AsyncIterator[pb.ExportFleetResponse]:
        """Streams the caller's records; credentials are names of secrets here as everywhere."""
        identity = current_identity()
        controller = tenancy.controller_of(identity)
        await self._reads.record("ExportFleet", f"fleet of {controller}")
        batches = self._store.export(controller, with_controllers=tenancy.is_city_administrator(identity))
        async for kind, records in batches:
            yield pb.ExportFleetResponse(records=[pb.FleetRecord(**{kind: record}) for record in records])


def _check(request: pb.ImportFleetRequest) -> None:
    found = fields.Violations()
    found.add("reason", fields.text_problem(request.reason, required=True))
    found.require("rows", given=bool(request.rows))
    if len(request.rows) > MAXIMUM_ROWS:
        found.found.append(FieldViolation("rows", f"must be at most {MAXIMUM_ROWS}: import the rest separately"))
    if found.found:
        raise InvalidArgument("the import is not valid", reason="INVALID_IMPORT", violations=found.found)


def _response(outcome: Outcome) -> pb.ImportFleetResponse:
    return pb.ImportFleetResponse(
        problems=[
            pb.ImportFleetResponse.Problem(
                source=problem.source, name=problem.name, field=problem.field, description=problem.description
            )
            for problem in outcome.problems
        ],
        stored=outcome.stored,
        created=outcome.created,
        updated=outcome.updated,
        unchanged=outcome.unchanged,
    )
