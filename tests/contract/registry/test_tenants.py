"""Tenants never see, list, watch or change each other's records: every method, generated from the contract."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from argo.registry.v1 import hold_service_pb2, placement_service_pb2
from mesh.access import matrix
from mesh.embedded import EmbeddedPostgres
from registry.resources import RESOURCES
from tests.contract.registry.methods import METHODS, Outcome, call, methods_of, path_of
from tests.contract.registry.records import build_scene
from tests.contract.registry.support import Administrator, Registry, fresh_database, refusal_of, running_registry
from tests.contract.registry.tenants import (
    CASES,
    CONTROLLER,
    LISTS,
    MINE,
    NOBODYS,
    NOT_A_LIST_OF_ALL,
    THEIRS,
    Names,
    hold,
    placement,
    record,
)
from tests.unit.registry import lawful

pytestmark = pytest.mark.asyncio(loop_scope="module")

TENANT = "tenants/amiat"
PEOPLE = ("administrator", "supervisor", "operator", "auditor")
KEPT = frozenset({"audit_entries", "argo_migrations", "admissions", "change", "change_clock", "gateways", "leases"})
"""Tables that reads and time write too."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registry]:
    """Records of every kind that are the city's, and some that are the tenant's."""
    dsn = await fresh_database(postgres_server)
    async with running_registry(dsn, tmp_path_factory.mktemp("tenants")) as registry:
        async with registry.channel("administrator/mrossi") as channel:
            await build_city(registry, Administrator(channel))
        async with registry.channel(f"{TENANT}/administrator/lbianchi") as channel:
            await build_tenant(Administrator(channel))
        await registry.sweep.once()
        yield registry


async def build_city(registry: Registry, administrator: Administrator) -> None:
    await administrator.CreateController(controller_id="amiat", controller=CONTROLLER)
    await build_scene(administrator)
    for kind in ("zone", "line", "lane", "rule", "deployment"):
        resource = RESOURCES[kind]
        arguments = {"parent": THEIRS.parent(resource), f"{kind}_id": "theirs", kind: record(resource, THEIRS)}
        await getattr(administrator, f"Create{resource.camel}")(**arguments)
    async with registry.channel("supervisor/gverdi") as channel:
        for method, request in (
            ("ProposalService/CreateProposal", proposal()),
            ("HoldService/CreateHold", _create_hold()),
            ("PlacementService/CreatePlacementRequest", _create_placement()),
        ):
            made = await call(channel, METHODS[f"/argo.registry.v1.{method}"], request)
            assert made.refusal is None, made


async def build_tenant(administrator: Administrator) -> None:
    await administrator.CreateSite(site_id=MINE.site, site=lawful.site())
    device = lawful.device(site=f"sites/{MINE.site}", address="10.0.9.9", credentials="amiat/varco")
    device.legal_basis.controller = ""
    assert (await administrator.CreateDevice(device_id=MINE.device, device=device)).legal_basis.controller == (
        "controllers/amiat"
    )
    await administrator.CreateOptic(parent=f"devices/{MINE.device}", optic_id="nord", optic=lawful.optic())


def proposal() -> Message:
    made: Any = CASES["/argo.registry.v1.ProposalService/CreateProposal"](THEIRS)
    made.proposal_id = "theirs"
    return made  # type: ignore[no-any-return] # a message of the case


def _create_hold() -> Message:
    return hold_service_pb2.CreateHoldRequest(hold_id=THEIRS.controller, hold=hold(THEIRS), reason="prova")


def _create_placement() -> Message:
    return placement_service_pb2.CreatePlacementRequestRequest(
        placement_request_id=THEIRS.controller, placement_request=placement(THEIRS)
    )


def kind_that_may(method: str) -> str | None:
    """The first kind of person that may call a method; None: only machines may."""
    return next((kind for kind in PEOPLE if kind in matrix().rows[method].callers), None)


