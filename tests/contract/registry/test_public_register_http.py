"""The public register as an HTTP server: caching, compression, languages, and what it says of itself."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import aiohttp
import prometheus_client
import pytest

from mesh.http import serve_web
from registry.public.publishing import Metrics, Publisher, publish
from registry.public.serialisation import Edition
from registry.public.web import RegisterSite
from tests.unit.registry.public.made_up import NOW, ROME, register

PATHS = ("/", "/it", "/en", "/register.json", "/register.geojson")


@pytest.fixture
def metrics() -> prometheus_client.CollectorRegistry:
    return prometheus_client.CollectorRegistry()


@pytest.fixture
def publisher(metrics: prometheus_client.CollectorRegistry) -> Publisher:
    """Nobody runs it: it never asks for a connection."""
    return Publisher(None, ROME, Metrics(metrics), clock=lambda: NOW, period_seconds=60)


@pytest.fixture
async def client(publisher: Publisher) -> AsyncIterator[aiohttp.ClientSession]:
    site = RegisterSite(publisher, publisher._metrics).application()
    async with (
        serve_web(site, "127.0.0.1:0", grace_seconds=0.1) as address,
        aiohttp.ClientSession(f"http://{address}", auto_decompress=False) as session,
    ):
        yield session


@pytest.fixture
def edition(publisher: Publisher) -> Edition:
    """What is being served."""
    edition = Edition(register(), NOW)
    publisher.publication = publish(edition, ROME)
    return edition


async def served(client: aiohttp.ClientSession, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    async with client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}) as response:
        body = await response.read()
        return response, gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body


async def test_before_the_first_edition_it_says_to_come_back(client: aiohttp.ClientSession) -> None:
    for path in PATHS:
        response, body = await served(client, path)
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert b"register" in body


async def test_headers_are_those_of_a_public_document(edition: Edition, client: aiohttp.ClientSession) -> None:
    types = {
        "/it": "text/html; charset=utf-8",
        "/register.json": "application/json",
        "/register.geojson": "application/geo+json",
        "/register.css": "text/css; charset=utf-8",
        "/register.svg": "image/svg+xml",
    }
    for path, media_type in types.items():
        response, _ = await served(client, path)
        assert response.status == 200
        assert response.headers["Content-Type"] == media_type
        assert response.headers["Cache-Control"].startswith("public, max-age=")
        assert response.headers["ETag"].startswith('W/"')
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in response.headers
    response, _ = await served(client, "/register.json")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Last-Modified"]
    assert response.headers["Age"] == "0"


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip, deflate, br", True), ("br;q=1, gzip;q=0.2", True), ("gzip;q=0", False), ("identity", False), ("", False)],
)
async def test_it_is_compressed_for_those_who_accept_that(
    accepted: str, *, compressed: bool, edition: Edition, client: aiohttp.ClientSession
) -> None:
    plain, body = await served(client, "/en", Accept_Encoding="identity")
    response, same = await served(client, "/en", Accept_Encoding=accepted)

    assert (response.headers.get("Content-Encoding") == "gzip") is compressed
    assert same == body
    assert "Accept-Encoding" in plain.headers["Vary"]


async def test_head_is_get_without_the_body(edition: Edition, client: aiohttp.ClientSession) -> None:
    whole, body = await served(client, "/register.json", Accept_Encoding="identity")
    async with client.head("/register.json", headers={"Accept-Encoding": "identity"}) as response:
        assert response.status == 200
        assert response.headers["Content-Length"] == str(len(body))
        assert response.headers["ETag"] == whole.headers["ETag"]
        assert await response.read() == b""


async def test_whoever_has_it_is_told_so(edition: Edition, client: aiohttp.ClientSession) -> None:
    response, _ = await served(client, "/register.json")
    tag, modified = response.headers["ETag"], response.headers["Last-Modified"]

    for headers, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"other", {tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}, 200),
        # The tag decides where both are given (RFC 9110, section 13.1.3).
        ({"If-None-Match": '"other"', "If-Modified-Since": modified}, 200),
    ):
        async with client.get("/register.json", headers=headers) as answer:
            assert answer.status == status, headers
            assert answer.headers["ETag"] == tag


async def test_the_language_is_that_of_the_path_or_of_the_browser(
    edition: Edition, client: aiohttp.ClientSession
) -> None:
    for path, accepted, language in (
        ("/", "", "it"),
        ("/", "en-GB,en;q=0.9", "en"),
        ("/", "de", "it"),
        ("/en", "it", "en"),
        ("/it", "en", "it"),
    ):
        response, body = await served(client, path, Accept_Language=accepted)
        assert response.headers["Content-Language"] == language
        assert f'<html lang="{language}">' in body.decode()
        assert ("Accept-Language" in response.headers["Vary"]) is (path == "/")
    # A page in the one language is never taken for the same in the other.
    italian, _ = await served(client, "/", Accept_Language="it")
    english, _ = await served(client, "/", Accept_Language="en", If_None_Match=italian.headers["ETag"])
    assert english.status == 200


async def test_it_can_only_be_read(edition: Edition, client: aiohttp.ClientSession) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        async with client.request(method, "/register.json", data=b"x") as response:
            assert response.status == 405
            assert "Content-Security-Policy" in response.headers
    for path in ("/register.html", "/../settings.py", "/static/register.css", "/de"):
        assert (await served(client, path))[0].status == 404


async def test_the_page_asks_for_nothing_from_elsewhere(edition: Edition, client: aiohttp.ClientSession) -> None:
    _, body = await served(client, "/it")
    page = body.decode()

    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert "style=" not in page


async def test_answers_are_counted(
    publisher: Publisher, client: aiohttp.ClientSession, metrics: prometheus_client.CollectorRegistry
) -> None:
    await served(client, "/it")
    publisher.publication = publish(Edition(register(), NOW), ROME)
    await served(client, "/it")
    await served(client, "/it")

    assert metrics.get_sample_value("argo_registry_register_responses_total", {"status": "503"}) == 1
    assert metrics.get_sample_value("argo_registry_register_responses_total", {"status": "200"}) == 2
