"""FleetService over loopback mTLS, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from argo.registry.v1 import fleet_service_pb2 as pb
from argo.registry.v1 import fleet_service_pb2_grpc, site_pb2
from mesh.audit import verify
from registry.onboarding.turin import turin_fleet
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry.lawful import deployment, device, mobile_device, optic, site

NOW = datetime.now(UTC)
Record = pb.FleetRecord


class Fleets:
    """Calls FleetService as one administrator."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = fleet_service_pb2_grpc.FleetServiceStub(channel)

    def send(self, records: Iterable[Record], **options: Any) -> Any:
        rows = [pb.ImportFleetRequest.Row(source=f"line {n + 2}", record=record) for n, record in enumerate(records)]
        request = pb.ImportFleetRequest(rows=rows, **{"reason": "collaudo lotto 3", **options})
        return self._stub.ImportFleet(request, timeout=60)

    async def receive(self) -> list[Record]:
        return [record async for answer in self._stub.ExportFleet(pb.ExportFleetRequest()) for record in answer.records]


@pytest.fixture
async def fleets(registry: Registry) -> AsyncIterator[Fleets]:
    async with registry.channel("administrator/mrossi") as channel:
        yield Fleets(channel)


def small_fleet() -> list[Record]:
    """A site, a fixed and a mobile device, an optic each, a stay."""
    start, end = NOW - timedelta(days=1), NOW + timedelta(days=10)
    return [
        Record(site=site(name="sites/alimonda")),
        Record(device=device(name="devices/palo-12")),
        Record(device=mobile_device(name="devices/mobile-1", address="10.0.0.13")),
        Record(optic=optic(name="devices/palo-12/optics/nord")),
        Record(optic=optic(name="devices/mobile-1/optics/nord")),
        Record(deployment=deployment(start, end, name="devices/mobile-1/deployments/stay-1")),
    ]


def told(answer: pb.ImportFleetResponse) -> list[tuple[str, str, str]]:
    return [(problem.source, problem.field, problem.description) for problem in answer.problems]


async def count(registry: Registry, table: str) -> int:
    async with registry.pool.acquire() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a constant of the test


# ---- good fleets ---------------------------------------------------------------------------------------------------


async def test_the_fleet_of_turin_goes_in_at_once_and_comes_out_the_same(fleets: Fleets) -> None:
    fleet = turin_fleet(3, now=NOW)

    answer = await fleets.send(fleet)

    assert (told(answer), answer.stored, answer.created, answer.updated) == ([], True, 1176, 0)
    exported = await fleets.receive()
    again = await fleets.send(exported)
    assert (told(again), again.stored) == ([], False)
    assert (again.created, again.updated, again.unchanged) == (0, 0, len(exported))
    assert {bare(record) for record in fleet} <= {bare(record) for record in exported}


def bare(record: Record) -> bytes:
    copy = Record()
    copy.CopyFrom(record)
    inner = getattr(copy, str(copy.WhichOneof("record")))
    for output_only in ("etag", "create_time", "update_time"):
        if output_only in inner.DESCRIPTOR.fields_by_name:
            inner.ClearField(output_only)
    return copy.SerializeToString(deterministic=True)


async def test_every_optic_of_the_made_up_fleet_is_admitted(fleets: Fleets, registry: Registry) -> None:
    await fleets.send(turin_fleet(1, now=registry.clock(), devices=20))

    async with registry.channel("operator/lbianchi") as channel:
        optics = (await Administrator(channel).ListOptics(parent="devices/-", page_size=1000)).optics
    assert len(optics) > 20
    assert [one.name for one in optics if one.refusals] == []


async def test_any_order_will_do(fleets: Fleets) -> None:
    answer = await fleets.send(reversed(small_fleet()))

    assert (told(answer), answer.created) == ([], 6)


async def test_an_import_changes_only_what_differs(fleets: Fleets, registry: Registry) -> None:
    fleet = small_fleet()
    await fleets.send(fleet)
    fleet[1].device.firmware_version = "5.3.0"

    answer = await fleets.send(fleet)

    assert (answer.created, answer.updated, answer.unchanged) == (0, 1, 5)
    async with registry.pool.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT author, reason, name FROM change WHERE version = 2 AND author IS NOT NULL"
        )
    assert tuple(row) == ("administrator/mrossi", "collaudo lotto 3", "devices/palo-12")


