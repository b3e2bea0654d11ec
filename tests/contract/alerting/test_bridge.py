"""Alerting's contracts over HTTP: every method, with the decisions, the answers and the errors of gRPC."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import grpc
import pytest
from google.protobuf import json_format

from alerting.assembly import Parts, utc_now
from alerting.console.application import console
from alerting.settings import AlertingSettings
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from argo.registry.v1 import scene_pb2
from mesh.access import matrix
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.contract.access.methods import METHODS
from tests.contract.access.test_every_cell import expected
from tests.contract.alerting.provider import Provider
from tests.contract.alerting.test_console_access import (
    bearer,
    browser,
    provider,
    reason_of,
    service_settings,
    web_listen,
)
from tests.integration.alerting import support

__all__ = ["browser", "provider", "service_settings", "web_listen"]

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

OURS = tuple(method for method in METHODS if method.startswith("/argo.alerting."))
ALERTS = "/api/argo.alerting.v1.AlertService"
PEOPLE = [role for role in matrix().roles if role != "system"]


def test_every_method_of_alerting_has_its_route(parts: Parts, service_settings: AlertingSettings) -> None:
    application = console(service_settings, parts, None, None, utc_now)  # type: ignore[arg-type]  # only the routes
    served = {route.resource.canonical for route in application.router.routes() if route.resource is not None}

    assert {path.removeprefix("/api") for path in served if path.startswith("/api/argo.")} == set(OURS)


@pytest.mark.parametrize("role", PEOPLE)
async def test_a_role_reaches_over_http_what_the_matrix_says_and_no_more(
    browser: aiohttp.ClientSession, provider: Provider, role: str
) -> None:
    path = "authority/questura" if role == "authority" else f"{role}/rossi"
    headers = bearer(provider, role, tenant="questura" if role == "authority" else None)
    found = {}
    for method in OURS:
        # What is reached finds the request wrong, for none has its reason; a stream that begins is not waited for.
        async with browser.post(f"/api{method}", headers=headers, json={}) as response:
            refused = response.status == 403
            found[method] = (await reason_of(response))[1] if refused else ""

    assert found == {method: expected(method, path) for method in OURS}


@pytest.fixture
async def raised(parts: Parts) -> str:
    """An alert; its name."""
    message = support.event()
    await parts.consumers.take_events(support.batch(message), support.delivery())
    return f"alerts/a-{message.event_id}"


async def call(browser: aiohttp.ClientSession, method: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
    async with browser.post(f"{ALERTS}/{method}", headers=headers, json=body) as response:
        return response.status, await response.json()


async def test_answers_are_those_of_grpc(
    browser: aiohttp.ClientSession, provider: Provider, connect: Connect, raised: str
) -> None:
    stub = AlertServiceStub(await connect("operator/rossi"))

    status, listed = await call(browser, "ListAlerts", bearer(provider, "operator"), {"reason": "duty", "pageSize": 5})

    answer = await stub.ListAlerts(v1.ListAlertsRequest(reason="duty", page_size=5))
    assert (status, listed) == (200, json_format.MessageToDict(answer))
    assert [alert["name"] for alert in listed["alerts"]] == [raised]


async def test_an_act_is_done_by_the_person_and_on_record(
    browser: aiohttp.ClientSession, provider: Provider, pool: Pool, raised: str
) -> None:
    body = {"name": raised, "reason": "seen"}
    status, alert = await call(browser, "AcknowledgeAlert", bearer(provider, "operator", jti="t1"), body)

    assert (status, alert["state"], alert["owner"]) == (200, "STATE_ACKNOWLEDGED", "operator/rossi")
    row = await pool.fetchrow("SELECT who, why FROM audit_entries ORDER BY sequence DESC LIMIT 1")
    assert tuple(row) == ("operator/rossi", "seen (token t1 by way of service/alerting)")


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("ListAlerts", {}),
        ("ListAlerts", {"reason": "x", "pageToken": "nonsense"}),
        ("GetAlert", {"name": "alerts/a-1", "reason": "x"}),
        ("GetAlert", {"name": "nonsense", "reason": "x"}),
        ("WatchAlerts", {}),
        ("WatchAlerts", {"reason": "x", "resumeToken": "nonsense"}),
    ],
)
async def test_errors_are_those_of_grpc_also_of_a_stream_that_does_not_begin(
    browser: aiohttp.ClientSession, provider: Provider, connect: Connect, method: str, body: dict[str, Any]
) -> None:
    status, answer = await call(browser, method, bearer(provider, "operator"), body)
    stub: Any = AlertServiceStub(await connect("operator/rossi"))
    request = json_format.ParseDict(body, getattr(v1, f"{method}Request")())
    started = getattr(stub, method)(request)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (started.read() if method.startswith("Watch") else started)

    error, said = from_rpc_error(caught.value), answer["error"]
    assert status == {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404}[error.code]
    assert (said["code"], said["reason"], said["message"]) == (error.code, error.reason, error.message)
    fields = [one.field for one in error.violations]
    assert [wrong["field"] for wrong in said.get("violations", [])] == fields


@pytest.mark.parametrize("body", ["{", "[]", "7", '{"colour": "red"}', '{"pageSize": "many"}', "[" * 5000, "\xff"])
async def test_what_is_no_request_is_refused_and_says_so(
    browser: aiohttp.ClientSession, provider: Provider, body: str
) -> None:
    async with browser.post(f"{ALERTS}/ListAlerts", headers=bearer(provider, "operator"), data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["violations"][0]["field"] == "body"


async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Server-sent events: kind and data."""
    kind = ""
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def test_a_watch_comes_as_events_and_goes_on_where_it_was(
    browser: aiohttp.ClientSession, provider: Provider, parts: Parts, raised: str
) -> None:
    headers = bearer(provider, "operator")
    async with browser.post(f"{ALERTS}/WatchAlerts", headers=headers, json={"reason": "duty"}) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        kind, first = await anext(messages(response))
    assert (kind, first["updated"]["name"]) == ("message", raised)

    second = support.event(rule="other", priority=scene_pb2.PRIORITY_HIGH)
    await parts.consumers.take_events(support.batch(second), support.delivery())
    body = {"reason": "duty", "resumeToken": first["resumeToken"]}
    async with browser.post(f"{ALERTS}/WatchAlerts", headers=headers, json=body) as response:
        updated = [data["updated"]["name"] async for _, data in _until_bookmark(response)]
    assert updated == [f"alerts/a-{second.event_id}"]