async def ask(world: Registry, method: str, request: Message, answers: int = 1) -> Outcome:
    """Calls a method as a person of the tenant."""
    async with world.channel(f"{TENANT}/{kind_that_may(method)}/lbianchi") as channel:
        return await call(channel, METHODS[method], request, answers=answers, patience=1)


def is_bookmark(answer: Any) -> bool:
    """Whether it is a watch's bookmark, whose token is new each time."""
    return "bookmark" in answer.DESCRIPTOR.fields_by_name and answer.HasField("bookmark")


def masked(outcome: Outcome, names: Names) -> tuple[Any, ...]:
    """What somebody can learn from an answer, without the names that were in the question."""
    refusal = outcome.refusal
    said = [names.mask(str(answer)) for answer in outcome.answers if not is_bookmark(answer)]
    if refusal is None:
        return outcome.code, said
    metadata = {key: names.mask(value) for key, value in refusal.metadata.items()}
    return outcome.code, said, refusal.reason, metadata, refusal.fields, names.mask(refusal.message)


async def state_of(world: Registry) -> dict[str, str]:
    """A digest of every table that only changes write to."""
    tables = await world.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'registry'")
    return {
        table: await world.pool.fetchval(f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} AS t")  # noqa: S608
        for (table,) in tables
        if table not in KEPT
    }


async def test_every_method_that_is_served_has_a_case(world: Registry) -> None:
    served = {path_of(method) for method in methods_of(*world.services)}

    assert served <= set(CASES), "a new method needs a request in tenants.py"
    lists = {path for path in served if METHODS[path].name.startswith(("List", "Watch", "Export"))}
    assert lists <= set(LISTS) | NOT_A_LIST_OF_ALL, "a new list needs a request for everything in tenants.py"


@pytest.mark.parametrize("method", CASES)
async def test_another_controllers_records_are_as_if_they_were_not_there(world: Registry, method: str) -> None:
    if kind_that_may(method) is None:
        assert all(caller.startswith(("service", "system")) for caller in matrix().rows[method].callers)
        return
    before = await state_of(world)

    of_nobody = masked(await ask(world, method, CASES[method](NOBODYS)), NOBODYS)
    of_others = masked(await ask(world, method, CASES[method](THEIRS)), THEIRS)

    assert of_others == of_nobody
    assert await state_of(world) == before


@pytest.mark.parametrize("method", LISTS)
async def test_a_list_of_everything_holds_what_is_ones_own(world: Registry, method: str) -> None:
    outcome = await ask(world, method, LISTS[method], answers=10)

    assert outcome.refusal is None
    said = " ".join(str(answer) for answer in outcome.answers)
    for name in (THEIRS.site, THEIRS.device, THEIRS.mobile, "controllers/city"):
        assert name not in said
    if method.endswith(("Sites", "Devices", "Optics", "WatchOptics", "ExportFleet")):
        assert MINE.site in said or MINE.device in said


async def test_machines_and_the_city_see_what_they_should(world: Registry) -> None:
    async with world.channel("service/alerting") as channel:
        everything = await Administrator(channel).ListDevices()
    async with world.channel("administrator/mrossi") as channel:
        city = Administrator(channel)
        own = await city.ListDevices()
        controllers = [each.name for each in (await city.ListControllers()).controllers]
        foreign = await refusal_of(city.GetDevice(name=f"devices/{MINE.device}"))

    assert {each.legal_basis.controller for each in everything.devices} == {"controllers/city", "controllers/amiat"}
    assert {each.legal_basis.controller for each in own.devices} == {"controllers/city"}
    assert controllers == ["controllers/amiat", "controllers/city"]
    assert foreign.code == grpc.StatusCode.NOT_FOUND


async def test_a_request_id_of_another_tenant_is_free(world: Registry) -> None:
    request_id = str(uuid.uuid4())
    async with world.channel("administrator/mrossi") as channel:
        await Administrator(channel).CreateSite(site_id="theirs", site=lawful.site(), request_id=request_id)
    async with world.channel(f"{TENANT}/administrator/mrossi") as channel:
        tenant = Administrator(channel)
        made = await tenant.CreateSite(site_id="mine", site=lawful.site(), request_id=request_id)
        replayed = await tenant.CreateSite(site_id="mine", site=lawful.site(), request_id=request_id)

    assert made == replayed
    assert (made.name, made.controller) == ("sites/mine", "controllers/amiat")


