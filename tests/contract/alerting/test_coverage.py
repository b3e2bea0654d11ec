"""The question behind the ledger: which optics were blind between two and three o'clock, and why."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alerting.assembly import Parts
from alerting.domain.coverage import Span
from alerting.settings import AlertingSettings
from argo.alerting.v1 import audit_service_pb2 as audit_v1
from argo.alerting.v1 import coverage_service_pb2 as v1
from argo.alerting.v1.audit_service_pb2_grpc import AuditServiceStub
from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceStub
from argo.camera_gateway.v1 import coverage_pb2
from mesh.authority import CertificateAuthority
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from mesh.settings import ServiceSettings
from mesh.testing import calling, serving
from tests.integration.alerting import support
from tests.integration.alerting.support import delivery

if TYPE_CHECKING:
    from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

TWO = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HEALTHY, GONE, DARK, SILENT, PARTLY = (f"devices/pole/optics/{name}" for name in "abcde")
ALL = [HEALTHY, GONE, DARK, SILENT, PARTLY]
Report = coverage_pb2.HealthReport


async def report(parts: Parts, optic: str, start: datetime, **fields: Any) -> None:
    """A minute's report of an optic; healthy if not told otherwise."""
    sums = {"received_seconds": 60, "analysed_seconds": 60, "masked_seconds": 60, "elapsed_seconds": 60}
    counts = {"received_frames": 300, "analysed_frames": 30, "held_back_frames": 260, "shed_frames": 10}
    fields.setdefault("coverage", coverage_pb2.Coverage(**sums, **counts))
    message = Report(report_id=str(uuid.uuid4()), optic=optic, site="sites/square", replica="g", **fields)
    message.start_time.FromDatetime(start)
    message.interval.FromTimedelta(MINUTE)
    for gap in message.gaps:
        gap.start_time.FromDatetime(start)
        gap.duration.FromTimedelta(MINUTE)
    await parts.consumers.take_report(message, delivery())


@pytest.fixture
async def hour(parts: Parts) -> None:
    """An hour of five optics of the registry: healthy, lost, too dark for ten minutes, never reported, partly so."""
    parts.roster.update(ALL, TWO + HOUR)
    lost = coverage_pb2.Coverage(lost_seconds=60, elapsed_seconds=60)
    stalled = [coverage_pb2.Gap(kind=coverage_pb2.Gap.KIND_NOT_RECEIVED, reason="STALL")]
    for minute in range(60):
        start = TWO + minute * MINUTE
        await report(parts, HEALTHY, start)
        if 10 <= minute < 20:
            await report(parts, GONE, start, coverage=lost, gaps=stalled, impairments=[Report.IMPAIRMENT_SIGNAL_LOSS])
        else:
            await report(parts, GONE, start)
        dark = [Report.IMPAIRMENT_IMAGE_TOO_DARK] if 30 <= minute < 40 else []
        await report(parts, DARK, start, impairments=dark)
        if minute >= 45:
            await report(parts, PARTLY, start)
    # Before the hour: it says nothing of the hour.
    await report(parts, SILENT, TWO - 5 * MINUTE)


async def test_the_ledger_says_what_is_recorded(
    hour: None, stub: CoverageServiceAsyncStub, pool: Pool, service_settings: AlertingSettings,
    authority: CertificateAuthority,
) -> None:  # fmt: skip
    asked: list[str] = []

    async def recorded(optics: Sequence[str], span: Span) -> dict[str, list[Span]]:
        asked.extend(optics)
        return {HEALTHY: [(TWO - HOUR, TWO + HOUR)], PARTLY: [(TWO, TWO + 15 * MINUTE)]}

    unknown = await stub.ListCoverage(question(optics=[HEALTHY]))
    told = support.parts(pool, service_settings, read_recorded=recorded)
    request = question(optics=[HEALTHY, PARTLY])
    request.step.FromTimedelta(30 * MINUTE)
    async with (
        serving(service_settings, told.register) as server,
        calling(server, authority, "operator/rossi", peer="service/alerting", settings_type=ServiceSettings) as channel,
    ):
        whole, partly = (await CoverageServiceStub(channel).ListCoverage(request)).coverages

    assert not unknown.coverages[0].HasField("recorded_seconds")
    assert asked == [HEALTHY, PARTLY]
    assert (whole.recorded_seconds, partly.recorded_seconds) == (3600, 900)
    assert [step.recorded_seconds for step in whole.steps] == [1800, 1800]
    gaps = [gap for gap in partly.gaps if gap.kind == coverage_pb2.Gap.KIND_NOT_RECORDED]
    assert [(gap.start_time.ToDatetime(tzinfo=UTC), gap.duration.ToTimedelta()) for gap in gaps] == [
        (TWO + 15 * MINUTE, 45 * MINUTE)
    ]
    assert not [gap for gap in whole.gaps if gap.kind == coverage_pb2.Gap.KIND_NOT_RECORDED]


@pytest.fixture
async def stub(connect: Connect) -> CoverageServiceAsyncStub:
    return CoverageServiceStub(await connect("operator/rossi"))


