from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any

import grpc
import pytest

from anonymizer.domain.holding import Holds
from anonymizer.erasure import HeldSegments
from anonymizer.erasure_index import ErasureIndex
from anonymizer.reports import ErasureReports
from argo.anonymizer.v1 import erasure_service_pb2 as pb
from argo.anonymizer.v1.erasure_service_pb2_grpc import ErasureServiceStub
from mesh.settings import ServiceSettings
from mesh.signing import verify
from mesh.testing import calling
from tests.contract.anonymizer.archive import NOON, World, reason_of

AUDITOR = "auditor/neri"


@asynccontextmanager
async def reports_of(world: World, path: str = AUDITOR) -> AsyncIterator[Any]:
    async with calling(
        world.server, world.authority, path, peer="service/anonymizer", settings_type=ServiceSettings
    ) as channel:
        yield ErasureServiceStub(channel)


@pytest.fixture
async def days(world: World) -> list[date]:
    """The days of three reports."""
    for number in range(3):
        reports = ErasureReports(world.store, ErasureIndex(world.database), world.signer, "argo test")
        now: datetime = NOON + timedelta(days=number)
        await reports.write_due(now, HeldSegments(), Holds(), registry_lost=False)
    return [date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23)]


async def test_reports_are_listed_by_page_and_given_with_their_signature(world: World, days: list[date]) -> None:
    async with reports_of(world) as stub:
        first = await stub.ListErasureReports(pb.ListErasureReportsRequest(page_size=2, reason="yearly audit"))
        second = await stub.ListErasureReports(
            pb.ListErasureReportsRequest(page_size=2, page_token=first.next_page_token, reason="yearly audit")
        )
        listed = [*first.erasure_reports, *second.erasure_reports]
        report = await stub.GetErasureReport(pb.GetErasureReportRequest(name=listed[1].name, reason="yearly audit"))

    assert [each.name for each in listed] == [f"erasureReports/{day}" for day in days]
    assert second.next_page_token == ""
    assert hashlib.sha256(report.signed_report).digest() == report.sha256 == listed[1].sha256
    assert verify(report.signed_report).payload["period"][0].startswith("2026-11-22")
    assert [row["act"] for row in await world.entries()][-3:] == ["consultation"] * 3


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.GetErasureReportRequest(name="erasureReports/2020-01-01", reason="x"), ("NOT_FOUND", "REPORT_NOT_FOUND")),
        (pb.GetErasureReportRequest(name="2026-11-22", reason="x"), ("INVALID_ARGUMENT", "INVALID_ERASURE_REQUEST")),
        (
            pb.GetErasureReportRequest(name="erasureReports/../../keys", reason="x"),
            ("INVALID_ARGUMENT", "INVALID_ERASURE_REQUEST"),
        ),
        (pb.GetErasureReportRequest(name="erasureReports/2026-11-22"), ("INVALID_ARGUMENT", "INVALID_ERASURE_REQUEST")),
    ],
)
async def test_what_cannot_be_given(
    world: World, days: list[date], request_: pb.GetErasureReportRequest, expected: tuple[str, str]
) -> None:
    async with reports_of(world) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetErasureReport(request_)

    assert reason_of(caught.value) == expected


async def test_without_the_audit_log_no_report_is_given(world: World, days: list[date]) -> None:
    await world.pool.execute("ALTER TABLE audit_entries RENAME TO gone")
    async with reports_of(world) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetErasureReport(pb.GetErasureReportRequest(name="erasureReports/2026-11-22", reason="x"))

    assert reason_of(caught.value) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
