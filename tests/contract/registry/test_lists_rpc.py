"""Pages, their tokens, parents with wildcards, and filters."""

from __future__ import annotations

import pytest

from registry.resources import RESOURCES, Resource
from tests.contract.registry.records import (
    DAY,
    NEW,
    NOW,
    OPTIC,
    Code,
    create,
    each_kind,
    listing,
)
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry import lawful


@pytest.mark.parametrize("kind", ["site", "zone", "line", "rule"])
async def test_pages(scene: Administrator, kind: str) -> None:
    resource = RESOURCES[kind]
    for number in range(5):
        await create(scene, resource, f"r{number}")
    all_names = [record.name for record in getattr(await listing(scene, resource), resource.plural)]

    seen: list[str] = []
    token = ""
    while True:
        page = await listing(scene, resource, page_size=2, page_token=token)
        names = [record.name for record in getattr(page, resource.plural)]
        assert len(names) <= 2
        seen += names
        if len(seen) == 2:
            # An insert before the cursor is not seen and moves nothing.
            await create(scene, resource, "a0")
        token = page.next_page_token
        if not token:
            break

    assert seen == all_names == sorted(all_names)
    assert len(getattr(await listing(scene, resource, page_size=5000), resource.plural)) == len(all_names) + 1


@each_kind
async def test_page_arguments(scene: Administrator, resource: Resource) -> None:
    negative = await refusal_of(listing(scene, resource, page_size=-1))
    assert (negative.code, negative.reason, negative.fields) == (
        Code.INVALID_ARGUMENT, "INVALID_PAGE_SIZE", ["page_size"],
    )  # fmt: skip
    wrong = await refusal_of(listing(scene, resource, page_token="AAAA"))
    assert (wrong.code, wrong.reason, wrong.fields) == (Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", ["page_token"])
    if not resource.is_root:
        bad = await refusal_of(listing(scene, resource, parent="sites/alimonda"))
        assert (bad.reason, bad.fields) == ("INVALID_NAME", ["parent"])
        missing = NEW[resource.kind][0][:-1] + "zz"
        assert (await refusal_of(listing(scene, resource, parent=missing))).code == Code.NOT_FOUND
        assert (await refusal_of(create(scene, resource, parent=missing))).code in (
            Code.NOT_FOUND,
            Code.INVALID_ARGUMENT,  # a rule refers to lines of its own optic
        )


@each_kind
async def test_all_that_is_wrong_with_a_list_is_said_at_once(scene: Administrator, resource: Resource) -> None:
    parent = {} if resource.is_root else {"parent": "sites/alimonda/"}
    wrong = await refusal_of(listing(scene, resource, page_size=-1, page_token="AAAA", filter="no = such", **parent))

    assert (wrong.code, wrong.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert wrong.fields == [*parent, "page_size", "page_token", "filter"]


async def test_a_token_is_bound_to_its_query(scene: Administrator) -> None:
    for number in range(3):
        await scene.CreateZone(parent=OPTIC, zone_id=f"z{number}", zone=lawful.zone())
    token = (await scene.ListZones(parent=OPTIC, page_size=1)).next_page_token

    other = await refusal_of(scene.ListZones(parent="devices/-/optics/-", page_token=token))
    assert other.reason == "INVALID_PAGE_TOKEN"
    assert (await refusal_of(scene.ListLines(parent=OPTIC, page_token=token))).reason == "INVALID_PAGE_TOKEN"
    assert len((await scene.ListZones(parent=OPTIC, page_size=3, page_token=token)).zones) == 3


async def test_wildcards(scene: Administrator) -> None:
    await scene.build(devices=2, first=30, optics=("nord", "sud"))

    async def names(parent: str) -> list[str]:
        return [optic.name for optic in (await scene.ListOptics(parent=parent)).optics]

    assert len(await names("devices/-")) == 5
    assert await names("devices/palo-30") == ["devices/palo-30/optics/nord", "devices/palo-30/optics/sud"]
    await scene.CreateZone(parent="devices/palo-30/optics/sud", zone_id="z", zone=lawful.zone())
    zones = await scene.ListZones(parent="devices/-/optics/sud")
    assert [zone.name for zone in zones.zones] == ["devices/palo-30/optics/sud/zones/z"]
    assert len((await scene.ListZones(parent="devices/-/optics/-")).zones) == 2
    assert not (await scene.ListZones(parent="devices/none/optics/-")).zones


async def test_a_filter_chooses_and_its_token_belongs_to_it(scene: Administrator) -> None:
    for number in range(4):
        await scene.CreateZone(parent=OPTIC, zone_id=f"z{number}", zone=lawful.zone(display_name=f"area {number % 2}"))
    page = await scene.ListZones(parent="devices/-/optics/-", filter='display_name = "area 1"', page_size=1)
    rest = await scene.ListZones(
        parent="devices/-/optics/-", filter='display_name = "area 1"', page_token=page.next_page_token
    )
    other = await refusal_of(
        scene.ListZones(parent="devices/-/optics/-", filter='display_name = "area 0"', page_token=page.next_page_token)
    )

    assert [zone.name for zone in (*page.zones, *rest.zones)] == [f"{OPTIC}/zones/z1", f"{OPTIC}/zones/z3"]
    assert not rest.next_page_token
    assert other.reason == "INVALID_PAGE_TOKEN"


@each_kind
async def test_a_filter_that_makes_no_sense_is_refused(scene: Administrator, resource: Resource) -> None:
    refusal = await refusal_of(listing(scene, resource, filter="colour = red AND shape = round"))

    assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "INVALID_FILTER")
    assert refusal.fields == ["filter", "filter"]


async def test_a_mobile_device_is_found_at_the_site_where_it_stands(registry: Registry, scene: Administrator) -> None:
    registry.clock.now = NOW
    await create(scene, RESOURCES["deployment"])
    await registry.sweep.once()

    asked = 'mobility = MOBILITY_MOBILE AND site = "sites/alimonda"'
    found = await scene.ListDevices(filter=asked)
    registry.clock.now = NOW + DAY
    await registry.sweep.once()

    assert [device.name for device in found.devices] == ["devices/carro-1"]
    assert not (await scene.ListDevices(filter=asked)).devices
