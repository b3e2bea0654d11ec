"""HoldLeases with real streams, a real PostgreSQL, and one or two replicas of the registry."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from argo.registry.v1 import lease_service_pb2, lease_service_pb2_grpc, scene_pb2, site_pb2
from mesh.embedded import EmbeddedPostgres
from mesh.errors import StartupError
from tests.contract.registry.support import (
    Administrator,
    Clock,
    Gateway,
    Registry,
    refusal_of,
    running_registry,
)
from tests.unit.registry import lawful

OPTIC = "devices/palo-12/optics/nord"
Request = lease_service_pb2.HoldLeasesRequest


@contextlib.asynccontextmanager
async def gateway(registry: Registry, replica: str, capacity: int = 100) -> AsyncIterator[Gateway]:
    async with registry.channel("service/camera-gateway") as channel, Gateway(channel, replica, capacity) as held:
        yield held


async def hold(registry: Registry, *messages: Request) -> lease_service_pb2.HoldLeasesResponse:
    async with registry.channel("service/camera-gateway") as channel:
        stub: Any = lease_service_pb2_grpc.LeaseServiceStub(channel)

        async def requests() -> AsyncIterator[Request]:
            for message in messages:
                yield message

        async for response in stub.HoldLeases(requests()):
            return response  # type: ignore[no-any-return]
    raise AssertionError("the stream ended without a word")


async def devices_by_replica(registry: Registry) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in await registry.pool.fetch("SELECT device, replica FROM leases"):
        found.setdefault(row["replica"], set()).add(row["device"])
    return found


# ---- announcing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (Request(), ["announce"]),
        (Request(heartbeat=Request.Heartbeat()), ["announce"]),
        (Request(announce=Request.Announce(capacity=1)), ["announce.replica"]),
        (Request(announce=Request.Announce(replica="a b", capacity=10_001)), ["announce.replica", "announce.capacity"]),
    ],
)
async def test_a_gateway_has_to_announce_itself(registry: Registry, message: Request, fields: list[str]) -> None:
    refusal = await refusal_of(hold(registry, message))

    assert (refusal.code, refusal.reason, refusal.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ANNOUNCEMENT", fields,
    )  # fmt: skip


async def test_a_gateway_announces_itself_once(registry: Registry) -> None:
    announce = Request(announce=Request.Announce(replica="gw-1", capacity=1))

    assert (await refusal_of(hold(registry, announce, announce))).reason == "INVALID_ANNOUNCEMENT"


async def test_a_name_that_is_known_from_another_host_is_refused(registry: Registry) -> None:
    async with gateway(registry, "gw-1") as first:
        await first.until(lambda: first.renewals)
        await registry.pool.execute("UPDATE gateways SET host = '10.9.9.9'")
        announce = Request(announce=Request.Announce(replica="gw-1", capacity=1))
        refusal = await refusal_of(hold(registry, announce))

        assert (refusal.code, refusal.reason, refusal.metadata) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED, "REPLICA_KNOWN_ELSEWHERE", {"replica": "gw-1"},
        )  # fmt: skip


async def test_a_silent_stream_gives_way_to_one_from_another_host(registry: Registry) -> None:
    async with gateway(registry, "gw-1") as first:
        await first.until(lambda: first.renewals)
        first.silence()
        await registry.pool.execute("UPDATE gateways SET host = '10.9.9.9', heartbeat_time = now() - interval '1.2 s'")
        async with gateway(registry, "gw-1") as second:
            await second.until(lambda: second.renewals)
            await first.until(lambda: first.error)

            assert first.error is not None
            assert first.error.code == grpc.StatusCode.UNAVAILABLE


# ---- what a gateway is told ------------------------------------------------------------------------------------------


async def test_a_lease_carries_the_whole_configuration(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(optics=("nord", "sud"))
    masks = [scene_pb2.PrivacyMask(polygon=lawful.zone().polygon, reason="finestre")]
    sub = site_pb2.Optic(name=OPTIC, sub_stream_path="/sub", privacy_masks=masks)
    await administrator.UpdateOptic(optic=sub)
    zone = await administrator.CreateZone(parent=OPTIC, zone_id="giochi", zone=lawful.zone())
    line = await administrator.CreateLine(parent=OPTIC, line_id="varco", line=lawful.line())
    live = await administrator.CreateRule(parent=OPTIC, rule_id="live", rule=lawful.rule(OPTIC))
    shadow = lawful.rule(OPTIC, mode=scene_pb2.Rule.MODE_SHADOW)
    shadowed = await administrator.CreateRule(parent=OPTIC, rule_id="shadow", rule=shadow)
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
    assert list(nord.rules) == [live, shadowed]
    assert list(nord.privacy_masks) == masks
    assert nord.policy.retention.ToTimedelta() == timedelta(days=3)
    assert lease.expire_time.ToDatetime() > nord.zones[0].update_time.ToDatetime()


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
        assert (await pushed()).display_name == "verso sud"
        await administrator.CreateSite(site_id="montale", site=lawful.site())
        await administrator.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", site="sites/montale"))
        assert (await pushed()).site == "sites/montale"
        await administrator.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", address="10.0.0.200"))
        await gw.until(lambda: gw.held["devices/palo-12"].address == "10.0.0.200")

        assert not gw.withdrawals


async def test_renewals_prolong(registry: Registry, administrator: Administrator) -> None:
    await administrator.build()
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: len([renewal for renewal in gw.renewals if renewal.devices]) >= 3)
        ends = [renewal.expire_time.ToDatetime() for renewal in gw.renewals if renewal.devices]

    assert ends == sorted(set(ends))
    assert set(gw.renewals[-1].devices) == {"devices/palo-12"}


# ---- withdrawal ------------------------------------------------------------------------------------------------------


async def test_a_change_that_ends_admission_ends_the_lease(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(devices=2)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: len(gw.held) == 2)
        bare = site_pb2.Device(name="devices/palo-12", legal_basis=site_pb2.LegalBasis(act="x"))
        await administrator.UpdateDevice(device=bare)
        await gw.until(lambda: gw.withdrawals)

        assert gw.withdrawals == [
            ("devices/palo-12", ["PURPOSE_MISSING", "DPIA_REFERENCE_MISSING", "SIGN_REFERENCE_MISSING"])
        ]
        await administrator.UpdateDevice(
            device=site_pb2.Device(name="devices/palo-12", legal_basis=lawful.device().legal_basis)
        )
        await gw.until(lambda: len(gw.held) == 2)


async def test_a_deleted_device_ends_its_lease(registry: Registry, administrator: Administrator) -> None:
    await administrator.build()
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.held)
        await administrator.DeleteOptic(name=OPTIC)
        await administrator.DeleteDevice(name="devices/palo-12")
        await gw.until(lambda: gw.withdrawals)

        assert gw.withdrawals == [("devices/palo-12", ["DELETED"])]


async def test_a_mobile_device_goes_dark_by_time_alone(registry: Registry, administrator: Administrator) -> None:
    start = registry.clock.now
    await administrator.CreateSite(site_id="alimonda", site=lawful.site())
    await administrator.CreateSite(site_id="montale", site=lawful.site())
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device())
    await administrator.CreateOptic(parent="devices/carro-1", optic_id="nord", optic=lawful.optic())
    day = timedelta(days=1)
    for number, site in ((1, "sites/alimonda"), (2, "sites/montale")):
        stay = lawful.deployment(start + number * day, start + (number + 1) * day, site=site)
        await administrator.CreateDeployment(parent="devices/carro-1", deployment_id=f"d{number}", deployment=stay)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.renewals)
        assert not gw.held

        registry.clock.now = start + day
        await gw.until(lambda: gw.held)
        first = gw.held["devices/carro-1"].optics[0]
        registry.clock.now = start + 2 * day
        await gw.until(lambda: gw.held["devices/carro-1"].optics[0].site == "sites/montale")
        second = gw.held["devices/carro-1"].optics[0]
        registry.clock.now = start + 3 * day
        await gw.until(lambda: gw.withdrawals)

        assert first.site == "sites/alimonda"
        assert second.version > first.version
        assert gw.withdrawals == [("devices/carro-1", ["PLACEMENT_ENDED"])]


async def test_a_device_that_a_gateway_should_not_have_is_taken_from_it(registry: Registry) -> None:
    announce = Request(announce=Request.Announce(replica="gw-1", capacity=1))
    heartbeat = Request(heartbeat=Request.Heartbeat(devices=["devices/ghost"]))

    response = await hold(registry, announce, heartbeat)

    assert response.withdrawal.device == "devices/ghost"
    assert [refusal.reason for refusal in response.withdrawal.reasons] == [9]


# ---- several gateways ------------------------------------------------------------------------------------------------


async def test_capacity_is_respected_in_whole_devices(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(devices=3, optics=("a", "b"))
    async with gateway(registry, "gw-1", capacity=5) as gw:
        await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
        assert len((await devices_by_replica(registry))["gw-1"]) == 2
        async with gateway(registry, "gw-2", capacity=2) as other:
            await other.until(lambda: other.held)

            assert not set(gw.held) & set(other.held)
            assert not gw.withdrawals


async def test_a_joining_gateway_gets_a_fair_share(registry: Registry, administrator: Administrator) -> None:
    names = await administrator.build(devices=4)
    async with gateway(registry, "gw-1") as first:
        await first.until(lambda: len(first.held) == 4)
        async with gateway(registry, "gw-2") as second:
            await second.until(lambda: len(second.held) == 2)

            assert sorted([*first.held, *second.held]) == names
            assert [reasons for _, reasons in first.withdrawals] == [["REBALANCED"], ["REBALANCED"]]


async def test_a_dead_gateways_devices_move_when_its_leases_end(
    registry: Registry, administrator: Administrator
) -> None:
    names = await administrator.build(devices=4)
    async with gateway(registry, "gw-2") as survivor:
        async with gateway(registry, "gw-1") as victim:
            await survivor.until(lambda: len(survivor.held) == 2)
            await victim.until(lambda: len(victim.held) == 2)
            held = set(victim.held)
            victim.silence()
            await victim.until(lambda: not victim.held)
            # By then its leases had run out, and nobody else had them before.
            assert {device for device, _ in victim.withdrawals} == held
        await survivor.until(lambda: sorted(survivor.held) == names)

        assert await devices_by_replica(registry) == {"gw-2": set(names)}


async def test_leases_survive_a_reconnect(registry: Registry, administrator: Administrator) -> None:
    names = await administrator.build(devices=2)
    async with gateway(registry, "gw-2", capacity=0):
        async with gateway(registry, "gw-1") as before:
            await before.until(lambda: len(before.held) == 2)
            versions = {name: lease.optics[0].version for name, lease in before.held.items()}
        assert await devices_by_replica(registry) == {"gw-1": set(names)}
        async with gateway(registry, "gw-1") as after:
            await after.until(lambda: len(after.held) == 2)

            assert {name: lease.optics[0].version for name, lease in after.held.items()} == versions
            assert not after.withdrawals


async def test_a_draining_gateway_hands_over(registry: Registry, administrator: Administrator) -> None:
    names = await administrator.build(devices=2)
    async with gateway(registry, "gw-1") as leaving:
        await leaving.until(lambda: len(leaving.held) == 2)
        async with gateway(registry, "gw-2", capacity=100) as staying:
            await staying.until(lambda: staying.held)
            for name in list(leaving.held):
                await leaving.release(name)
            await staying.until(lambda: sorted(staying.held) == names)

            # It is alive and has room, and yet is not offered again what it gave back.
            beats = len(leaving.renewals)
            await leaving.until(lambda: len(leaving.renewals) > beats + 2)
            assert not leaving.held


# ---- two replicas of the registry ------------------------------------------------------------------------------------


async def test_two_registries_share_the_work_and_no_device_is_leased_twice(
    dsn: str, tmp_path: Path, registry: Registry, administrator: Administrator
) -> None:
    async with (
        running_registry(dsn, tmp_path / "two", clock=registry.clock) as other,
        gateway(registry, "gw-1") as first,
        gateway(other, "gw-2") as second,
    ):
        names = await administrator.build(devices=6)
        await first.until(lambda: len(first.held) == 3)
        await second.until(lambda: len(second.held) == 3)
        assert sorted([*first.held, *second.held]) == names

        name = next(iter(second.held))
        await administrator.UpdateOptic(optic=site_pb2.Optic(name=f"{name}/optics/nord", display_name="x"))
        await second.until(lambda: second.held[name].optics[0].display_name == "x")
        bare = site_pb2.Device(name=name, legal_basis=site_pb2.LegalBasis(act="x"))
        await administrator.UpdateDevice(device=bare)
        await second.until(lambda: name not in second.held)
        await first.until(lambda: first.renewals)
        assert name not in first.held


async def test_a_gateway_goes_on_at_another_registry(
    dsn: str, tmp_path: Path, registry: Registry, administrator: Administrator
) -> None:
    await administrator.build(devices=2)
    async with running_registry(dsn, tmp_path / "two", clock=registry.clock) as other:
        async with gateway(other, "gw-1") as before:
            await before.until(lambda: len(before.held) == 2)
            await other.desk.drain()
            await before.until(lambda: before.error)
            assert before.error is not None
            assert (before.error.code, before.error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        async with gateway(registry, "gw-1") as after:
            await after.until(lambda: len(after.held) == 2)
            assert not after.withdrawals


# ---- without PostgreSQL ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def killable(folder: Path) -> AsyncIterator[tuple[EmbeddedPostgres, Registry, Administrator]]:
    async with (
        EmbeddedPostgres(folder / "postgres") as server,
        running_registry(server.dsn, folder) as registry,
        registry.channel("administrator/mrossi") as channel,
    ):
        yield server, registry, Administrator(channel)


async def restarted(server: EmbeddedPostgres) -> None:
    """As its supervisor would: again and again, since the old backends take a moment to end."""
    while True:
        try:
            return await server.start()
        except StartupError:
            await asyncio.sleep(0.2)


async def test_leases_go_on_through_a_crash_of_postgresql(tmp_path: Path) -> None:
    async with killable(tmp_path) as (server, registry, administrator):
        await administrator.build(devices=2)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
            server.kill()
            await restarted(server)
            beats = len(gw.renewals)
            await gw.until(lambda: len(gw.renewals) > beats + 3)
            # And the registry follows changes again.
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        await administrator.UpdateOptic(optic=site_pb2.Optic(name=OPTIC, display_name="x"))
                        break
            await gw.until(lambda: gw.held["devices/palo-12"].optics[0].display_name == "x")

            assert gw.error is None


async def test_without_postgresql_leases_run_from_memory_to_their_end(tmp_path: Path) -> None:
    async with killable(tmp_path) as (server, registry, administrator):
        await administrator.build(devices=2)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
            server.kill()
            refusal = await refusal_of(administrator.UpdateSite(site=site_pb2.Site(name="sites/alimonda", lot="9")))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            beats = len(gw.renewals)
            await gw.until(lambda: len(gw.renewals) > beats or gw.withdrawals)
            assert gw.renewals[-1].devices or gw.withdrawals
            async with gateway(registry, "gw-1") as again:
                await again.until(lambda: again.told)
            async with gateway(registry, "gw-new") as stranger:
                await stranger.until(lambda: stranger.error)
                assert stranger.error is not None
                assert stranger.error.code == grpc.StatusCode.UNAVAILABLE
            await gw.until(lambda: gw.error or len(gw.withdrawals) == 2)


async def test_without_postgresql_a_placement_still_ends(tmp_path: Path) -> None:
    async with killable(tmp_path) as (server, registry, administrator):
        start = registry.clock.now
        await administrator.CreateSite(site_id="alimonda", site=lawful.site())
        await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device())
        await administrator.CreateOptic(parent="devices/carro-1", optic_id="nord", optic=lawful.optic())
        stay = lawful.deployment(start, start + timedelta(hours=1))
        await administrator.CreateDeployment(parent="devices/carro-1", deployment_id="d", deployment=stay)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: gw.held)
            server.kill()
            registry.clock.now = start + timedelta(hours=1)
            await gw.until(lambda: gw.withdrawals)

            assert gw.withdrawals == [("devices/carro-1", ["PLACEMENT_ENDED"])]


def test_the_clock_of_a_test_stands_still() -> None:
    clock = Clock()

    assert clock() == clock()


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
