"""From a camera to an operator and to an authority, over the real processes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from argo.alerting.v1 import alert_service_pb2 as alerting
from argo.alerting.v1 import audit_service_pb2 as audit
from argo.alerting.v1 import coverage_service_pb2 as ledger
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from argo.alerting.v1.audit_service_pb2_grpc import AuditServiceStub
from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceStub
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from tests.e2e.street import OPTIC, REASON, Street, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

AUTHORITY = "authority/polizia-locale"
RECIPIENT = "authorities/polizia-locale"
EXAMPLE = Path("docs/examples/watch_alerts.py").resolve()
SEARCH_EXAMPLE = EXAMPLE.with_name("search_testimony.py")
CROWD_EXAMPLE = Path("docs/examples/watch_crowd_event.py").resolve()


async def test_every_analysed_picture_is_masked(street: Street) -> None:
    analysed = (await street.streaming(OPTIC)).counters.frames_analysed

    async def masked() -> gateway.Session | None:
        # A verdict comes before its masked picture, so what was analysed then is masked by now or soon.
        session = await street.session(OPTIC)
        if session is None or session.counters.frames_masked <= analysed or not session.coverage.masked_seconds:
            return None
        return session

    session = await until("all that was analysed is masked", masked)
    assert session.counters.unmasked_frames_out == 0
    assert session.counters.frames_analysed > 0


async def test_an_alert_explains_itself(street: Street) -> None:
    alert = await street.first_alert()

    event = alert.event
    assert event.rule.startswith(f"{OPTIC}/rules/")
    assert event.place.startswith((f"{OPTIC}/zones/", f"{OPTIC}/lines/"))
    assert event.measurement.quantity
    assert event.measurement.value >= event.measurement.threshold
    assert len(event.model_digest) == 64


async def test_an_authority_sees_an_alert_only_after_an_operator_has_dispatched_it(street: Street) -> None:
    alert = await street.raised_alert()
    assert await street.alerts(AUTHORITY) == []

    async with street.channel("alerting") as channel:
        stub: Any = AlertServiceStub(channel)
        await stub.AcknowledgeAlert(alerting.AcknowledgeAlertRequest(name=alert.name, reason="looking"))
        await stub.DispatchAlert(
            alerting.DispatchAlertRequest(name=alert.name, recipient=RECIPIENT, reason="patrol is needed")
        )
    seen = await street.alerts(AUTHORITY)

    assert [other.name for other in seen] == [alert.name]
    async with street.channel("alerting", "auditor/local") as channel:
        entries = await _audit_entries(channel)
    handed_over = [entry for entry in entries if entry.act == audit.AuditEntry.ACT_COMMUNICATION]
    assert any(entry.recipient in {RECIPIENT, AUTHORITY} for entry in handed_over)


async def _audit_entries(channel: grpc.aio.Channel) -> list[audit.AuditEntry]:
    stub: Any = AuditServiceStub(channel)
    found: list[audit.AuditEntry] = []
    request = audit.ListAuditEntriesRequest(page_size=1000, reason=REASON)
    while True:
        page = await stub.ListAuditEntries(request)
        found += page.entries
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_an_authority_cannot_acknowledge(street: Street) -> None:
    alert = await street.first_alert()

    async with street.channel("alerting", AUTHORITY) as channel:
        stub: Any = AlertServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.AcknowledgeAlert(alerting.AcknowledgeAlertRequest(name=alert.name))

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_coverage_ledger_knows_the_optic(street: Street) -> None:
    await street.streaming(OPTIC)

    async def covered() -> ledger.OpticCoverage | None:
        request = ledger.ListCoverageRequest(optics=[OPTIC], reason="test")
        request.start_time.FromSeconds(int(time.time()) - 3600)
        request.end_time.FromSeconds(int(time.time()) + 60)
        async with street.channel("alerting") as channel:
            stub: Any = CoverageServiceStub(channel)
            coverages = (await stub.ListCoverage(request)).coverages
        return coverages[0] if coverages and coverages[0].coverage.masked_seconds else None

    coverage = (await until("coverage of the optic", covered)).coverage

    assert coverage.received_seconds >= coverage.analysed_seconds > 0


async def test_the_example_client_prints_alerts(street: Street, tmp_path: Path) -> None:
    await street.first_alert()
    (tmp_path / ".argo").symlink_to(street.mesh.state.path)

    client = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert client.stdout is not None
    try:
        line = (await asyncio.wait_for(client.stdout.readline(), 30)).decode()
    finally:
        client.kill()
        await client.wait()

    assert line.startswith("alerts/")


async def test_the_example_of_a_testimony_searches(street: Street, tmp_path: Path) -> None:
    (tmp_path / ".argo").symlink_to(street.mesh.state.path)

    client = await asyncio.create_subprocess_exec(
        sys.executable, str(SEARCH_EXAMPLE), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    printed, complaint = await client.communicate()

    assert (client.returncode, complaint.decode()) == (0, "")
    assert re.fullmatch(r"\d+ found, \d+ optics were blind for some of the time", printed.decode().splitlines()[-1])


async def test_the_counts_of_a_zone_reach_whoever_watches_an_event(street: Street, tmp_path: Path) -> None:
    (tmp_path / ".argo").symlink_to(street.mesh.state.path)

    client = await asyncio.create_subprocess_exec(
        sys.executable, str(CROWD_EXAMPLE), f"{OPTIC}/zones/area", cwd=tmp_path, stdout=subprocess.PIPE
    )
    assert client.stdout is not None
    try:
        line = ""
        # Nothing is known until the first counts have come.
        while "green" not in line and "amber" not in line and "red" not in line:
            line = (await client.stdout.readline()).decode()
            assert line.startswith("square "), line
    finally:
        if client.returncode is None:
            client.kill()
        await client.wait()
