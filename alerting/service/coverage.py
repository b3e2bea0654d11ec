from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from alerting import contracts
from alerting.domain import tokens
from alerting.domain.audience import Audience
from alerting.domain.coverage import OpticCoverage, Seconds, Span, with_recordings
from alerting.domain.roster import Roster
from alerting.records import Records
from alerting.store.coverage import CoverageStore
from argo.alerting.v1 import coverage_service_pb2 as v1
from argo.alerting.v1 import coverage_service_pb2_grpc as v1_grpc
from argo.camera_gateway.v1 import coverage_pb2
from mesh.identity import current_identity

REPORT_DELAY: Final = timedelta(seconds=15)
"""For so long a report may be on its way: an interval of a gateway, and the bus."""
RECORDING_DELAY: Final = timedelta(seconds=30)
"""For so long a picture may be on its way into the recording: a segment, and the store."""
MINUTE: Final = timedelta(minutes=1)
MOST_STEPS: Final = 1440
PAGE: Final = 100
"""Optics that are examined at once."""

ReadRecorded = Callable[[Sequence[str], Span], Awaitable[Mapping[str, Sequence[Span]] | None]]
"""Says when optics were recorded; none: it cannot be told."""


@dataclass(frozen=True)
class _Question:
    """What is asked for."""

    start: datetime
    end: datetime
    step: timedelta | None
    blind_only: bool


class CoverageServicer(v1_grpc.CoverageServiceServicer):
    """``argo.alerting.v1.CoverageService``."""

    def __init__(
        self,
        store: CoverageStore,
        roster: Roster,
        records: Records,
        clock: Callable[[], datetime],
        read_recorded: ReadRecorded,
    ) -> None:
        self._store = store
        self._roster = roster
        self._records = records
        self._clock = clock
        self._read_recorded = read_recorded

    async def ListCoverage(self, request: v1.ListCoverageRequest, _context: Any) -> v1.ListCoverageResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        reason = contracts.text_of(request.reason, "reason", required=True)
        question, limit = _question(request), tokens.page_size(request.page_size)
        asked = sorted({contracts.optic_name(optic, "optics") for optic in request.optics})
        after = tokens.decode_token(request.page_token, 1, "page_token")[0] if request.page_token else ""
        optics = asked or sorted(self._roster.optics | await self._store.reported_optics(question.start, question.end))
        found, more = await self._page(question, [optic for optic in optics if optic > after], limit)
        await self._records.reading(Audience(current_identity().path), _extent(question, found), reason)
        found = await self._with_recordings(question, found)
        response = v1.ListCoverageResponse(
            coverages=[_message(coverage) for coverage in found],
            next_page_token=tokens.encode_token(found[-1].optic) if more else "",
        )
        if self._roster.time is not None:
            response.optics_time.FromDatetime(self._roster.time)
        return response

    async def _page(self, question: _Question, optics: Sequence[str], limit: int) -> tuple[list[OpticCoverage], bool]:
        """The first coverages that are wanted, and whether there are more."""
        found: list[OpticCoverage] = []
        known_until = self._clock() - REPORT_DELAY
        for first in range(0, len(optics), PAGE):
            some = await self._store.examine(
                question.start,
                question.end,
                optics[first : first + PAGE],
                known_until=known_until,
                step=question.step,
            )
            found += [coverage for coverage in some if coverage.is_blind or not question.blind_only]
            if len(found) > limit:
                break
        return found[:limit], len(found) > limit

    async def _with_recordings(self, question: _Question, found: list[OpticCoverage]) -> list[OpticCoverage]:
        asked, known_until = (question.start, question.end), self._clock() - RECORDING_DELAY
        told: list[OpticCoverage] = []
        for first in range(0, len(found), PAGE):
            some = found[first : first + PAGE]
            recorded = await self._read_recorded([coverage.optic for coverage in some], asked)
            told += (
                some
                if recorded is None
                else [
                    with_recordings(each, recorded.get(each.optic, ()), asked, known_until, question.step)
                    for each in some
                ]
            )
        return told


def _question(request: v1.ListCoverageRequest) -> _Question:
    start, end = contracts.time_of(request, "start_time"), contracts.time_of(request, "end_time")
    if end <= start:
        raise tokens.invalid("end_time", "must be after start_time")
    step = contracts.duration_of(request, "step") if request.HasField("step") else None
    if step is not None and (step < MINUTE or step % MINUTE or (end - start) / step > MOST_STEPS):
        raise tokens.invalid("step", f"must be a whole number of minutes, of which {MOST_STEPS} cover the interval")
    return _Question(start, end, step, request.blind_only)


def _extent(question: _Question, found: Sequence[OpticCoverage]) -> str:
    """What is handed over, for the record."""
    which = f"{len(found)} from {found[0].optic} to {found[-1].optic}" if found else "none"
    return f"coverage of optics, {which}, {question.start.isoformat()} to {question.end.isoformat()}"


def _message(value: OpticCoverage) -> v1.OpticCoverage:
    message = v1.OpticCoverage(
        optic=value.optic,
        coverage=_sums(value.seconds),
        impairments=[coverage_pb2.HealthReport.Impairment.ValueType(number) for number in value.impairments],
        unknown_seconds=value.unknown.total_seconds(),
        steps=[
            v1.CoverageStep(
                start_time=contracts.timestamp(step.start_time),
                coverage=_sums(step.seconds),
                recorded_seconds=step.recorded,
            )
            for step in value.steps
        ],
        recorded_seconds=value.recorded,
    )
    for gap in value.gaps:
        kind = coverage_pb2.Gap.Kind.ValueType(gap.kind)
        added = message.gaps.add(start_time=contracts.timestamp(gap.start_time), kind=kind, reason=gap.reason)
        added.duration.FromTimedelta(gap.duration)
    for impaired in value.impaired:
        wrong = coverage_pb2.HealthReport.Impairment.ValueType(impaired.impairment)
        time = message.impaired_times.add(impairment=wrong, start_time=contracts.timestamp(impaired.start_time))
        time.duration.FromTimedelta(impaired.duration)
    return message


def _sums(seconds: Seconds) -> coverage_pb2.Coverage:
    frames = seconds.frames
    return coverage_pb2.Coverage(
        received_seconds=seconds.received,
        analysed_seconds=seconds.analysed,
        masked_seconds=seconds.masked,
        lost_seconds=seconds.lost,
        elapsed_seconds=seconds.elapsed,
        received_frames=frames.received,
        analysed_frames=frames.analysed,
        masked_frames=frames.masked,
        held_back_frames=frames.held_back,
        shed_frames=frames.shed,
    )