async def test_two_devices_swap_addresses_and_two_stays_their_times(fleets: Fleets) -> None:
    first, second = (NOW, NOW + timedelta(days=5)), (NOW + timedelta(days=5), NOW + timedelta(days=9))
    fleet = small_fleet()[:5]
    stays = [
        deployment(*first, name="devices/mobile-1/deployments/a"),
        deployment(*second, name="devices/mobile-1/deployments/b", decision="COSP 89/2026"),
    ]
    await fleets.send([*fleet, *(Record(deployment=stay) for stay in stays)])
    fleet[1].device.address, fleet[2].device.address = "10.0.0.13", "10.0.0.12"
    swapped = [
        deployment(*second, name=stays[0].name, decision="COSP 90/2026"),
        deployment(*first, name=stays[1].name, decision="COSP 91/2026"),
    ]

    answer = await fleets.send([*fleet, *(Record(deployment=stay) for stay in swapped)])

    assert (told(answer), answer.updated) == ([], 4)


async def test_every_record_of_an_import_is_on_the_audit_log(fleets: Fleets, registry: Registry) -> None:
    await fleets.send(small_fleet())
    await fleets.receive()

    assert await verify(registry.pool) is None
    async with registry.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT act, what FROM audit_entries WHERE who = 'administrator/mrossi' ORDER BY sequence"
        )
    assert sorted(row["what"] for row in rows[:6]) == sorted(
        getattr(record, str(record.WhichOneof("record"))).name for record in small_fleet()
    )
    assert (rows[6]["act"], rows[6]["what"]) == ("consultation", "fleet of controllers/city")


# ---- bad rows ------------------------------------------------------------------------------------------------------


async def test_all_problems_of_all_rows_are_told_and_nothing_is_stored(fleets: Fleets, registry: Registry) -> None:
    fleet = small_fleet()
    fleet[0].site.location.latitude = 95
    fleet[1].device.address = "192.168.1.1"
    fleet[1].device.view = site_pb2.Device.VIEW_UNSPECIFIED
    fleet[2].device.credentials = "admin:12345"
    fleet += [Record(optic=optic(name="devices/elsewhere/optics/nord")), Record(), Record(site=site(name="sites/A!"))]

    answer = await fleets.send(fleet)

    assert [(source, field) for source, field, _ in told(answer)] == [
        ("line 2", "site.location.latitude"),
        ("line 3", "device.address"),
        ("line 3", "device.view"),
        ("line 4", "device.credentials"),
        ("line 5", "optic.name"),
        ("line 6", "optic.name"),
        ("line 7", "deployment.name"),
        ("line 7", "deployment.site"),
        ("line 8", "optic.name"),
        ("line 9", ""),
        ("line 10", "site.name"),
    ]
    assert (answer.stored, await count(registry, "sites"), await count(registry, "devices")) == (False, 0, 0)
    assert "12345" not in str(answer)


async def test_partial_stores_the_valid_rows_and_no_row_that_hangs_on_a_bad_one(
    fleets: Fleets, registry: Registry
) -> None:
    fleet = small_fleet()
    fleet[2].device.address = "192.168.1.1"

    answer = await fleets.send(fleet, partial=True)

    assert [source for source, _, _ in told(answer)] == ["line 4", "line 6", "line 7"]
    assert (answer.stored, answer.created) == (True, 3)
    assert [await count(registry, table) for table in ("sites", "devices", "optics")] == [1, 1, 1]


async def test_validate_only_says_the_same_and_stores_nothing(fleets: Fleets, registry: Registry) -> None:
    fleet = small_fleet()
    would = await fleets.send(fleet, validate_only=True)
    assert (await count(registry, "sites"), await count(registry, "change")) == (0, 1)
    did = await fleets.send(fleet)

    assert (told(would), would.created, would.stored) == (told(did), did.created, False)
    fleet[1].device.address = "nowhere!"
    assert told(await fleets.send(fleet, validate_only=True)) == told(await fleets.send(fleet))


Change = Callable[[list[Record]], None]


def twice(fleet: list[Record]) -> None:
    fleet.append(fleet[1])


def same_address(fleet: list[Record]) -> None:
    fleet[2].device.address = "10.0.0.12"


def other_spelling(fleet: list[Record]) -> None:
    fleet[1].device.address, fleet[2].device.address = "fd00:a::1", "FD00:A:0:0::1"


def nine_optics(fleet: list[Record]) -> None:
    fleet += [Record(optic=optic(name=f"devices/palo-12/optics/o{number}")) for number in range(8)]


def overlap(fleet: list[Record]) -> None:
    fleet.append(Record(deployment=deployment(NOW, NOW + timedelta(days=1), name="devices/mobile-1/deployments/b")))


def stay_of_a_fixed_device(fleet: list[Record]) -> None:
    fleet.append(Record(deployment=deployment(NOW, NOW + timedelta(days=1), name="devices/palo-12/deployments/b")))


def foreign_controller(fleet: list[Record]) -> None:
    fleet[0].site.controller = "controllers/questura"