async def test_a_token_of_another_tenant_is_of_no_use(world: Registry) -> None:
    async with world.channel("administrator/mrossi") as channel:
        page = await Administrator(channel).ListDevices(page_size=1)
        bookmark = await call(
            channel, METHODS["/argo.registry.v1.RegistryService/WatchOptics"], LISTS[_WATCH], answers=10, patience=1
        )
    resume_token = next(answer.resume_token for answer in bookmark.answers if answer.resume_token)  # type: ignore[attr-defined]
    async with world.channel(f"{TENANT}/administrator/mrossi") as channel:
        refusal = await refusal_of(Administrator(channel).ListDevices(page_token=page.next_page_token))
        watch = await call(channel, METHODS[_WATCH], type(LISTS[_WATCH])(resume_token=resume_token))

    assert page.next_page_token
    assert refusal.reason == "INVALID_PAGE_TOKEN"
    assert watch.reason == "INVALID_RESUME_TOKEN"


_WATCH = "/argo.registry.v1.RegistryService/WatchOptics"


async def test_a_watch_resumed_does_not_tell_of_others(world: Registry) -> None:
    async with (
        world.channel(f"{TENANT}/operator/lbianchi") as mine,
        world.channel("administrator/mrossi") as theirs,
    ):
        first = await call(mine, METHODS[_WATCH], LISTS[_WATCH], answers=2, patience=5)
        token = first.answers[-1].resume_token  # type: ignore[attr-defined]
        city = Administrator(theirs)
        await city.CreateOptic(parent=f"devices/{THEIRS.device}", optic_id="sud", optic=lawful.optic())
        await city.DeleteOptic(name=f"devices/{THEIRS.device}/optics/sud")
        await world.sweep.once()
        again = await call(mine, METHODS[_WATCH], type(LISTS[_WATCH])(resume_token=token), answers=1)

    assert token
    assert again.answers[0].WhichOneof("change") == "bookmark"


async def test_a_record_stays_with_its_controller(world: Registry) -> None:
    async with world.channel(f"{TENANT}/administrator/lbianchi") as channel:
        tenant = Administrator(channel)
        name = f"devices/{MINE.device}"
        given = lawful.device(name=name, site=f"sites/{MINE.site}", address="10.0.9.9", credentials="amiat/varco")
        refusal = await refusal_of(tenant.UpdateDevice(device=given))
        given.legal_basis.controller = ""
        kept = await tenant.UpdateDevice(device=given, update_mask={"paths": ["*"]})
        foreign = await refusal_of(tenant.CreateSite(site_id="x", site=lawful.site(controller="controllers/city")))

    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["device.legal_basis.controller"])
    assert kept.legal_basis.controller == "controllers/amiat"
    assert foreign.fields == ["site.controller"]


async def test_only_the_citys_administrators_write_controllers(world: Registry) -> None:
    async with world.channel(f"{TENANT}/administrator/lbianchi") as channel:
        tenant = Administrator(channel)
        changed = lawful.controller(name="controllers/amiat", display_name="altro")
        refusals = [
            await refusal_of(tenant.UpdateController(controller=changed)),
            await refusal_of(tenant.DeleteController(name="controllers/amiat")),
            await refusal_of(tenant.CreateController(controller_id="x", controller=lawful.controller())),
        ]
        own = await tenant.GetController(name="controllers/amiat")

    assert {(each.code, each.reason) for each in refusals} == {
        (grpc.StatusCode.PERMISSION_DENIED, "CITY_ADMINISTRATORS_ONLY")
    }
    assert own.display_name == CONTROLLER.display_name
    async with world.channel("administrator/mrossi") as channel:
        city = await refusal_of(Administrator(channel).DeleteController(name="controllers/city"))
    assert city.reason == "RESOURCE_IN_USE"
