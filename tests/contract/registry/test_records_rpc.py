"""The standard methods over loopback mTLS against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import pytest

from argo.registry.v1 import registry_service_pb2, site_pb2
from registry.resources import RESOURCES, Resource
from tests.contract.registry.records import (
    CHANGE,
    NEW,
    OPTIC,
    Code,
    create,
    delete,
    each_kind,
    get,
    update,
)
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry import lawful


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
@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "two\nlines"])
async def test_every_change_says_why(scene: Administrator, resource: Resource, reason: str) -> None:
    created = await create(scene, resource)
    record = resource.message(name=created.name, **CHANGE[resource.kind])
    refusals = [
        await refusal_of(create(scene, resource, "Not_An_Id", reason=reason)),
        await refusal_of(getattr(scene, f"Update{resource.camel}")(**{resource.kind: record, "reason": reason})),
        await refusal_of(getattr(scene, f"Delete{resource.camel}")(name="x", reason=reason)),
    ]

    assert {each.code for each in refusals} == {Code.INVALID_ARGUMENT}
    assert [each.fields for each in refusals] == [[f"{resource.kind}_id", "reason"], ["reason"], ["name", "reason"]]
    assert await get(scene, resource, created.name) == created


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

    assert set(methods) == bound | {"WatchOptics", "ConfirmScene"}
