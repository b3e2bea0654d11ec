"""What a device shows of the gate, and what goes on record."""

from __future__ import annotations

import asyncio

import grpc
import pytest
import structlog

from argo.registry.v1 import scene_pb2
from argo.registry.v1.lease_service_pb2 import HoldLeasesRequest
from mesh.audit import AuditLog
from registry.resources import RESOURCES
from tests.contract.registry.methods import METHODS, call
from tests.contract.registry.records import (
    DAY,
    NOW,
    OPTIC,
    Code,
    create,
    delete,
    update,
)
from tests.contract.registry.support import REASON, Administrator, Gateway, Registry, reason_name, refusal_of
from tests.contract.registry.tenants import CASES, THEIRS
from tests.unit.registry import lawful

# ---- the gate, as a device shows it ---------------------------------------------------------------------------------


async def test_a_device_tells_every_reason_why_it_may_not_stream(registry: Registry, scene: Administrator) -> None:
    bare = lawful.device(address="10.0.0.50", site="", legal_basis=None)
    created = await scene.CreateDevice(device_id="bare", device=bare)

    reasons = {reason_name(refusal.reason) for refusal in created.refusals}
    assert reasons == {
        "SITE_MISSING",
        "PURPOSE_MISSING",
        "DPIA_REFERENCE_MISSING",
        "SIGN_REFERENCE_MISSING",
    }
    assert all(refusal.description for refusal in created.refusals)
    assert not (await scene.GetDevice(name="devices/palo-12")).refusals


async def test_a_mobile_device_shows_where_it_stands_now(registry: Registry, scene: Administrator) -> None:
    await scene.CreateDeployment(
        parent="devices/carro-1", deployment_id="d", deployment=lawful.deployment(NOW, NOW + DAY)
    )
    seen = []
    for moment in (NOW - DAY, NOW, NOW + DAY):
        registry.clock.now = moment
        device = (await scene.ListDevices()).devices[0]
        seen.append((device.name, device.site, [refusal.reason for refusal in device.refusals]))

    assert seen == [
        ("devices/carro-1", "", [7]),
        ("devices/carro-1", "sites/alimonda", []),
        ("devices/carro-1", "", [8]),
    ]


# ---- record keeping -------------------------------------------------------------------------------------------------


async def test_every_change_is_audited_with_its_author_and_remembered(registry: Registry, scene: Administrator) -> None:
    zone = scene_pb2.Zone(name=f"{OPTIC}/zones/giochi", display_name="altro")
    await scene.UpdateZone(zone=zone, reason="via il gioco")
    await delete(scene, RESOURCES["zone"], f"{OPTIC}/zones/giochi")
    await refusal_of(create(scene, RESOURCES["zone"], "Bad"))

    acts = await registry.pool.fetch(
        "SELECT act, who, why FROM audit_entries WHERE what = $1 ORDER BY sequence", f"{OPTIC}/zones/giochi"
    )
    assert [tuple(act) for act in acts] == [
        ("alteration", "administrator/mrossi", why) for why in (REASON, "via il gioco", REASON)
    ]
    assert await AuditLog(registry.pool).verify() is None
    rows = await registry.pool.fetch(
        "SELECT version, author, reason, record ->> 'display_name' FROM change WHERE name = $1 ORDER BY sequence",
        f"{OPTIC}/zones/giochi",
    )
    assert [tuple(row) for row in rows] == [
        (1, "administrator/mrossi", REASON, "area giochi"),
        (2, "administrator/mrossi", "via il gioco", "altro"),
        (3, "administrator/mrossi", REASON, None),
    ]


async def test_without_the_audit_log_nothing_is_changed(registry: Registry, scene: Administrator) -> None:
    await registry.pool.execute("ALTER TABLE audit_entries RENAME TO away")

    refusal = await refusal_of(update(scene, RESOURCES["site"], "sites/alimonda", lot="9"))

    assert refusal.code == Code.UNAVAILABLE
    await registry.pool.execute("ALTER TABLE away RENAME TO audit_entries")
    assert (await scene.GetSite(name="sites/alimonda")).lot == "3bis"


async def test_every_read_is_on_record_before_it_is_answered(registry: Registry, scene: Administrator) -> None:
    async with registry.channel("operator/lbianchi") as channel:
        reader = Administrator(channel)
        await reader.GetOptic(name=OPTIC)
        await reader.ListOptics(parent="devices/-", filter="ingest = INGEST_RTSP")
        await refusal_of(reader.GetSite(name="sites/none"))
        await registry_watch(channel)
    async with registry.channel("service/camera-gateway") as channel, Gateway(channel, "gw-1") as gateway:
        await gateway.until(lambda: gateway.held)

    acts = await registry.pool.fetch(
        "SELECT who, why, what FROM audit_entries WHERE act = 'consultation' ORDER BY sequence"
    )
    assert [tuple(act) for act in acts] == [
        ("operator/lbianchi", "GetOptic", OPTIC),
        ("operator/lbianchi", "ListOptics", "devices/-/optics where ingest = INGEST_RTSP"),
        ("operator/lbianchi", "GetSite", "sites/none"),
        ("operator/lbianchi", "WatchOptics", "optics"),
        ("service/camera-gateway", "HoldLeases", "leases of gw-1"),
    ]
    assert await AuditLog(registry.pool).verify() is None


async def registry_watch(channel: grpc.aio.Channel) -> None:
    watch = await call(channel, METHODS["/argo.registry.v1.RegistryService/WatchOptics"])
    assert watch.answers


READS = [path for path, method in METHODS.items() if method.name.startswith(("Get", "List", "Watch", "Export"))]


@pytest.mark.parametrize("method", [*READS, "/argo.registry.v1.LeaseService/HoldLeases"])
async def test_what_cannot_be_put_on_record_cannot_be_read(
    registry: Registry, scene: Administrator, method: str
) -> None:
    await registry.pool.execute("ALTER TABLE audit_entries RENAME TO away")
    identity = "service/camera-gateway" if method.endswith("HoldLeases") else "administrator/mrossi"
    announce = HoldLeasesRequest.Announce(replica="gw-1", capacity=4)
    request = HoldLeasesRequest(announce=announce) if method.endswith("HoldLeases") else CASES[method](THEIRS)

    async with registry.channel(identity) as channel:
        outcome = await call(channel, METHODS[method], request)

    assert (outcome.code, outcome.reason, outcome.answers) == (Code.UNAVAILABLE, "AUDIT_UNAVAILABLE", [])


async def test_reads_at_the_same_time_are_each_on_record(registry: Registry, scene: Administrator) -> None:
    await asyncio.gather(*(scene.GetSite(name="sites/alimonda") for _ in range(50)))

    written = await registry.pool.fetchval("SELECT count(*) FROM audit_entries WHERE why = 'GetSite'")
    assert written == 50
    assert await AuditLog(registry.pool).verify() is None


async def test_refused_reads_are_told_once_until_they_go_on(registry: Registry, scene: Administrator) -> None:
    with structlog.testing.capture_logs() as logs:
        await registry.pool.execute("ALTER TABLE audit_entries RENAME TO away")
        for _ in range(3):
            await refusal_of(scene.GetSite(name="sites/alimonda"))
        await registry.pool.execute("ALTER TABLE away RENAME TO audit_entries")
        await scene.GetSite(name="sites/alimonda")

    told = [entry["event"] for entry in logs if entry["event"].startswith("reads.")]
    assert told == ["reads.refused", "reads.resumed"]