def question(**fields: Any) -> v1.ListCoverageRequest:
    request = v1.ListCoverageRequest(reason="what was seen of the theft", **fields)
    request.start_time.FromDatetime(TWO)
    request.end_time.FromDatetime(TWO + HOUR)
    return request


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def why(coverage: v1.OpticCoverage) -> list[tuple[str, int, int]]:
    """What was missing or wrong, from which minute on, for how many."""
    causes = [(gap.reason, gap.start_time, gap.duration) for gap in coverage.gaps]
    causes += [
        (Report.Impairment.Name(wrong.impairment), wrong.start_time, wrong.duration)
        for wrong in coverage.impaired_times
    ]
    return [
        (name, round((time.ToDatetime(tzinfo=UTC) - TWO) / MINUTE), round(length.ToTimedelta() / MINUTE))
        for name, time, length in causes
    ]


@pytest.mark.usefixtures("hour")
async def test_which_optics_were_blind_and_why(stub: CoverageServiceAsyncStub) -> None:
    answer = await stub.ListCoverage(question(blind_only=True))

    assert {coverage.optic: why(coverage) for coverage in answer.coverages} == {
        GONE: [("STALL", 10, 10), ("IMPAIRMENT_SIGNAL_LOSS", 10, 10)],
        DARK: [("IMPAIRMENT_IMAGE_TOO_DARK", 30, 10)],
        SILENT: [("NOT_REPORTED", 0, 60)],
        PARTLY: [("NOT_REPORTED", 0, 45)],
    }
    assert [coverage.unknown_seconds for coverage in answer.coverages] == [0, 0, 3600, 2700]
    assert answer.optics_time.ToDatetime(tzinfo=UTC) == TWO + HOUR
    assert not answer.next_page_token


@pytest.mark.usefixtures("hour")
async def test_every_optic_of_the_registry_is_listed_page_by_page(stub: CoverageServiceAsyncStub) -> None:
    listed: list[str] = []
    token = ""
    while True:
        answer = await stub.ListCoverage(question(page_size=2, page_token=token))
        listed += [coverage.optic for coverage in answer.coverages]
        token = answer.next_page_token
        if not token:
            break

    assert listed == ALL


@pytest.mark.usefixtures("hour")
async def test_an_optic_that_only_a_gateway_knows_is_listed_too(stub: CoverageServiceAsyncStub, parts: Parts) -> None:
    parts.roster.update([SILENT], TWO)

    assert [coverage.optic for coverage in (await stub.ListCoverage(question())).coverages] == ALL


@pytest.mark.usefixtures("hour")
async def test_seconds_and_frames_are_given_by_the_minute(stub: CoverageServiceAsyncStub) -> None:
    request = question(optics=[GONE])
    request.step.FromTimedelta(MINUTE)

    (coverage,) = (await stub.ListCoverage(request)).coverages

    assert [step.start_time.ToDatetime(tzinfo=UTC) for step in coverage.steps] == [TWO + n * MINUTE for n in range(60)]
    lost = [step.coverage.lost_seconds for step in coverage.steps]
    assert lost == [0] * 10 + [60] * 10 + [0] * 40
    sums = coverage.coverage
    assert (sums.received_frames, sums.held_back_frames, sums.shed_frames) == (50 * 300, 50 * 260, 50 * 10)
    assert sum(step.coverage.analysed_frames for step in coverage.steps) == sums.analysed_frames == 50 * 30


async def test_time_to_come_is_not_unknown(stub: CoverageServiceAsyncStub) -> None:
    request = question(optics=[SILENT])
    request.start_time.FromDatetime(datetime.now(UTC))
    request.end_time.FromDatetime(datetime.now(UTC) + HOUR)

    (coverage,) = (await stub.ListCoverage(request)).coverages

    assert coverage.unknown_seconds == 0
    assert not coverage.gaps


async def test_nobody_has_named_the_optics_yet_and_the_answer_says_so(stub: CoverageServiceAsyncStub) -> None:
    answer = await stub.ListCoverage(question())

    assert not answer.HasField("optics_time")
    assert not answer.coverages


@pytest.mark.parametrize("seconds", [30, 90, 0, -60])
async def test_a_step_that_is_no_number_of_minutes_is_refused(stub: CoverageServiceAsyncStub, seconds: int) -> None:
    request = question()
    request.step.FromSeconds(seconds)

    assert (await refusal(stub.ListCoverage(request))).violations[0].field == "step"


async def test_too_many_steps_are_refused(stub: CoverageServiceAsyncStub) -> None:
    request = question()
    request.start_time.FromDatetime(TWO - timedelta(days=2))
    request.step.FromTimedelta(MINUTE)

    assert (await refusal(stub.ListCoverage(request))).violations[0].field == "step"


@pytest.mark.usefixtures("hour")
async def test_a_look_at_the_ledger_is_on_record_with_its_reason(
    stub: CoverageServiceAsyncStub, connect: Connect
) -> None:
    await stub.ListCoverage(question(blind_only=True))

    auditor = AuditServiceStub(await connect("auditor/bianchi"))
    (entry, *_) = (await auditor.ListAuditEntries(audit_v1.ListAuditEntriesRequest(reason="check"))).entries
    assert (entry.act, entry.actor) == (audit_v1.AuditEntry.ACT_CONSULTATION, "operator/rossi")
    assert entry.reason == "what was seen of the theft"
    assert f"4 from {GONE} to {PARTLY}" in entry.subject
    request = question()
    request.reason = ""
    assert (await refusal(stub.ListCoverage(request))).violations[0].field == "reason"


async def test_without_an_audit_log_nothing_is_told(stub: CoverageServiceAsyncStub, pool: Pool) -> None:
    await pool.execute("ALTER TABLE audit_entries RENAME TO audit_entries_away")

    error = await refusal(stub.ListCoverage(question()))
    assert (error.code, error.reason) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
