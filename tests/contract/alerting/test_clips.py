"""Masked clips in the console: of an alarm for who handles it, of recordings for who may look at them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from alerting.assembly import Parts
from mesh.identity import Identity
from mesh.postgres import Pool
from tests.contract.alerting.peers import TOKEN, Peers
from tests.integration.alerting.support import OPTIC, batch, delivery, event

PURPOSE = {"purpose": "control-room-watch"}
NOON = {"start": "2026-11-22T12:00:00Z", "end": "2026-11-22T12:01:00Z"}
RECORDING = {"optic": OPTIC, **NOON, **PURPOSE, "reason": "a child is lost"}


@pytest.fixture
async def rossi(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Operator rossi, signed in."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get("/", params={"token": TOKEN}) as response:
            assert response.status == 200
        yield session


async def raised(parts: Parts) -> str:
    message = event()
    await parts.consumers.take_events(batch(message), delivery())
    return f"alerts/a-{message.event_id}"


async def get(session: aiohttp.ClientSession, path: str, **query: str) -> tuple[int, bytes]:
    async with session.get(path, params=query) as response:
        return response.status, await response.read()


async def test_an_alarm_shows_its_seconds_on_record_in_both_logs(
    rossi: aiohttp.ClientSession, parts: Parts, pool: Pool, peers: Peers
) -> None:
    name = await raised(parts)

    status, content = await get(rossi, f"/api/{name}/clip", **PURPOSE)

    (asked,) = peers.recordings.alarms
    span = asked.interval.end_time.ToDatetime() - asked.interval.start_time.ToDatetime()
    entries = [row["what"] for row in await pool.fetch("SELECT what FROM audit_entries ORDER BY sequence")]
    assert (status, content) == (200, b"alarm clip")
    assert (asked.alert, asked.optic, asked.access.viewer) == (name, OPTIC, "operator/rossi")
    assert list(asked.access.rights) == ["alarm", "live"]
    assert 0 < span.total_seconds() <= 60
    assert entries[0] == name
    assert entries[1].startswith(f"{OPTIC}, masked recording, ")


async def test_somebody_elses_alarm_and_one_that_is_over_show_nothing(
    rossi: aiohttp.ClientSession, parts: Parts, pool: Pool, peers: Peers
) -> None:
    name = await raised(parts)
    await pool.execute("UPDATE alerts SET owner = 'operator/verdi'")
    foreign, _ = await get(rossi, f"/api/{name}/clip", **PURPOSE)
    await pool.execute("UPDATE alerts SET owner = 'operator/rossi', state = 5")
    closed, _ = await get(rossi, f"/api/{name}/clip", **PURPOSE)
    without_purpose, _ = await get(rossi, f"/api/{name}/clip")
    unknown, _ = await get(rossi, f"/api/alerts/a-{uuid.uuid4()}/clip", **PURPOSE)

    assert (foreign, closed, without_purpose, unknown) == (403, 400, 400, 404)
    assert not peers.recordings.alarms


async def test_without_the_log_no_clip_is_shown(
    rossi: aiohttp.ClientSession, parts: Parts, pool: Pool, peers: Peers
) -> None:
    name = await raised(parts)
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")

    assert (await get(rossi, f"/api/{name}/clip", **PURPOSE))[0] == 503
    assert not peers.recordings.alarms


async def test_an_operator_sees_a_recording_only_by_breaking_the_glass(
    rossi: aiohttp.ClientSession, parts: Parts, peers: Peers
) -> None:
    refused, _ = await get(rossi, "/api/recordings/clip", **RECORDING)
    person = Identity("argo.test", "operator/rossi")
    case = await parts.oversight.break_glass.take(person, "deferred", "a child is lost", "112/7")
    shown, content = await get(rossi, "/api/recordings/clip", **RECORDING)
    await parts.oversight.break_glass.end(case.case_id, person.path)
    again, _ = await get(rossi, "/api/recordings/clip", **RECORDING)

    (asked,) = peers.recordings.clips
    assert (refused, shown, again) == (403, 200, 403)
    assert content == b"clip"
    assert (asked.access.viewer, list(asked.access.rights_taken)) == ("operator/rossi", ["deferred"])
    assert asked.access.reason == "a child is lost"


@pytest.mark.parametrize("missing", ["optic", "start", "purpose", "reason"])
async def test_a_recording_needs_to_be_asked_for_in_full(
    rossi: aiohttp.ClientSession, parts: Parts, peers: Peers, missing: str
) -> None:
    await parts.oversight.break_glass.take(Identity("argo.test", "operator/rossi"), "deferred", "a child is lost", "")
    query = {key: value for key, value in RECORDING.items() if key != missing}

    assert (await get(rossi, "/api/recordings/clip", **query))[0] == 400
    assert not peers.recordings.clips
