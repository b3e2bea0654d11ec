"""The public register over HTTP, made of records in PostgreSQL that were written through the registry's own API."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import prometheus_client
import pytest

from argo.registry.v1 import placement_service_pb2 as placement_pb
from argo.registry.v1 import placement_service_pb2_grpc, scene_pb2, site_pb2
from mesh.http import serve_web
from registry.public.disclosure import public_parts
from registry.public.document import build
from registry.public.publishing import Metrics, Publisher
from registry.public.records import Admission, Records
from registry.public.serialisation import content
from registry.public.web import RegisterSite
from tests.contract.registry.support import Administrator, Registry, reason_name
from tests.unit.registry import lawful

ROME = ZoneInfo("Europe/Rome")
PATHS = ("/", "/it", "/en", "/register.json", "/register.geojson")
DAY = timedelta(days=1)
# What is stored, and must be in no byte that is served.
WITHHELD = {
    "address": "10.0.0.12",
    "host": "10.0.0.77",
    "credentials": "cameras/alimonda",
    "serial": "SN-0042-XY",
    "firmware": "5.7.11-b3",
    "model": "Acme Quadrivista",
    "main stream": "/Streaming/Channels/101",
    "sub stream": "/Streaming/Channels/102",
    "owner": "Anna Neri",
    "street": "piazza Alimonda 77",
    "author": "mrossi",
    "why it was changed": "delibera 12/2026",
    "what a zone is called": "area giochi",
}


@pytest.fixture
def publisher(registry: Registry) -> Publisher:
    metrics = Metrics(prometheus_client.CollectorRegistry())
    return Publisher(registry.pool, ROME, metrics, clock=registry.clock, period_seconds=60)


@pytest.fixture
async def client(publisher: Publisher) -> AsyncIterator[aiohttp.ClientSession]:
    site = RegisterSite(publisher, publisher._metrics).application()
    async with (
        serve_web(site, "127.0.0.1:0", grace_seconds=0.1) as address,
        aiohttp.ClientSession(f"http://{address}", auto_decompress=False) as session,
    ):
        yield session


@pytest.fixture
async def fleet(registry: Registry, administrator: Administrator) -> None:
    """A fixed and a mobile camera, with all that a record can hold."""
    private = lawful.site(owner=WITHHELD["owner"], address=WITHHELD["street"])
    await administrator.CreateSite(site_id="alimonda", site=private)
    fixed = lawful.device(
        serial_number=WITHHELD["serial"], firmware_version=WITHHELD["firmware"], model=WITHHELD["model"]
    )
    fixed.legal_basis.act = "DGC 510/2025"
    await administrator.CreateDevice(device_id="palo-12", device=fixed)
    optic = lawful.optic(sub_stream_path=WITHHELD["sub stream"], field_of_view_degrees=90)
    nord = await administrator.CreateOptic(parent="devices/palo-12", optic_id="nord", optic=optic)
    await administrator.CreateZone(parent=nord.name, zone_id="giochi", zone=lawful.zone())
    rule = scene_pb2.Rule(mode=scene_pb2.Rule.MODE_SHADOW)
    rule.zone_intrusion.zone = f"{nord.name}/zones/giochi"
    await administrator.CreateRule(parent=nord.name, rule_id="notte", rule=rule)
    mobile = lawful.mobile_device(address=WITHHELD["host"])
    await administrator.CreateDevice(device_id="unita-3", device=mobile)
    stay = lawful.deployment(registry.clock() - DAY, registry.clock() + DAY)
    await administrator.CreateDeployment(parent="devices/unita-3", deployment_id="autunno", deployment=stay)
    await registry.sweep.once()


async def served(client: aiohttp.ClientSession, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    async with client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}) as response:
        body = await response.read()
        return response, gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body


async def document(client: aiohttp.ClientSession) -> dict[str, Any]:
    _, body = await served(client, "/register.json")
    found: dict[str, Any] = json.loads(body)
    return found


async def _records(administrator: Administrator) -> Records:
    """All that the registry's API lists; another road than the register's own."""
    found: dict[str, Any] = {}
    for collection, method, parent in (
        ("controllers", "ListControllers", None),
        ("sites", "ListSites", None),
        ("devices", "ListDevices", None),
        ("deployments", "ListDeployments", "devices/-"),
        ("optics", "ListOptics", "devices/-"),
        ("zones", "ListZones", "devices/-/optics/-"),
        ("rules", "ListRules", "devices/-/optics/-"),
    ):
        answer = await getattr(administrator, method)(**({} if parent is None else {"parent": parent}))
        assert not answer.next_page_token
        found[collection] = list(getattr(answer, collection))
    admissions = {
        device.name: Admission(
            device.site,
            tuple(reason_name(refusal.reason) for refusal in device.refusals),
        )
        for device in found["devices"]
    }
    public = {collection: public_parts(messages) for collection, messages in found.items()}
    return Records(sequence=0, admissions=admissions, **public)


async def test_the_register_is_what_the_registry_says(
    registry: Registry, administrator: Administrator, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    await publisher.look()
    expected = build(await _records(administrator), registry.clock(), ROME)
    served_content = await document(client)
    for field in ("version", "revision", "generated_time", "stale_since"):
        del served_content[field]

    assert len(expected.cameras) == 2
    assert expected.cameras[0].rules
    assert expected.cameras[1].placements
    assert served_content == json.loads(json.dumps(content(expected)))


async def test_nothing_that_is_withheld_is_in_any_byte(
    registry: Registry, administrator: Administrator, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    await publisher.look()
    async with registry.pool.acquire() as connection:
        stored = " ".join([str(row) for row in await connection.fetch("SELECT record, author, reason FROM change")])
    # They are stored, or their absence from the register would prove nothing.
    assert {what for what, value in WITHHELD.items() if value not in stored} == set()

    for path in PATHS:
        response, body = await served(client, path)
        told = body.decode() + str(response.headers)
        assert {what for what, value in WITHHELD.items() if value in told} == set(), path
        assert "Giardini Alimonda" in told


async def test_a_decided_request_shows_without_who_asked_and_why(
    registry: Registry, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    asked = placement_pb.PlacementRequest(
        requester="Comitato di Carla Verdi",
        site="sites/alimonda",
        reason="spaccio sotto casa",
        measures=[placement_pb.PlacementRequest.MEASURE_LIGHTING],
    )
    async with registry.channel("administrator/mrossi") as channel:
        stub: Any = placement_service_pb2_grpc.PlacementServiceStub(channel)
        request = placement_pb.CreatePlacementRequestRequest(placement_request_id="luce", placement_request=asked)
        created = await stub.CreatePlacementRequest(request)
        await publisher.look()
        before = (await document(client))["placement_decisions"]
        for state in (placement_pb.PlacementRequest.STATE_ASSESSED, placement_pb.PlacementRequest.STATE_REFUSED):
            step = placement_pb.AdvancePlacementRequestRequest(name=created.name, state=state, reason="troppo cara")
            await stub.AdvancePlacementRequest(step)
    await publisher.look()

    assert before == []
    assert (await document(client))["placement_decisions"] == [
        {"site": "sites/alimonda", "state": "refused", "measures": ["lighting"], "decision": "", "decision_date": None}
    ]
    for path in PATHS:
        page = (await served(client, path))[1].decode()
        assert [word for word in ("Verdi", "spaccio", "troppo cara") if word in page] == []
    assert "respinta" in (await served(client, "/it"))[1].decode()


async def test_a_change_of_a_record_shows(
    administrator: Administrator, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    await publisher.look()
    before, _ = await served(client, "/it")
    site = site_pb2.Site(name="sites/alimonda", display_name="Giardini <Nuovi>")
    await administrator.UpdateSite(site=site, update_mask={"paths": ["display_name"]})
    await publisher.look()
    after, page = await served(client, "/it")

    assert (await document(client))["sites"][0]["display_name"] == "Giardini <Nuovi>"
    assert "Giardini &lt;Nuovi&gt;" in page.decode()
    assert "<Nuovi>" not in page.decode()
    assert before.headers["ETag"] != after.headers["ETag"]


async def test_a_change_of_what_is_not_public_changes_nothing(
    administrator: Administrator, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    await publisher.look()
    before = {path: await served(client, path) for path in PATHS}
    device = site_pb2.Device(name="devices/palo-12", serial_number="SN-0043")
    await administrator.UpdateDevice(device=device, update_mask={"paths": ["serial_number"]})
    await publisher.look()

    for path, (response, body) in before.items():
        again, same = await served(client, path, If_None_Match=response.headers["ETag"])
        assert again.status == 304, path
        assert same == b""
        assert (await served(client, path))[1] == body


async def test_time_alone_ends_a_placement_in_the_register(
    registry: Registry, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    await publisher.look()
    states = [stay["state"] for stay in (await document(client))["cameras"][1]["placements"]]
    registry.clock.now += 2 * DAY
    await registry.sweep.once()
    await publisher.look()
    mobile = (await document(client))["cameras"][1]

    assert states == ["present"]
    assert (mobile["site"], mobile["refusals"]) == ("", ["placement_ended"])
    assert [stay["state"] for stay in mobile["placements"]] == ["past"]


async def test_an_edition_of_nothing_is_a_page_too(publisher: Publisher, client: aiohttp.ClientSession) -> None:
    await publisher.look()
    _, page = await served(client, "/en")

    assert (await document(client))["cameras"] == []
    assert "No camera is on record." in page.decode()
    assert "<svg" not in page.decode()


async def test_a_fault_of_the_register_leaves_the_last_edition(
    registry: Registry, fleet: None, publisher: Publisher, client: aiohttp.ClientSession
) -> None:
    await publisher.look()
    async with registry.pool.acquire() as connection:
        await connection.execute("ALTER TABLE rules RENAME TO mislaid")
        await connection.execute("UPDATE sites SET display_name = 'Altrove'")
    await publisher.look()

    assert (await document(client))["sites"][0]["display_name"] == "Giardini Alimonda"
