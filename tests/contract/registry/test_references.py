"""What records say about each other, and what the database refuses to hold."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_status import rpc_status

from argo.registry.v1 import scene_pb2, site_pb2
from registry.resources import RESOURCES
from tests.contract.registry.records import (
    DAY,
    NOW,
    OPTIC,
    Code,
    delete,
    update,
)
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry import lawful

# ---- what records say about each other -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "twin"),
    [
        ("10.0.0.12", "10.0.0.12:554"),
        ("10.0.0.12", "[::ffff:10.0.0.12]:554"),
        ("10.0.0.12", "::FFFF:A00:C"),
        ("10.0.0.12", "64:ff9b::a00:c"),
        ("10.0.0.12", "2002:a00:c::"),
        ("fd00:a::7", "FD00:000A:0:0:0:0:0:7"),
        ("fd00:a::7", "[fd00:a::7]:554"),
        ("[fd00:a::7]:8554", "[FD00:A:0::0:7]:08554"),
    ],
)
async def test_addresses_are_unique_whatever_their_spelling(scene: Administrator, first: str, twin: str) -> None:
    if first != "10.0.0.12":
        await scene.CreateDevice(device_id="first", device=lawful.device(address=first))
    refusal = await refusal_of(scene.CreateDevice(device_id="twin", device=lawful.device(address=twin)))
    moved = site_pb2.Device(name="devices/carro-1", address=twin)
    moved_there = await refusal_of(scene.UpdateDevice(device=moved))

    assert (refusal.code, refusal.reason) == (Code.ALREADY_EXISTS, "ADDRESS_IN_USE")
    assert (moved_there.code, moved_there.reason) == (Code.ALREADY_EXISTS, "ADDRESS_IN_USE")


@pytest.mark.parametrize("address", ["192.168.0.9", "fd00:b::7", "::ffff:8.8.8.8", "2002:808:808::", "::1", "camera-7"])
async def test_addresses_lie_inside_the_camera_networks(scene: Administrator, address: str) -> None:
    refusal = await refusal_of(scene.CreateDevice(device_id="out", device=lawful.device(address=address)))

    assert (refusal.code, refusal.fields) == (Code.INVALID_ARGUMENT, ["device.address"])


CANARY = "Segreta-1-Parola"


async def test_a_secret_that_somebody_types_is_neither_stored_nor_repeated(
    registry: Registry, scene: Administrator, capfd: pytest.CaptureFixture[str]
) -> None:
    for device in (
        lawful.device(address="10.0.0.70", credentials=f"admin:{CANARY}"),
        lawful.device(address=f"rtsp://admin:{CANARY}@10.0.0.70"),
        lawful.device(address=f"{CANARY}@10.0.0.70"),
    ):
        assert CANARY not in await told(scene.CreateDevice(device_id="leaky", device=device))
    optic = lawful.optic(main_stream_path=f"/live?user=admin&password={CANARY}")
    assert CANARY not in await told(scene.CreateOptic(parent="devices/palo-12", optic_id="leaky", optic=optic))

    for table in ("audit_entries", "change", "devices", "optics", "answered_request"):
        held = await registry.pool.fetchval(f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE $1", f"%{CANARY}%")  # noqa: S608
        assert held == 0, table
    assert CANARY not in "".join(capfd.readouterr())


async def told(call: Any) -> str:
    """All that a refusal says, details and all."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    status = rpc_status.from_call(refused.value)
    assert status is not None
    return f"{refused.value} {status}"


async def test_references_must_exist(scene: Administrator) -> None:
    lost = lawful.device(address="10.0.0.50", site="sites/none")
    assert (await refusal_of(scene.CreateDevice(device_id="x", device=lost))).reason == "SITE_NOT_FOUND"
    stay = lawful.deployment(NOW, NOW + DAY, site="sites/none")
    refusal = await refusal_of(scene.CreateDeployment(parent="devices/carro-1", deployment_id="d", deployment=stay))
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "SITE_NOT_FOUND")
    rule = lawful.rule(OPTIC, line_crossing=scene_pb2.LineCrossing(line=f"{OPTIC}/lines/none"))
    refusal = await refusal_of(scene.CreateRule(parent=OPTIC, rule_id="r", rule=rule))
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "LINE_NOT_FOUND")
    rule = lawful.rule(OPTIC, zone_intrusion=scene_pb2.ZoneIntrusion(zone=f"{OPTIC}/zones/none"))
    assert (await refusal_of(scene.CreateRule(parent=OPTIC, rule_id="r", rule=rule))).reason == "ZONE_NOT_FOUND"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("site", "sites/alimonda"),
        ("device", "devices/palo-12"),
        ("device", "devices/carro-1"),
        ("optic", OPTIC),
        ("line", f"{OPTIC}/lines/varco"),
    ],
)
async def test_what_others_depend_on_cannot_be_deleted(scene: Administrator, kind: str, name: str) -> None:
    await scene.CreateRule(parent=OPTIC, rule_id="r", rule=lawful.rule(OPTIC))
    stay = lawful.deployment(NOW, NOW + DAY)
    await scene.CreateDeployment(parent="devices/carro-1", deployment_id="d", deployment=stay)

    refusal = await refusal_of(delete(scene, RESOURCES[kind], name))

    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "RESOURCE_IN_USE")