async def _until_bookmark(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    async for kind, data in messages(response):
        if "updated" not in data:
            return
        yield kind, data


async def test_a_stream_ends_with_its_token(browser: aiohttp.ClientSession, provider: Provider, raised: str) -> None:
    soon = int(utc_now().timestamp()) + 2
    headers = bearer(provider, "operator", exp=soon)
    async with browser.post(f"{ALERTS}/WatchAlerts", headers=headers, json={"reason": "duty"}) as response:
        kinds = [kind async for kind, _ in messages(response)]

    assert (kinds[0], kinds[-1]) == ("message", "signed-out")


async def test_nobody_else_reaches_anything(browser: aiohttp.ClientSession, url: str) -> None:
    async with aiohttp.ClientSession(url) as stranger, stranger.post(f"{ALERTS}/ListAlerts", json={}) as response:
        assert await reason_of(response) == (401, "SESSION_MISSING")
    # A session needs the page's own proof, as everywhere.
    async with browser.get("/sign-in") as response:
        assert response.status == 200
    async with browser.post(f"{ALERTS}/ListAlerts", json={"reason": "duty"}) as response:
        assert await reason_of(response) == (403, "FORGED_REQUEST")
    async with browser.get("/api/session") as response:
        proof = {"X-CSRF-Token": (await response.json())["csrfToken"], "Origin": re.sub(r"/$", "", url)}
    async with browser.post(f"{ALERTS}/ListAlerts", json={"reason": "duty"}, headers=proof) as response:
        assert response.status == 200


async def test_broken_glass_counts_and_is_on_record(
    browser: aiohttp.ClientSession, provider: Provider, pool: Pool
) -> None:
    headers = bearer(provider, "operator")
    search, glass = (f"/api/argo.alerting.v1.{name}" for name in
                     ("SearchService/SearchObservations", "BreakGlassService/BreakGlass"))  # fmt: skip
    async with browser.post(search, headers=headers, json={}) as response:
        assert await reason_of(response) == (403, "METHOD_NOT_ALLOWED")
    async with browser.post(glass, headers=headers, json={"right": "deferred", "reason": "a lost child"}) as response:
        assert response.status == 200

    body = {
        "purpose": "lost child", "caseReference": "1/2026", "reason": "a lost child", "classes": ["OBJECT_CLASS_CAR"],
        "interval": {"startTime": "2026-06-03T12:00:00Z", "endTime": "2026-06-03T12:30:00Z"},
    }  # fmt: skip
    async with browser.post(search, headers=headers, json=body) as response:
        assert (response.status, (await response.json()).get("matches", [])) == (200, [])
    said = await pool.fetchval("SELECT why FROM audit_entries WHERE what LIKE 'searches/%' ORDER BY sequence LIMIT 1")
    assert "by breaking the glass" in said


@pytest.mark.parametrize(
    "path", ["argo.alerting.v1.AlertService/RaiseAlert", "argo.registry.v1.RegistryService/ListSites", "argo.x/../y"]
)
async def test_what_is_no_method_of_ours_is_not_there(
    browser: aiohttp.ClientSession, provider: Provider, path: str
) -> None:
    async with browser.post(f"/api/{path}", headers=bearer(provider, "operator"), json={}) as response:
        assert response.status in (403, 404)
