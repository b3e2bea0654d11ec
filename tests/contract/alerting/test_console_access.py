"""The console's API under the permission matrix: every route, every role, sessions and tokens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alerting.assembly import Parts, utc_now
from alerting.console.application import console
from alerting.console.routes import ACTS, ROUTES, SIGNED_IN
from alerting.settings import AlertingSettings
from mesh.access import matrix
from mesh.authority import CertificateAuthority
from mesh.embedded.server import free_port
from mesh.errors import PermissionDenied
from mesh.identity import Identity
from mesh.postgres import Pool
from tests.contract.alerting.peers import TOKEN, Peers
from tests.contract.alerting.provider import Provider, identity_provider
from tests.integration.alerting import support

ROLES = tuple(matrix().roles)


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    async with identity_provider(tmp_path / "issuer") as made:
        yield made


@pytest.fixture
def web_listen() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def service_settings(authority: CertificateAuthority, provider: Provider, web_listen: str) -> AlertingSettings:
    """The console of a city whose people sign in at its provider."""
    return support.settings(
        authority,
        console_token=TOKEN,
        oidc_issuer=provider.issuer.issuer,
        console_oidc_client_id="argo-console",
        console_url=f"http://{web_listen}",
        web_listen=web_listen,
    )


@pytest.fixture
async def browser(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aiohttp.ClientSession]:
    # The provider and the console speak plain HTTP here, over loopback.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def bearer(provider: Provider, *roles: str, **claims: Any) -> dict[str, str]:
    token = provider.issuer.issue("rossi", roles, datetime.now(UTC), **claims)
    return {"Authorization": f"Bearer {token}"}


async def reason_of(response: aiohttp.ClientResponse) -> tuple[int, str]:
    body = await response.json() if response.content_type == "application/json" else {}
    return response.status, body.get("error", {}).get("reason", "")


def test_every_route_has_its_row(parts: Parts, service_settings: AlertingSettings) -> None:
    application = console(service_settings, parts, None, None, utc_now)  # type: ignore[arg-type]  # only the routes
    served = {
        (route.method, route.resource.canonical)
        for route in application.router.routes()
        if route.method != "HEAD"
        and route.resource is not None
        and not route.resource.canonical.startswith("/api/argo.")
    }
    open_ones = {("GET", "/static/{name}"), ("GET", "/sign-in"), ("GET", "/signed-in")}

    assert served == set(ROUTES) | SIGNED_IN | open_ones
    assert set(ROUTES.values()) <= set(matrix().rows)


def refused(role: str, method: str) -> str:
    """What the matrix says of a role at a method that alerting calls for it."""
    path = "authority/questura" if role == "authority" else f"{role}/rossi"
    try:
        matrix().admit(matrix().by_certificate(Identity("argo.local", path)), method, through=True)
    except PermissionDenied as error:
        return error.reason
    return ""


@pytest.mark.parametrize("role", [role for role in ROLES if role != "system"])
async def test_every_role_reaches_the_routes_that_the_matrix_says(
    browser: aiohttp.ClientSession, provider: Provider, role: str
) -> None:
    headers = bearer(provider, role, tenant="questura" if role == "authority" else None)
    found = {}
    for method, path in ROUTES:
        async with browser.request(method, re.sub(r"\{\w+\}", "a-1", path), headers=headers, json={}) as response:
            status, reason = await reason_of(response)
        found[method, path] = reason if status == 403 else ""

    assert found == {route: refused(role, method) for route, method in ROUTES.items()}
    assert set(found.values()) - {""} or role in ("operator", "supervisor")


async def test_a_token_alone_is_signed_in_and_on_record(
    browser: aiohttp.ClientSession, provider: Provider, parts: Parts, pool: Pool
) -> None:
    raised = support.event()
    await parts.consumers.take_events(support.batch(raised), support.delivery())
    path = f"/api/alerts/a-{raised.event_id}/{ACTS[0]}"
    async with browser.post(path, headers=bearer(provider, "operator", jti="t1"), json={"reason": "seen"}) as response:
        assert response.status == 200

    row = await pool.fetchrow("SELECT who, why FROM audit_entries ORDER BY sequence DESC LIMIT 1")
    assert tuple(row) == ("operator/rossi", "seen (token t1 by way of service/alerting)")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [({"aud": "another"}, "TOKEN_AUDIENCE"), ({"exp": 1}, "TOKEN_EXPIRED"), ({"iss": "http://x"}, "TOKEN_ISSUER")],
)
async def test_a_bad_token_opens_nothing(
    browser: aiohttp.ClientSession, provider: Provider, pool: Pool, claims: dict[str, Any], reason: str
) -> None:
    async with browser.get("/api/optics", headers=bearer(provider, "operator", **claims)) as response:
        assert await reason_of(response) == (401, reason)
    assert await support.count(pool, "audit_entries") == 0


async def test_traffic_watches_nobody_live(browser: aiohttp.ClientSession, provider: Provider) -> None:
    headers = bearer(provider, "operator", purposes=["traffic"])
    async with browser.post("/api/viewings", headers=headers, json={}) as response:
        assert await reason_of(response) == (403, "PURPOSE_NOT_ALLOWED")


# --- signing in -------------------------------------------------------------------------------------------------------


async def test_a_person_signs_in_at_the_provider_and_works(browser: aiohttp.ClientSession, peers: Peers) -> None:
    async with browser.get("/") as response:
        assert (response.status, response.url.path) == (200, "/signed-in")
        assert 'content="0; url=/"' in await response.text()
    async with browser.get("/") as response:
        assert (response.status, response.url.path) == (200, "/")
    async with browser.get("/api/session") as response:
        session = await response.json()
    assert session["operator"] == "rossi"
    headers = {"X-CSRF-Token": session["csrfToken"], "Origin": str(browser._base_url).rstrip("/")}
    body = {"optic": support.OPTIC, "purpose": "control-room-watch"}
    async with browser.post("/api/viewings", headers=headers, json=body) as response:
        assert response.status == 200
    assert [asked.viewer for asked in peers.anonymizer.asked] == ["operator/rossi"]
    for forged in ({}, {"Authorization": "Basic cm9zc2k6eA=="}):
        async with browser.post("/api/viewings", json=body, headers=forged) as response:
            assert await reason_of(response) == (403, "FORGED_REQUEST")


async def test_the_role_of_the_provider_decides(browser: aiohttp.ClientSession, provider: Provider) -> None:
    provider.roles = ["auditor"]
    async with browser.get("/sign-in") as response:
        assert response.status == 200
    async with browser.get("/api/optics") as response:
        assert await reason_of(response) == (403, "METHOD_NOT_ALLOWED")


async def test_the_link_that_names_nobody_opens_nothing_where_people_sign_in(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/", params={"token": TOKEN}, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/sign-in")


@pytest.mark.parametrize("wrong", ["refuses", "nonce", "roles", "audience"])
async def test_what_the_provider_does_not_vouch_for_begins_no_session(
    browser: aiohttp.ClientSession, provider: Provider, wrong: str
) -> None:
    if wrong == "refuses":
        provider.refuses = True
    elif wrong == "nonce":
        provider.nonce = "of another sign-in"
    elif wrong == "roles":
        provider.roles = ["nobody"]
    else:
        provider.claims = {"aud": "another"}

    async with browser.get("/sign-in") as response:
        status, reason = await reason_of(response)

    expected = {
        "refuses": (401, "SIGN_IN_FAILED"),
        "nonce": (401, "SIGN_IN_FAILED"),
        "roles": (403, "ROLE_MISSING"),
        "audience": (401, "TOKEN_AUDIENCE"),
    }
    assert (status, reason) == expected[wrong]
    async with browser.get("/api/session") as response:
        assert response.status == 401


async def test_a_code_that_another_browser_began_is_refused(url: str, browser: aiohttp.ClientSession) -> None:
    async with browser.get("/sign-in", allow_redirects=False) as response:
        location = response.headers["Location"]
    async with browser.get(location, allow_redirects=False) as response:
        back = response.headers["Location"]

    # The link with the code, sent to somebody else: it would sign the victim in as the attacker.
    async with aiohttp.ClientSession(url) as victim, victim.get(back) as response:
        assert await reason_of(response) == (401, "SIGN_IN_FAILED")
    async with browser.get(back.replace("state=", "state=x")) as response:
        assert await reason_of(response) == (401, "SIGN_IN_FAILED")


async def test_a_session_ends_with_its_token(browser: aiohttp.ClientSession, provider: Provider) -> None:
    end = int(datetime.now(UTC).timestamp()) - 5
    provider.claims = {"exp": end}

    async with browser.get("/sign-in") as response:
        assert response.status == 200
    async with browser.get("/api/session") as response:
        assert response.status == 401
