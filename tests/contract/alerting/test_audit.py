from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import grpc
import pytest

from alerting.assembly import Parts
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1 import audit_service_pb2 as audit_v1
from argo.alerting.v1 import coverage_service_pb2 as coverage_v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from argo.alerting.v1.audit_service_pb2_grpc import AuditServiceStub
from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceStub
from mesh.embedded import EmbeddedPostgres
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting.support import OPTIC, batch, delivery, event

if TYPE_CHECKING:
    from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


@pytest.fixture
async def name(parts: Parts) -> str:
    message = event()
    await parts.consumers.take_events(batch(message), delivery())
    return f"alerts/a-{message.event_id}"


async def test_every_look_and_every_act_is_on_record(
    operator: AlertServiceAsyncStub, connect: Connect, name: str
) -> None:
    police = AlertServiceStub(await connect("authority/questura"))
    await operator.GetAlert(v1.GetAlertRequest(name=name, reason="first look"))
    await operator.ListAlerts(v1.ListAlertsRequest(reason="overview"))
    await anext(aiter(operator.WatchAlerts(v1.WatchAlertsRequest(reason="shift"))))
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name))
    await operator.DispatchAlert(v1.DispatchAlertRequest(name=name, recipient="authorities/questura", reason="fight"))
    await police.GetAlert(v1.GetAlertRequest(name=name, reason="duty"))

    auditor = AuditServiceStub(await connect("auditor/bianchi"))
    listed = await auditor.ListAuditEntries(audit_v1.ListAuditEntriesRequest(reason="yearly check"))
    rows = [(entry.act, entry.actor, entry.reason, entry.subject, entry.recipient) for entry in listed.entries]
    assert rows == [
        (audit_v1.AuditEntry.ACT_CONSULTATION, "operator/rossi", "first look", name, ""),
        (
            audit_v1.AuditEntry.ACT_CONSULTATION,
            "operator/rossi",
            "overview",
            f"alerts/-, 1 from {name} to {name}",
            "",
        ),
        (audit_v1.AuditEntry.ACT_CONSULTATION, "operator/rossi", "shift", "alerts/-, watch", ""),
        (audit_v1.AuditEntry.ACT_CHANGE, "operator/rossi", "acknowledge, no reason given", name, ""),
        (audit_v1.AuditEntry.ACT_COMMUNICATION, "operator/rossi", "fight", name, "authority/questura"),
        (audit_v1.AuditEntry.ACT_COMMUNICATION, "authority/questura", "duty", name, "authority/questura"),
        (audit_v1.AuditEntry.ACT_CONSULTATION, "auditor/bianchi", "yearly check", "audit entries after 0, all", ""),
    ]
    verified = await auditor.VerifyAuditLog(audit_v1.VerifyAuditLogRequest())
    assert (verified.entries, verified.first_bad_sequence) == (7, 0)
    assert verified.head == listed.entries[-1].digest


async def test_a_row_edited_by_a_superuser_is_found_and_named(
    operator: AlertServiceAsyncStub, connect: Connect, pool: Pool, database: EmbeddedPostgres, name: str
) -> None:
    for number in range(3):
        await operator.GetAlert(v1.GetAlertRequest(name=name, reason=f"look {number}"))
    schema = await pool.fetchval("SELECT current_schema()")
    superuser = await asyncpg.connect(database.dsn)
    await superuser.execute(f"ALTER TABLE {schema}.audit_entries DISABLE TRIGGER ALL")
    await superuser.execute(f"UPDATE {schema}.audit_entries SET why = 'nothing' WHERE sequence = 2")  # noqa: S608
    await superuser.close()

    auditor = AuditServiceStub(await connect("auditor/bianchi"))
    assert (await auditor.VerifyAuditLog(audit_v1.VerifyAuditLogRequest())).first_bad_sequence == 2


async def test_without_an_audit_log_nothing_is_disclosed_and_nothing_changes(
    operator: AlertServiceAsyncStub, pool: Pool, name: str
) -> None:
    await pool.execute("ALTER TABLE audit_entries RENAME TO audit_entries_away")

    for call in (
        operator.GetAlert(v1.GetAlertRequest(name=name, reason="look")),
        operator.ListAlerts(v1.ListAlertsRequest(reason="look")),
        anext(aiter(operator.WatchAlerts(v1.WatchAlertsRequest(reason="look")))),
        operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name)),
    ):
        error = await refusal(call)
        assert (error.code, error.reason) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
    assert await pool.fetchval("SELECT state FROM alerts") == 1


async def test_without_the_right_to_write_the_log_nothing_is_disclosed(
    operator: AlertServiceAsyncStub, pool: Pool, name: str
) -> None:
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")

    error = await refusal(operator.GetAlert(v1.GetAlertRequest(name=name, reason="look")))
    assert (error.code, error.reason) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")


async def test_without_the_database_nothing_is_disclosed_and_with_it_again_everything_works(
    operator: AlertServiceAsyncStub, database: EmbeddedPostgres, name: str
) -> None:
    request = v1.GetAlertRequest(name=name, reason="look")
    database.kill()
    try:
        assert (await refusal(operator.GetAlert(request))).code == "UNAVAILABLE"
        assert (await refusal(operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name)))).code == "UNAVAILABLE"
        watch = operator.WatchAlerts(v1.WatchAlertsRequest(reason="look"))
        assert (await refusal(anext(aiter(watch)))).code == "UNAVAILABLE"
    finally:
        await database.start()

    assert (await operator.GetAlert(request)).state == v1.Alert.STATE_RAISED


async def test_the_log_is_the_auditors_alone(operator: AlertServiceAsyncStub, connect: Connect) -> None:
    for path in ("operator/rossi", "authority/questura", "service/registry"):
        stub = AuditServiceStub(await connect(path))
        error = await refusal(stub.ListAuditEntries(audit_v1.ListAuditEntriesRequest(reason="curious")))
        assert error.code == "PERMISSION_DENIED"


async def test_the_log_is_read_in_pages_and_with_a_reason(connect: Connect) -> None:
    auditor = AuditServiceStub(await connect("auditor/bianchi"))
    for number in range(3):
        await auditor.ListAuditEntries(audit_v1.ListAuditEntriesRequest(reason=f"look {number}"))
    first = await auditor.ListAuditEntries(audit_v1.ListAuditEntriesRequest(reason="page", page_size=2))
    second = await auditor.ListAuditEntries(
        audit_v1.ListAuditEntriesRequest(reason="page", page_size=2, page_token=first.next_page_token)
    )

    assert [entry.sequence for entry in (*first.entries, *second.entries)] == [1, 2, 3, 4]
    error = await refusal(auditor.ListAuditEntries(audit_v1.ListAuditEntriesRequest()))
    assert error.violations[0].field == "reason"
    bad = audit_v1.ListAuditEntriesRequest(reason="page", page_token="MTox")
    assert (await refusal(auditor.ListAuditEntries(bad))).code == "INVALID_ARGUMENT"


async def test_coverage_that_nobody_reported_is_said_to_be_unknown(connect: Connect) -> None:
    stub = CoverageServiceStub(await connect("operator/rossi"))
    request = coverage_v1.ListCoverageRequest(optics=[OPTIC], reason="shift")
    request.start_time.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
    request.end_time.FromDatetime(datetime.now(UTC))

    (coverage,) = (await stub.ListCoverage(request)).coverages
    assert coverage.optic == OPTIC
    assert coverage.coverage.elapsed_seconds == 0
    request.end_time.CopyFrom(request.start_time)
    assert (await refusal(stub.ListCoverage(request))).violations[0].field == "end_time"
