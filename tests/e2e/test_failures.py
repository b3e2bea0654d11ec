"""What an on-call engineer wants to sleep through: each process is killed while video flows."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from argo.registry.v1 import registry_service_pb2 as api
from argo.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from tests.e2e.street import OPTIC, Street, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVICES = ("registry", "detector", "anonymizer", "camera-gateway", "alerting")
SERVERS = ("nats", "postgres")


async def _kill(street: Street, process: str) -> None:
    """kill -9, and wait until another one has taken its place."""
    before = street.mesh.supervisor.pids[process]
    assert before is not None
    os.kill(before, signal.SIGKILL)

    async def back() -> int | None:
        now = street.mesh.supervisor.pids[process]
        return now if now not in {None, before} else None

    await until(f"{process} is started again", back)


async def _flows_again(street: Street) -> None:
    """Pictures are analysed and masked, more than before."""
    before = (await street.streaming(OPTIC)).counters

    async def more() -> bool | None:
        session = await street.session(OPTIC)
        if session is None:
            return None
        now = session.counters
        if now.frames_received < before.frames_received:  # a new gateway counts from nothing
            return (now.frames_analysed > 0 and now.frames_masked > 0) or None
        return (now.frames_analysed > before.frames_analysed and now.frames_masked > before.frames_masked) or None

    await until("video flows again", more)


async def _registry_answers(street: Street) -> None:
    """Leases go on without it, so that video alone does not tell; and other tests need it."""

    async def answer() -> api.ListSitesResponse:
        async with street.channel("registry") as channel:
            stub: Any = RegistryServiceStub(channel)
            response: api.ListSitesResponse = await stub.ListSites(api.ListSitesRequest())
            return response

    assert (await until("the registry answers", answer)).sites


@pytest.mark.parametrize("process", [*SERVICES, *SERVERS])
async def test_a_killed_process_comes_back_and_alerts_go_on(street: Street, process: str) -> None:
    await street.streaming(OPTIC)
    known = await _events_by_alert(street)

    await _kill(street, process)
    await _flows_again(street)
    await _registry_answers(street)

    async def another_event() -> dict[str, int] | None:
        # It may raise an alert, or join one that stands for the same incident.
        now = await _events_by_alert(street)
        return now if sum(now.values()) > sum(known.values()) else None

    now = await until("an event in an alert", another_event)
    assert all(now.get(alert, 0) >= events for alert, events in known.items()), "an alert or an event of it was lost"
    raised_by = [alert.event.event_id for alert in await street.alerts()]
    assert len(set(raised_by)) == len(raised_by), "an event was raised twice"
    session = await street.streaming(OPTIC)
    assert session.counters.unmasked_frames_out == 0


async def _events_by_alert(street: Street) -> dict[str, int]:
    return {alert.name: alert.event_count for alert in await street.alerts()}


async def test_without_the_detector_pictures_are_masked_and_said_to_be_unverdicted(street: Street) -> None:
    before = (await street.streaming(OPTIC)).counters.frames_unverdicted
    pid = street.mesh.supervisor.pids["detector"]
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:

        async def unverdicted() -> int | None:
            session = await street.session(OPTIC)
            return (
                session.counters.frames_unverdicted
                if session and session.counters.frames_unverdicted > before
                else None
            )

        await until("frames without a verdict are masked", unverdicted)
    finally:
        os.kill(pid, signal.SIGCONT)
    session = await street.streaming(OPTIC)
    assert session.counters.unmasked_frames_out == 0
