from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from alerting.assembly import Parts
from mesh.postgres import Pool
from tests.contract.alerting.peers import TOKEN, WHEP_ORIGIN, Peers
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC, batch, delivery, event


@pytest.fixture
async def browser(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody without a session; keeps cookies as a browser does."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def signed_in(browser: aiohttp.ClientSession) -> aiohttp.ClientSession:
    async with browser.get("/", params={"token": TOKEN}) as response:
        assert response.status == 200
    return browser


async def page_headers(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """What the console's own page sends with a change."""
    async with session.get("/api/session") as response:
        return {"X-CSRF-Token": (await response.json())["csrfToken"], "Origin": url}


async def next_event(response: aiohttp.ClientResponse, kind: str) -> dict[str, Any]:
    """The next server-sent event of a kind."""
    name = ""
    async for line in response.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data" and name == kind:
            data: dict[str, Any] = json.loads(value)
            return data
    raise AssertionError("the stream ended")


async def raised(parts: Parts, **options: Any) -> str:
    message = event(**options)
    await parts.consumers.take_events(batch(message), delivery())
    return f"alerts/a-{message.event_id}"


async def test_without_a_session_the_page_says_what_to_do(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/") as response:
        assert response.status == 401
        assert "sign-in link" in await response.text()


@pytest.mark.parametrize("path", ["/api/session", "/api/optics", "/api/alerts/stream?purpose=control-room-watch"])
async def test_without_a_session_the_api_gives_nothing(browser: aiohttp.ClientSession, pool: Pool, path: str) -> None:
    async with browser.get(path) as response:
        assert response.status == 401
        assert (await response.json())["error"]["reason"] == "SESSION_MISSING"
    assert await support.count(pool, "audit_entries") == 0


async def test_a_wrong_link_opens_nothing(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/", params={"token": "guess"}) as response:
        assert response.status == 401
        assert "Set-Cookie" not in response.headers


async def test_the_link_opens_a_session_once(signed_in: aiohttp.ClientSession, url: str) -> None:
    async with signed_in.get("/api/session") as response:
        assert (await response.json())["operator"] == "rossi"
    async with signed_in.get("/", params={"token": TOKEN}) as response:
        assert (response.status, response.url.query_string) == (200, "")
    async with aiohttp.ClientSession(url) as other, other.get("/", params={"token": TOKEN}) as response:
        assert response.status == 401


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/", params={"token": TOKEN}, allow_redirects=False) as response:
        cookie = response.cookies["argo_session"]
        assert response.headers["Location"] == "/"
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value


async def test_a_tampered_cookie_is_no_session(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/", params={"token": TOKEN}, allow_redirects=False) as response:
        claims, _, signature = response.cookies["argo_session"].value.partition(".")
    for forged in (f"{claims}.{signature[::-1]}", f"{claims[:-2]}AA.{signature}", "x", "x.y", "."):
        browser.cookie_jar.clear()
        async with browser.get("/api/session", headers={"Cookie": f"argo_session={forged}"}) as response:
            assert response.status == 401


async def test_every_response_forbids_foreign_code_framing_and_caching(signed_in: aiohttp.ClientSession) -> None:
    for path in ("/", "/static/app.js", "/api/session", "/nowhere", "/static/index.html"):
        async with signed_in.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert f"connect-src 'self' {WHEP_ORIGIN};" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["Cache-Control"] == "no-store"


async def test_the_page_asks_for_nothing_from_elsewhere(signed_in: aiohttp.ClientSession) -> None:
    names = ("console.css", "app.js", "api.js", "alerts.js", "optics.js", "tiles.js", "whep.js", "dialogs.js")
    for path in ("/", *(f"/static/{name}" for name in names)):
        async with signed_in.get(path) as response:
            assert response.status == 200
            text = await response.text()
        assert "http://" not in text
        assert "https://" not in text


@pytest.mark.parametrize(
    "change",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "guess"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": ""},
    ],
)
async def test_a_forged_request_changes_nothing(
    signed_in: aiohttp.ClientSession, url: str, parts: Parts, pool: Pool, peers: Peers, change: dict[str, str]
) -> None:
    name = await raised(parts)
    headers = await page_headers(signed_in, url) | change

    for path, body in (
        (f"/api/{name}/acknowledge", {}),
        ("/api/viewings", {"optic": OPTIC, "purpose": "control-room-watch"}),
    ):
        async with signed_in.post(path, json=body, headers=headers) as response:
            assert response.status == 403
            assert (await response.json())["error"]["reason"] == "FORGED_REQUEST"
    assert await pool.fetchval("SELECT state FROM alerts") == 1
    assert not peers.anonymizer.asked


async def test_alerts_come_as_they_are_raised_and_are_acknowledged(
    signed_in: aiohttp.ClientSession, url: str, parts: Parts, pool: Pool
) -> None:
    first = await raised(parts, rule="first")
    async with signed_in.get("/api/alerts/stream", params={"purpose": "control-room-watch"}) as stream:
        assert stream.content_type == "text/event-stream"
        shown = await next_event(stream, "alert")
        assert (shown["name"], shown["place"]) == (first, "flower-bed")
        second = await raised(parts, rule="second", place_display_name="the flower bed")
        shown = await next_event(stream, "alert")
        assert (shown["name"], shown["state"]) == (second, "raised")
        assert shown["measurement"] == {"quantity": "dwell", "unit": "s", "value": "4.25", "threshold": "1"}
        assert shown["modelDigest"] == "abababababab"
        assert shown["place"] == "the flower bed"
        assert 'inside zone "the flower bed" of' in shown["summary"]

        headers = await page_headers(signed_in, url)
        async with signed_in.post(f"/api/{second}/acknowledge", json={}, headers=headers) as response:
            assert response.status == 200
        assert (await next_event(stream, "alert"))["state"] == "acknowledged"
    rows = await pool.fetch("SELECT act, who, why FROM audit_entries ORDER BY sequence")
    assert [tuple(row) for row in rows] == [
        ("consultation", "operator/rossi", "control room watch"),
        ("alteration", "operator/rossi", "acknowledge, no reason given"),
    ]


async def test_the_stream_wants_a_purpose_and_the_log(signed_in: aiohttp.ClientSession, pool: Pool) -> None:
    async with signed_in.get("/api/alerts/stream") as response:
        assert response.status == 400
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    async with signed_in.get("/api/alerts/stream", params={"purpose": "control-room-watch"}) as response:
        assert response.status == 503
        assert (await response.json())["error"]["reason"] == "AUDIT_UNAVAILABLE"


async def test_an_act_in_the_wrong_state_is_refused_with_its_reason(
    signed_in: aiohttp.ClientSession, url: str, parts: Parts
) -> None:
    name = await raised(parts)
    headers = await page_headers(signed_in, url)
    async with signed_in.post(f"/api/{name}/close", json={"reason": "over"}, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["reason"] == "ALERT_STATE"
    async with signed_in.post(f"/api/{name}/burn", json={}, headers=headers) as response:
        assert response.status == 404
    async with signed_in.post(f"/api/{name}/close", data="{", headers=headers) as response:
        assert response.status == 400


async def test_a_viewing_is_on_record_before_it_is_asked_for(
    signed_in: aiohttp.ClientSession, url: str, pool: Pool, peers: Peers
) -> None:
    headers = await page_headers(signed_in, url)
    body = {"optic": OPTIC, "purpose": "control-room-watch"}
    async with signed_in.post("/api/viewings", json=body, headers=headers) as response:
        assert (await response.json())["whepUrl"] == f"{WHEP_ORIGIN}/whep/1"

    (asked,) = peers.anonymizer.asked
    row = await pool.fetchrow("SELECT * FROM audit_entries")
    assert (asked.viewer, asked.purpose) == ("operator/rossi", "control room watch")
    assert asked.audit_entry == str(row["sequence"])
    assert row["what"] == f"{OPTIC}, live view"


async def test_without_the_log_nobody_watches(
    signed_in: aiohttp.ClientSession, url: str, pool: Pool, peers: Peers
) -> None:
    headers = await page_headers(signed_in, url)
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    body = {"optic": OPTIC, "purpose": "control-room-watch"}

    async with signed_in.post("/api/viewings", json=body, headers=headers) as response:
        assert response.status == 503
    assert not peers.anonymizer.asked


async def test_the_board_names_the_optics_and_says_what_is_unknown(signed_in: aiohttp.ClientSession) -> None:
    async def rows() -> list[dict[str, Any]]:
        async with signed_in.get("/api/optics") as response:
            found: list[dict[str, Any]] = (await response.json())["optics"]
            return found

    await until(rows, lambda found: [row["state"] for row in found] == ["streaming", "unknown", "refused"])
    north, south, single = await rows()
    assert (north["label"], north["site"]) == ("Pole 3, North", "Giardini Alimonda")
    assert single["label"] == "Pole 4"
    # Every reason at once, in words.
    assert single["refusals"] == [
        {"reason": "DPIA_REFERENCE_MISSING", "description": "refused <0>"},
        {"reason": "SIGN_REFERENCE_MISSING", "description": "refused <1>"},
    ]
    assert north["refusals"] == south["refusals"] == []
    assert south["coverage"] == {"analysed": 0, "received": 0, "lost": 0, "unknown": 1}


async def until(read: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> None:
    """Waits for something to become so; the test's timeout is the limit."""
    while not wanted(await read()):
        await asyncio.sleep(0.05)


async def test_signing_out_ends_the_session(signed_in: aiohttp.ClientSession, url: str) -> None:
    headers = await page_headers(signed_in, url)
    async with signed_in.post("/api/logout", json={}, headers=headers) as response:
        assert response.status == 200
    async with signed_in.get("/api/session") as response:
        assert response.status == 401


@pytest.mark.parametrize("act", ["raise", "escalate", "fold", "receive", "report", "dance"])
async def test_the_page_does_only_what_people_do(
    signed_in: aiohttp.ClientSession, url: str, parts: Parts, pool: Pool, act: str
) -> None:
    name = await raised(parts)
    headers = await page_headers(signed_in, url)
    async with signed_in.post(f"/api/{name}/{act}", json={"reason": "x"}, headers=headers) as response:
        assert response.status == 404
    assert await pool.fetchval("SELECT state FROM alerts") == 1


@pytest.mark.parametrize("minutes", [None, 0, -5, "60", True, 10_081, 1000])
async def test_nothing_is_shelved_for_a_time_that_is_none(
    signed_in: aiohttp.ClientSession, url: str, parts: Parts, minutes: object
) -> None:
    name = await raised(parts)
    headers = await page_headers(signed_in, url)
    body = {"reason": "works", "minutes": minutes}
    async with signed_in.post(f"/api/{name}/shelve", json=body, headers=headers) as response:
        assert (response.status, (await response.json())["error"]["reason"]) == (400, "INVALID_FIELD")