async def test_deployments(scene: Administrator) -> None:
    def stay(deployment_id: str, start: int, end: int, device: str = "devices/carro-1", **changes: Any) -> Any:
        record = lawful.deployment(NOW + start * DAY, NOW + end * DAY, **changes)
        return scene.CreateDeployment(parent=device, deployment_id=deployment_id, deployment=record)

    first = await stay("d1", 0, 7)
    for start, end in ((0, 7), (6, 8), (-1, 1), (2, 3), (-1, 9)):
        refusal = await refusal_of(stay("d2", start, end))
        assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "DEPLOYMENT_OVERLAPS")
    await stay("d2", 7, 8, decision="COSP 90/2026")
    await stay("d0", -1, 0, decision="COSP 87/2026")
    fixed = await refusal_of(stay("d", 0, 1, "devices/palo-12"))
    assert (fixed.code, fixed.reason) == (Code.FAILED_PRECONDITION, "DEVICE_NOT_MOBILE")

    longer = Timestamp()
    longer.FromDatetime(NOW + 8 * DAY)
    resource = RESOURCES["deployment"]
    refusal = await refusal_of(update(scene, resource, first.name, end_time=longer))
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "NEW_DECISION_NEEDED")
    refusal = await refusal_of(update(scene, resource, first.name, end_time=longer, decision="COSP 99/2026"))
    assert refusal.reason == "DEPLOYMENT_OVERLAPS"
    still = await refusal_of(
        update(scene, RESOURCES["device"], "devices/carro-1", mobility=site_pb2.Device.MOBILITY_FIXED)
    )
    assert (still.code, still.reason) == (Code.FAILED_PRECONDITION, "DEVICE_NOT_MOBILE")


async def test_a_ninth_optic_is_refused(scene: Administrator) -> None:
    for number in range(7):
        await scene.CreateOptic(parent="devices/palo-12", optic_id=f"o{number}", optic=lawful.optic())

    refusal = await refusal_of(scene.CreateOptic(parent="devices/palo-12", optic_id="o8", optic=lawful.optic()))

    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "TOO_MANY_OPTICS")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE devices SET site = 'sites/alimonda' WHERE mobility = 'MOBILITY_MOBILE'",
        "UPDATE devices SET credentials = 'user:pass@host'",
        "UPDATE devices SET view = 'VIEW_UNSPECIFIED'",
        "UPDATE optics SET policy_retention = 604801",
        "UPDATE optics SET main_stream_path = NULL",
        "UPDATE optics SET calibration_points = '[{}, {}, {}]'",
        "UPDATE zones SET polygon = '{\"points\": [{}, {}]}'",
        "UPDATE lines SET polyline = '{\"points\": [{}]}'",
        "UPDATE sites SET location_latitude = 91",
        "INSERT INTO rules (name) VALUES ('devices/palo-12/optics/nord/rules/r')",
        "INSERT INTO zones (name, polygon) SELECT 'devices/none/optics/x/zones/z', polygon FROM zones",
        "INSERT INTO optics (name, main_stream_path) VALUES ('optics/x', '/')",
        "DELETE FROM sites",
    ],
)
async def test_the_database_cannot_hold_a_wrong_state(registry: Registry, scene: Administrator, statement: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await registry.pool.execute(statement)


async def test_a_change_by_hand_is_numbered_and_remembered(registry: Registry, scene: Administrator) -> None:
    before = await scene.GetSite(name="sites/alimonda")
    await registry.pool.execute("UPDATE sites SET lot = '4', version = 77 WHERE name = 'sites/alimonda'")

    after = await scene.GetSite(name="sites/alimonda")
    assert after.lot == "4"
    assert after.etag != before.etag
    assert await registry.pool.fetchval("SELECT max(version) FROM change WHERE name = 'sites/alimonda'") == 2
