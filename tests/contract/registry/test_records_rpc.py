"""The standard methods over loopback mTLS against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from argo.registry.v1 import registry_service_pb2, scene_pb2, site_pb2
from mesh.audit import AuditLog
from registry.resources import RESOURCES, Resource
from tests.contract.registry.support import Administrator, Registry, reason_name, refusal_of
from tests.unit.registry import lawful

Code = grpc.StatusCode
OPTIC = "devices/palo-12/optics/nord"
NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def scene(administrator: Administrator) -> Administrator:
    """A site, a fixed device with one optic, a mobile one, and what a rule refers to."""
    await administrator.build()
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device(address="10.0.0.99"))
    await administrator.CreateZone(parent=OPTIC, zone_id="giochi", zone=lawful.zone())
    await administrator.CreateLine(parent=OPTIC, line_id="varco", line=lawful.line())
    return administrator


NEW: dict[str, tuple[str, Any]] = {
    "site": ("", lawful.site()),
    "device": ("", lawful.device(address="10.0.0.77")),
    "deployment": ("devices/carro-1", lawful.deployment(NOW, NOW + DAY)),
    "optic": ("devices/palo-12", lawful.optic()),
    "zone": (OPTIC, lawful.zone()),
    "line": (OPTIC, lawful.line()),
    "rule": (OPTIC, lawful.rule(OPTIC)),
}
CHANGE: dict[str, dict[str, Any]] = {
    kind: {"reason": "x"} if kind == "deployment" else {"display_name": "x"} for kind in RESOURCES
}
each_kind = pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))


def create(administrator: Administrator, resource: Resource, resource_id: str = "new", **more: Any) -> Any:
    parent, record = NEW[resource.kind]
    arguments = {f"{resource.kind}_id": resource_id, resource.kind: record} | more
    if not resource.is_root:
        arguments.setdefault("parent", parent)
    return getattr(administrator, f"Create{resource.camel}")(**arguments)


def get(administrator: Administrator, resource: Resource, name: str) -> Any:
    return getattr(administrator, f"Get{resource.camel}")(name=name)


def update(
    administrator: Administrator, resource: Resource, name: str, etag: str = "", *mask: str, **change: Any
) -> Any:
    record = resource.message(name=name, etag=etag, **change)
    arguments = {resource.kind: record, "update_mask": FieldMask(paths=mask)}
    return getattr(administrator, f"Update{resource.camel}")(**arguments)


def delete(administrator: Administrator, resource: Resource, name: str, etag: str = "") -> Any:
    return getattr(administrator, f"Delete{resource.camel}")(name=name, etag=etag)


def listing(administrator: Administrator, resource: Resource, **arguments: Any) -> Any:
    if not resource.is_root:
        arguments.setdefault("parent", NEW[resource.kind][0])
    return getattr(administrator, f"List{resource.plural.capitalize()}")(**arguments)


@each_kind
async def test_the_life_of_a_record(scene: Administrator, resource: Resource) -> None:
    parent, record = NEW[resource.kind]
    created = await create(scene, resource)
    assert created.name == resource.pattern.child(parent, "new")
    assert await get(scene, resource, created.name) == created
    for field, value in record.ListFields():
        assert getattr(created, field.name) == value, field.name

    changed = await update(scene, resource, created.name, created.etag, **CHANGE[resource.kind])
    assert changed.etag != created.etag
    stale = await refusal_of(update(scene, resource, created.name, created.etag, **CHANGE[resource.kind]))
    assert (stale.code, stale.reason, stale.metadata) == (Code.ABORTED, "ETAG_MISMATCH", {"name": created.name})
    stale = await refusal_of(delete(scene, resource, created.name, created.etag))
    assert (stale.code, stale.reason) == (Code.ABORTED, "ETAG_MISMATCH")

    await delete(scene, resource, created.name, changed.etag)
    gone = await refusal_of(get(scene, resource, created.name))
    assert (gone.code, gone.reason, gone.metadata) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND", {"name": created.name})


@each_kind
async def test_what_does_not_exist(scene: Administrator, resource: Resource) -> None:
    parent, _ = NEW[resource.kind]
    name = resource.pattern.child(parent, "none")
    for call in (
        get(scene, resource, name),
        update(scene, resource, name, **CHANGE[resource.kind]),
        delete(scene, resource, name),
    ):
        refusal = await refusal_of(call)
        assert (refusal.code, refusal.reason, refusal.metadata) == (
            Code.NOT_FOUND, "RESOURCE_NOT_FOUND", {"name": name},
        )  # fmt: skip


@each_kind
async def test_a_taken_name(scene: Administrator, resource: Resource) -> None:
    _, record = NEW[resource.kind]
    await create(scene, resource)
    other: Any = resource.message()
    other.CopyFrom(record)
    if resource.kind == "device":
        other.address = "10.0.0.78"
    refusal = await refusal_of(create(scene, resource, **{resource.kind: other}))

    assert refusal.code == Code.ALREADY_EXISTS
    assert refusal.reason == "RESOURCE_EXISTS"


@each_kind
async def test_bad_names_and_ids(scene: Administrator, resource: Resource) -> None:
    for name in ("", "x", "sites/-", "devices/-/optics/a", resource.pattern.child(NEW[resource.kind][0], "UPPER")):
        assert (await refusal_of(get(scene, resource, name))).reason == "INVALID_NAME"
        assert (await refusal_of(delete(scene, resource, name))).fields == ["name"]
        assert (await refusal_of(update(scene, resource, name))).fields == [f"{resource.kind}.name"]
    refusal = await refusal_of(create(scene, resource, "Not_An_Id", request_id="no uuid"))
    assert refusal.code == Code.INVALID_ARGUMENT
    assert {f"{resource.kind}_id", "request_id"} <= set(refusal.fields)


@each_kind
async def test_violations_come_all_at_once(scene: Administrator, resource: Resource) -> None:
    refusal = await refusal_of(create(scene, resource, "Not_An_Id", **{resource.kind: resource.message()}))
    expected = [violation.field for violation in resource.check(resource.message(), None)]  # type: ignore[arg-type]

    assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "INVALID_RECORD")
    assert refusal.fields == [f"{resource.kind}_id", *expected]
    assert expected


@each_kind
async def test_a_repeated_request_is_answered_as_before(scene: Administrator, resource: Resource) -> None:
    request_id = str(uuid.uuid4())
    first = await create(scene, resource, request_id=request_id)
    await update(scene, resource, first.name, **CHANGE[resource.kind])

    assert await create(scene, resource, request_id=request_id) == first
    reused = await refusal_of(create(scene, resource, "other", request_id=request_id))
    assert (reused.code, reused.reason, reused.fields) == (Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED", ["request_id"])


async def test_a_request_id_does_not_fetch_somebody_elses_answer(registry: Registry, scene: Administrator) -> None:
    request_id = str(uuid.uuid4())
    await create(scene, RESOURCES["site"], request_id=request_id)
    async with registry.channel("administrator/other") as channel:
        refusal = await refusal_of(create(Administrator(channel), RESOURCES["site"], request_id=request_id))

    assert refusal.reason == "REQUEST_ID_REUSED"


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


async def test_masks_over_the_wire(scene: Administrator) -> None:
    refusal = await refusal_of(update(scene, RESOURCES["site"], "sites/alimonda", "", "lot", "colour"))
    assert (refusal.code, refusal.reason, refusal.fields) == (Code.INVALID_ARGUMENT, "UNKNOWN_FIELD", ["update_mask"])

    cleared = await update(scene, RESOURCES["site"], "sites/alimonda", "", "lot", lot="")
    assert (cleared.lot, cleared.district) == ("", "7")
    emptied = await refusal_of(update(scene, RESOURCES["site"], "sites/alimonda", "", "*", lot="3"))
    assert emptied.fields == ["site.display_name", "site.location"]


async def test_an_update_that_changes_nothing_is_no_new_version(scene: Administrator) -> None:
    before = await scene.GetZone(name=f"{OPTIC}/zones/giochi")

    assert await update(scene, RESOURCES["zone"], before.name, "", display_name=before.display_name) == before
    after = await update(scene, RESOURCES["zone"], before.name, "", display_name="altro")
    assert (before.version, after.version) == (1, 2)
    assert after.update_time.ToDatetime() > before.update_time.ToDatetime()


async def test_only_one_of_two_concurrent_updates_with_the_same_etag_wins(scene: Administrator) -> None:
    before = await scene.GetSite(name="sites/alimonda")

    answers = await asyncio.gather(
        *(update(scene, RESOURCES["site"], before.name, before.etag, lot=str(number)) for number in range(8)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, site_pb2.Site) for answer in answers) == 1
    assert {answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)} == {Code.ABORTED}


# ---- what records say about each other -----------------------------------------------------------------------------


async def test_addresses_are_unique_whatever_their_spelling(scene: Administrator) -> None:
    twin = lawful.device(address="[::ffff:10.0.0.12]:554")
    refusal = await refusal_of(scene.CreateDevice(device_id="twin", device=twin))

    assert (refusal.code, refusal.reason) == (Code.ALREADY_EXISTS, "ADDRESS_IN_USE")


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
    await stay("d0", -1, 0)
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


async def test_times_outside_their_range_are_the_callers_mistake(scene: Administrator) -> None:
    device = lawful.device(address="10.0.0.50")
    device.legal_basis.dpia_time.seconds = 2**60
    assert (await refusal_of(scene.CreateDevice(device_id="x", device=device))).code == Code.INVALID_ARGUMENT
    optic = lawful.optic()
    optic.policy.retention.seconds = 2**60
    assert (await refusal_of(scene.CreateOptic(parent="devices/palo-12", optic_id="x", optic=optic))).code == (
        Code.INVALID_ARGUMENT
    )


async def test_the_registry_keeps_its_own_fields(scene: Administrator) -> None:
    given = lawful.zone(version=99, etag="x", name="devices/other/optics/x/zones/y")
    created = await scene.CreateZone(parent=OPTIC, zone_id="z", zone=given)

    assert (created.name, created.version) == (f"{OPTIC}/zones/z", 1)
    assert created.etag != "x"


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
    await update(scene, RESOURCES["zone"], f"{OPTIC}/zones/giochi", display_name="altro")
    await delete(scene, RESOURCES["zone"], f"{OPTIC}/zones/giochi")
    await refusal_of(create(scene, RESOURCES["zone"], "Bad"))

    acts = await registry.pool.fetch(
        "SELECT who, why FROM audit_entries WHERE what = $1 ORDER BY sequence", f"{OPTIC}/zones/giochi"
    )
    assert [tuple(act) for act in acts] == [
        ("administrator/mrossi", f"{verb}Zone") for verb in ("Create", "Update", "Delete")
    ]
    assert await AuditLog(registry.pool).verify() is None
    rows = await registry.pool.fetch(
        "SELECT version, author, record ->> 'display_name' AS display FROM change WHERE name = $1 ORDER BY sequence",
        f"{OPTIC}/zones/giochi",
    )
    assert [tuple(row) for row in rows] == [
        (1, "administrator/mrossi", "area giochi"),
        (2, "administrator/mrossi", "altro"),
        (3, "administrator/mrossi", None),
    ]


async def test_without_the_audit_log_nothing_is_changed(registry: Registry, scene: Administrator) -> None:
    await registry.pool.execute("ALTER TABLE audit_entries RENAME TO away")

    refusal = await refusal_of(update(scene, RESOURCES["site"], "sites/alimonda", lot="9"))

    assert refusal.code == Code.UNAVAILABLE
    assert (await scene.GetSite(name="sites/alimonda")).lot == "3bis"


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


def test_the_contract_is_fully_bound() -> None:
    methods = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"].methods_by_name
    bound = {
        f"{verb}{noun}"
        for resource in RESOURCES.values()
        for verb, noun in (
            ("Get", resource.camel),
            ("List", resource.plural.capitalize()),
            ("Create", resource.camel),
            ("Update", resource.camel),
            ("Delete", resource.camel),
        )
    }

    assert set(methods) == bound | {"WatchOptics"}
