"""Documents of counts over HTTP, for everybody and without signing in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import jsonschema
import pytest
from lxml import etree

from alerting.assembly import Parts
from tests.contract.alerting.test_open_flows import DOOR, PLACES, START, release
from tests.integration.alerting.flow_support import CAR, count_for, crossed

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
AT = replace(PLACES[1], display_name="Gate", latitude=45.07, longitude=7.68)


@pytest.fixture
async def published(parts: Parts) -> None:
    """Five minutes at a gate, published."""
    await count_for(parts, START, 5, crossed(4, 3, speed=1.4), crossed(12, 13, object_class=CAR, speed=9.0))
    await release(parts)
    await parts.flows.store.register_places([AT])


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def address(url: str, name: str, **query: str) -> str:
    given = {"start": START.isoformat().replace("+00:00", "Z"), "end": START.isoformat().replace(":00:00+", ":05:00+")}
    parameters = {**given, **query}
    text = "&".join(f"{key}={value.replace('+', '%2B')}" for key, value in parameters.items() if value)
    return f"{url}/open/v1/{name}?{text}"


@pytest.mark.usefixtures("published")
async def test_every_document_is_served_without_a_session_and_valid(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(address(url, "flows.jsonld")) as answer:
        assert (answer.status, answer.content_type) == (200, "application/ld+json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        entities = json.loads(await answer.text())
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / "flows.schema.json").read_text())).validate(entities)
    assert {(entity["type"], entity.get("peopleCount", entity.get("intensity"))) for entity in entities} == {
        ("CrowdFlowObserved", 35),
        ("TrafficFlowObserved", 125.0),
    }
    for name, schema in (
        ("flows.datex2.xml", "datex2/payload.xsd"),
        ("measurement-sites.datex2.xml", "datex2/payload.xsd"),
        ("flows.5t.xml", "traffic-data.xsd"),
    ):
        async with http.get(address(url, name)) as answer:
            assert (answer.status, answer.content_type) == (200, "application/xml")
            document = etree.fromstring(await answer.read())
        etree.XMLSchema(etree.parse(str(SCHEMAS / schema))).assertValid(document)
        assert "rtsp" not in etree.tostring(document).decode()


@pytest.mark.usefixtures("published")
async def test_where_nothing_is_published_datex_answers_with_nothing(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(address(url, "flows.datex2.xml", place=DOOR)) as answer:
        assert answer.status == 204


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"minutes": "7"}, "granularity"),
        ({"minutes": "x"}, "granularity"),
        ({"start": "yesterday"}, "start"),
        ({"end": ""}, "end"),
        ({"place": "nowhere"}, "place"),
        ({"who": "me"}, "who"),
        ({"end": "2100-01-01T00:00:00Z"}, "end"),
    ],
)
async def test_a_wrong_question_says_what_is_wrong(
    url: str, http: aiohttp.ClientSession, query: dict[str, str], word: str
) -> None:
    async with http.get(address(url, "flows.jsonld", **query)) as answer:
        assert answer.status == 400
        assert word in (await answer.json())["error"]["message"]


async def test_the_newest_interval_is_given_without_asking_for_a_time(
    url: str, http: aiohttp.ClientSession, parts: Parts
) -> None:
    await count_for(parts, START, 5, crossed(4))
    await release(parts)

    async with http.get(f"{url}/open/v1/flows.jsonld?minutes=60") as answer:
        (entity,) = await answer.json(content_type="application/ld+json")
    assert entity["peopleCount"] == 25
