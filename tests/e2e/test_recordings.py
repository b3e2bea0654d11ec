"""What the mesh recorded by itself is listed, read, exported, and checked without it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import av
import pytest

from anonymizer import cli
from argo.alerting.v1 import coverage_service_pb2
from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceStub
from argo.anonymizer.v1 import recording_service_pb2 as pb
from argo.anonymizer.v1.recording_service_pb2_grpc import RecordingServiceStub
from tests.e2e.street import OPTIC, Street

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCESS = pb.Access(purpose="test of the road", reason="end to end", case_reference="e2e/1")


async def test_a_recording_is_listed_exported_and_checked(
    street: Street, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await street.streaming(OPTIC)
    recording = await street.recorded(OPTIC, datetime.now(UTC) - timedelta(hours=1))
    async with street.channel("anonymizer", "supervisor/e2e") as channel:
        stub = RecordingServiceStub(channel)
        asked = pb.ExportClipRequest(
            optic=OPTIC, interval=recording.interval, access=ACCESS, recipient="authorities/questura"
        )
        parts = [part async for part in stub.ExportClip(asked)]
    clip = b"".join(part.content for part in parts)
    (tmp_path / "clip.mp4").write_bytes(clip)
    (tmp_path / f"clip.mp4{cli.MANIFEST}").write_bytes(parts[-1].signed_manifest)

    with av.open(io.BytesIO(clip), "r") as container:
        pictures = sum(1 for _ in container.decode(video=0))
    connection = await asyncpg.connect(street.mesh.environments.of("anonymizer")["ARGO_POSTGRES_DSN"])
    acts = await connection.fetch(
        "SELECT act, who FROM anonymizer.audit_entries WHERE case_reference = 'e2e/1' ORDER BY sequence DESC LIMIT 2"
    )
    await connection.close()

    assert cli.main(["verify", str(tmp_path)]) == cli.WHOLE
    assert f'"pictures": {pictures}' in capsys.readouterr().out
    assert [tuple(row) for row in acts] == [("disclosure", "supervisor/e2e")]


async def test_the_ledger_knows_what_is_recorded(street: Street) -> None:
    await street.streaming(OPTIC)
    recording = await street.recorded(OPTIC, datetime.now(UTC) - timedelta(hours=1))
    request = coverage_service_pb2.ListCoverageRequest(optics=[OPTIC], reason="end to end")
    request.start_time.CopyFrom(recording.interval.start_time)
    request.end_time.CopyFrom(recording.interval.end_time)

    async with street.channel("alerting") as channel:
        (coverage,) = (await CoverageServiceStub(channel).ListCoverage(request)).coverages

    lasted = recording.interval.end_time.ToDatetime() - recording.interval.start_time.ToDatetime()
    assert coverage.recorded_seconds >= lasted.total_seconds()
