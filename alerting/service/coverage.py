from __future__ import annotations

from typing import Any

from alerting import contracts
from alerting.domain import tokens
from alerting.domain.coverage import OpticCoverage
from alerting.store.coverage import CoverageStore
from argo.alerting.v1 import coverage_service_pb2 as v1
from argo.alerting.v1 import coverage_service_pb2_grpc as v1_grpc


class CoverageServicer(v1_grpc.CoverageServiceServicer):
    """``argo.alerting.v1.CoverageService``."""

    def __init__(self, store: CoverageStore) -> None:
        self._store = store

    async def ListCoverage(self, request: v1.ListCoverageRequest, _context: Any) -> v1.ListCoverageResponse:  # noqa: N802 - the contract's name
        """See the contract. An optic that was asked for and that nobody reported on has zero seconds: unknown."""
        start, end = (
            contracts.time_of(request, "start_time"),
            contracts.time_of(request, "end_time"),
        )
        if end <= start:
            raise tokens.invalid("end_time", "must be after start_time")
        limit = tokens.page_size(request.page_size)
        wanted = sorted({contracts.optic_name(optic, "optics") for optic in request.optics})
        after = tokens.decode_token(request.page_token, 1, "page_token")[0] if request.page_token else ""
        wanted_here = [optic for optic in wanted if optic > after][:limit]
        known = await self._store.list_coverage(start, end, wanted_here, after=after, limit=limit)
        coverages = _with_unknown(known, wanted_here) if wanted else known
        more = len(coverages) == limit and (not wanted or wanted[-1] != coverages[-1].optic)
        return v1.ListCoverageResponse(
            coverages=[contracts.coverage_message(coverage) for coverage in coverages],
            next_page_token=tokens.encode_token(coverages[-1].optic) if more else "",
        )


def _with_unknown(known: list[OpticCoverage], wanted: list[str]) -> list[OpticCoverage]:
    by_optic = {coverage.optic: coverage for coverage in known}
    return [by_optic.get(optic, OpticCoverage(optic)) for optic in wanted]