@pytest.mark.parametrize(
    ("spoil", "source", "words"),
    [
        (twice, "line 8", "stands twice: also in line 3"),
        (same_address, "line 4", "stands twice: devices/palo-12 has it in line 3"),
        (other_spelling, "line 4", "stands twice: devices/palo-12 has it in line 3"),
        (nine_optics, "line 5", "at most 8 optics"),
        (overlap, "line 8", "overlaps devices/mobile-1/deployments/stay-1"),
        (stay_of_a_fixed_device, "line 8", "only a mobile device"),
        (foreign_controller, "line 2", "the controller that you belong to"),
    ],
)
async def test_rows_against_each_other(fleets: Fleets, spoil: Change, source: str, words: str) -> None:
    fleet = small_fleet()
    spoil(fleet)

    answer = await fleets.send(fleet)

    assert [problem for problem in told(answer) if problem[0] == source and words in problem[2]]
    assert not answer.stored


async def test_rows_against_what_is_stored(fleets: Fleets, registry: Registry) -> None:
    await fleets.send(small_fleet())
    later = NOW + timedelta(days=9)
    rows = [
        Record(device=device(name="devices/palo-13")),
        Record(device=device(name="devices/mobile-1", address="10.0.0.13")),
        Record(deployment=deployment(later, later + timedelta(days=9), name="devices/mobile-1/deployments/stay-2")),
        Record(deployment=deployment(NOW, NOW + timedelta(days=90), name="devices/mobile-1/deployments/stay-1")),
    ]

    assert [(source, field, words.split(":")[0]) for source, field, words in told(await fleets.send(rows))] == [
        ("line 2", "device.address", "is that of devices/palo-12"),
        ("line 3", "device.mobility", "must stay mobile"),
        ("line 4", "", "overlaps devices/mobile-1/deployments/stay-1 in time"),
        ("line 5", "", "devices/mobile-1/deployments/stay-1 cannot be extended or moved under its present decision"),
    ]
    assert await count(registry, "devices") == 2


async def test_what_only_the_database_refuses_is_told_of_its_row(fleets: Fleets, registry: Registry) -> None:
    then = NOW + timedelta(days=10)
    more = deployment(then, then + timedelta(days=5), name="devices/mobile-1/deployments/stay-2")
    rows = [*small_fleet()[:5], Record(site=site(name="sites/montale"))]
    await fleets.send(small_fleet())

    refused = await fleets.send([*rows, Record(deployment=more)])
    would = await fleets.send([*rows, Record(deployment=more)], validate_only=True)
    did = await fleets.send([*rows, Record(deployment=more)], partial=True)

    assert told(refused) == told(would) == told(did)
    assert told(did) == [("line 8", "", "the stay at that site goes on only under a new decision")]
    assert [(answer.stored, answer.created) for answer in (refused, would, did)] == [(False, 1), (False, 1), (True, 1)]
    assert (await count(registry, "sites"), await count(registry, "deployments")) == (2, 1)


# ---- the request itself --------------------------------------------------------------------------------------------


async def test_an_import_needs_rows_and_a_reason(fleets: Fleets) -> None:
    refusal = await refusal_of(fleets.send([], reason=" "))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_IMPORT")
    assert refusal.fields == ["reason", "rows"]


async def test_too_many_rows_are_refused(fleets: Fleets) -> None:
    refusal = await refusal_of(fleets.send([Record()] * 10_001))

    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["rows"])


# ---- tenants -------------------------------------------------------------------------------------------------------


async def test_tenants_import_and_export_their_own_only(fleets: Fleets, registry: Registry) -> None:
    questura = site_pb2.Controller(
        name="controllers/questura", display_name="Questura", kind=site_pb2.Controller.KIND_POLICE_FORCE
    )
    await fleets.send([Record(controller=questura), *small_fleet()])
    async with registry.channel("tenants/questura/administrator/verdi") as channel:
        theirs = Fleets(channel)
        assert await theirs.receive() == []
        blocked = await theirs.send(
            [
                Record(site=site(name="sites/alimonda")),
                Record(device=device(name="devices/q-1", address="10.0.9.9", legal_basis=None)),
                Record(optic=optic(name="devices/palo-12/optics/sud")),
                Record(controller=questura),
            ]
        )
        own = [Record(site=site(name="sites/questura")), Record(device=device(
            name="devices/q-1", address="10.0.9.9", site="sites/questura", legal_basis=None
        ))]  # fmt: skip
        assert (await theirs.send(own)).created == 2
        exported = await theirs.receive()

    assert [(source, field) for source, field, _ in told(blocked)] == [
        ("line 2", "site.name"), ("line 3", "device.site"), ("line 4", "optic.name"), ("line 5", ""),
    ]  # fmt: skip
    assert [record.WhichOneof("record") for record in exported] == ["site", "device"]
    assert exported[1].device.legal_basis.controller == "controllers/questura"
    assert not any("questura" in record.site.name for record in await fleets.receive())
