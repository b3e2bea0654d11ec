"""The coverage ledger from the camera to the question "which optics were blind, and why"."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argo.alerting.v1 import coverage_service_pb2 as ledger
from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceStub
from argo.camera_gateway.v1.coverage_pb2 import Gap
from tests.e2e.street import OPTIC, Street, until

CAMERA = "camera-that-hangs"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextlib.contextmanager
def _hanging(street: Street) -> Iterator[None]:
    """The camera's process stands still: its connections stay, and nothing comes."""
    pid = street.mesh.supervisor.pids[CAMERA]
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _blind(street: Street, since: int) -> dict[str, ledger.OpticCoverage]:
    """Which optics were blind from a time on, by name."""
    request = ledger.ListCoverageRequest(blind_only=True, page_size=1000, reason="test")
    request.start_time.FromSeconds(since)
    request.end_time.FromSeconds(int(time.time()) + 60)
    async with street.channel("alerting") as channel:
        stub: Any = CoverageServiceStub(channel)
        return {each.optic: each for each in (await stub.ListCoverage(request)).coverages}


async def test_the_ledger_says_which_optics_were_blind_and_why(street: Street, sample: Path) -> None:
    optic = await street.register(CAMERA, await street.play(CAMERA, sample))
    await street.streaming(optic)
    await street.streaming(OPTIC)
    began = int(time.time())

    async def stalled() -> ledger.OpticCoverage | None:
        found = (await _blind(street, began - 3600)).get(optic)
        kinds = {gap.kind for gap in found.gaps if gap.reason == "STALL"} if found else set()
        return found if kinds >= {Gap.KIND_NOT_RECEIVED, Gap.KIND_NOT_ANALYSED, Gap.KIND_NOT_MASKED} else None

    with _hanging(street):
        blind = await until("the ledger names the stall", stalled)
    after = await street.streaming(optic)
    await street.forget(CAMERA)

    coverage = blind.coverage
    assert coverage.received_seconds >= coverage.masked_seconds > 0
    assert coverage.received_seconds >= coverage.analysed_seconds > 0
    assert coverage.lost_seconds > 0
    assert coverage.received_seconds + coverage.lost_seconds <= coverage.elapsed_seconds + 1
    assert after.attempts > 1
