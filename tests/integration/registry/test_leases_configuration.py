"""What a lease tells a gateway about its optics, and which changes are pushed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from argo.registry.v1 import scene_pb2, site_pb2
from argo.type.v1 import geometry_pb2
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, Registry
from tests.integration.registry.gateways import gateway
from tests.unit.registry import lawful


async def test_a_lease_carries_the_whole_configuration(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(optics=("nord", "sud"))
    masks = [scene_pb2.PrivacyMask(polygon=lawful.zone().polygon, reason="finestre")]
    sub = site_pb2.Optic(name=OPTIC, sub_stream_path="/sub", privacy_masks=masks)
    await administrator.UpdateOptic(optic=sub)
    lane = await administrator.CreateLane(parent=OPTIC, lane_id="corsia", lane=lawful.lane())
    zone = await administrator.CreateZone(parent=OPTIC, zone_id="giochi", zone=lawful.zone())
    line = await administrator.CreateLine(parent=OPTIC, line_id="varco", line=lawful.line())
    shadow = await administrator.CreateRule(parent=OPTIC, rule_id="shadow", rule=lawful.rule(OPTIC))
    other = await administrator.CreateRule(parent=OPTIC, rule_id="tother", rule=lawful.rule(OPTIC))
    off = lawful.rule(OPTIC, mode=scene_pb2.Rule.MODE_OFF)
    await administrator.CreateRule(parent=OPTIC, rule_id="zoff", rule=off)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: "devices/palo-12" in gw.held)
        lease = gw.held["devices/palo-12"]

    assert (lease.address, lease.credentials) == ("10.0.0.12", "cameras/alimonda")
    assert [optic.optic for optic in lease.optics] == [OPTIC, "devices/palo-12/optics/sud"]
    nord = lease.optics[0]
    assert nord.site == "sites/alimonda"
    assert nord.stream_path == "/sub"
    assert lease.optics[1].stream_path == "/Streaming/Channels/101"
    assert list(nord.zones) == [zone]
    assert list(nord.lines) == [line]
    assert list(nord.lanes) == [lane]
    assert list(nord.rules) == [shadow, other]
    assert list(nord.privacy_masks) == masks
    assert nord.policy.retention.ToTimedelta() == timedelta(days=3)
    assert lease.expire_time.ToDatetime() > nord.zones[0].update_time.ToDatetime()


async def test_a_mosaic_over_udp(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(optics=("nord", "sud"))
    crop = geometry_pb2.Box(left=0.5, width=0.5, height=0.5)
    await administrator.UpdateOptic(optic=site_pb2.Optic(name=OPTIC, crop=crop))
    udp = site_pb2.Device(name="devices/palo-12", transport=site_pb2.Device.TRANSPORT_UDP)
    await administrator.UpdateDevice(device=udp)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.held)
        lease = gw.held["devices/palo-12"]

    assert lease.transport == site_pb2.Device.TRANSPORT_UDP
    assert lease.optics[0].crop == crop
    assert not lease.optics[1].HasField("crop")
    assert [optic.display_name for optic in lease.optics] == ["Palo 12 / verso nord"] * 2


@pytest.mark.parametrize(
    ("stream", "sub", "path"),
    [
        ("STREAM_UNSPECIFIED", "/sub", "/sub"),
        ("STREAM_UNSPECIFIED", "", "/Streaming/Channels/101"),
        ("STREAM_MAIN", "/sub", "/Streaming/Channels/101"),
        ("STREAM_SUB", "/sub", "/sub"),
    ],
)
async def test_the_policy_says_which_stream_is_analysed(
    registry: Registry, administrator: Administrator, stream: str, sub: str, path: str
) -> None:
    await administrator.build(optics=())
    policy = scene_pb2.Policy(stream=scene_pb2.Policy.Stream.Value(stream))
    record = lawful.optic(sub_stream_path=sub, policy=policy, display_name="")
    await administrator.CreateOptic(parent="devices/palo-12", optic_id="nord", optic=record)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.held)
        configuration = gw.held["devices/palo-12"].optics[0]

    assert (configuration.stream_path, configuration.display_name) == (path, "Palo 12 / nord")


async def test_an_optic_that_publishes_is_leased_too(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(optics=())
    whip = lawful.optic(ingest=site_pb2.Optic.INGEST_WHIP, main_stream_path="")
    await administrator.CreateOptic(parent="devices/palo-12", optic_id="whip", optic=whip)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.held)

        assert gw.held["devices/palo-12"].optics[0].ingest == site_pb2.Optic.INGEST_WHIP


async def test_every_change_is_pushed_with_a_higher_version(registry: Registry, administrator: Administrator) -> None:
    await administrator.build()
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.held)
        versions = [gw.held["devices/palo-12"].optics[0].version]

        async def pushed() -> Any:
            await gw.until(lambda: gw.held["devices/palo-12"].optics[0].version > versions[-1])
            versions.append(gw.held["devices/palo-12"].optics[0].version)
            return gw.held["devices/palo-12"].optics[0]

        await administrator.CreateLine(parent=OPTIC, line_id="varco", line=lawful.line())
        assert [line.display_name for line in (await pushed()).lines] == ["varco"]
        await administrator.CreateRule(parent=OPTIC, rule_id="r", rule=lawful.rule(OPTIC))
        assert len((await pushed()).rules) == 1
        off = scene_pb2.Rule(name=f"{OPTIC}/rules/r", mode=scene_pb2.Rule.MODE_OFF)
        await administrator.UpdateRule(rule=off)
        assert not (await pushed()).rules
        await administrator.DeleteRule(name=f"{OPTIC}/rules/r")
        await pushed()
        await administrator.DeleteLine(name=f"{OPTIC}/lines/varco")
        assert not (await pushed()).lines
        await administrator.UpdateOptic(optic=site_pb2.Optic(name=OPTIC, display_name="verso sud"))
        assert (await pushed()).display_name == "Palo 12 / verso sud"
        await administrator.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", display_name="Palo dodici"))
        assert (await pushed()).display_name == "Palo dodici / verso sud"
        await administrator.CreateSite(site_id="montale", site=lawful.site())
        await administrator.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", site="sites/montale"))
        await gw.until(lambda: gw.held["devices/palo-12"].optics[0].site == "sites/montale")
        await pushed()
        await administrator.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", address="10.0.0.200"))
        await gw.until(lambda: gw.held["devices/palo-12"].address == "10.0.0.200")

        assert not gw.withdrawals


async def test_a_round_with_nothing_to_do_stirs_nobody(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(devices=2)
    async with gateway(registry, "gw-1") as gw, registry.pool.acquire() as connection:
        await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
        heard: asyncio.Queue[str] = asyncio.Queue()

        def hear(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            heard.put_nowait(payload)

        await connection.add_listener("argo_registry", hear)
        for _ in range(3):
            await registry.sweep.once()
        beats = len(gw.renewals)
        await gw.until(lambda: len(gw.renewals) > beats)
        await registry.pool.execute("SELECT pg_notify('argo_registry', 'the end')")

        assert await heard.get() == "the end"
        await connection.remove_listener("argo_registry", hear)


async def test_a_device_that_loses_its_last_optic_loses_its_lease_and_gets_it_again_with_another(
    registry: Registry, administrator: Administrator
) -> None:
    await administrator.build(optics=("nord", "sud"))
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: "devices/palo-12" in gw.held)
        await administrator.DeleteOptic(name=OPTIC)
        await gw.until(lambda: len(gw.held["devices/palo-12"].optics) == 1)
        await administrator.DeleteOptic(name="devices/palo-12/optics/sud")
        await gw.until(lambda: "devices/palo-12" not in gw.held)
        await administrator.CreateOptic(parent="devices/palo-12", optic_id="ovest", optic=lawful.optic())
        await gw.until(lambda: "devices/palo-12" in gw.held)
        lease = gw.held["devices/palo-12"]

    assert [optic.optic for optic in lease.optics] == ["devices/palo-12/optics/ovest"]
