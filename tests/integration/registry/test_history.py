"""The past: what the records said at any instant, and who made them say so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from argo.registry.v1 import history_service_pb2 as pb
from argo.registry.v1 import (
    history_service_pb2_grpc,
    proposal_service_pb2,
    proposal_service_pb2_grpc,
    scene_pb2,
    site_pb2,
)
from tests.contract.registry.support import (
    REASON,
    Administrator,
    Registry,
    reason_name,
    refusal_of,
    running_registry,
)
from tests.integration.registry.release import as_release_0_1_0
from tests.unit.registry.lawful import controller, deployment, device, mobile_device, optic, rule, site, zone

NORD = "devices/palo-12/optics/nord"


class Historian:
    """Asks HistoryService with keyword arguments."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = history_service_pb2_grpc.HistoryServiceStub(channel)

    def record(self, name: str = NORD, **asked: Any) -> Any:
        return self._stub.GetOpticRecord(pb.GetOpticRecordRequest(name=name, **asked))

    def revisions(self, parent: str, **asked: Any) -> Any:
        return self._stub.ListRevisions(pb.ListRevisionsRequest(parent=parent, **asked))


@asynccontextmanager
async def historian_of(registry: Registry, identity: str) -> AsyncIterator[Historian]:
    async with registry.channel(identity) as channel:
        yield Historian(channel)


@pytest.fixture
async def historian(registry: Registry) -> AsyncIterator[Historian]:
    async with historian_of(registry, "auditor/anna") as historian:
        yield historian


def dwelling(seconds: int) -> scene_pb2.Rule:
    watched = scene_pb2.ZoneIntrusion(zone=f"{NORD}/zones/giochi")
    watched.minimum_dwell.seconds = seconds
    return rule(mode=scene_pb2.Rule.MODE_SHADOW, line_crossing=None, zone_intrusion=watched)


async def watched_street(administrator: Administrator, seconds: int = 30) -> Any:
    """One optic with a zone and a rule that watches it."""
    await administrator.build()
    await administrator.CreateZone(parent=NORD, zone_id="giochi", zone=zone())
    return await administrator.CreateRule(parent=NORD, rule_id="sosta", rule=dwelling(seconds))


async def configuration(registry: Registry, condition: Callable[[Any], bool]) -> Any:
    """The optic's configuration as gateway and detector get it, once it meets a condition."""
    async with registry.channel("service/alerting") as channel:
        watch = Administrator(channel).WatchOptics(parent="devices/palo-12")
        async for response in watch:
            if response.HasField("updated") and condition(response.updated):
                watch.cancel()
                return response.updated
    raise AssertionError("the watch ended")


async def moment(registry: Registry) -> datetime:
    """Now, by the clock of the database."""
    now: datetime = await registry.pool.fetchval("SELECT clock_timestamp()")
    return now


async def test_an_alert_of_last_week_is_explained_by_the_rule_of_last_week(
    registry: Registry, administrator: Administrator, historian: Historian
) -> None:
    await watched_street(administrator, seconds=30)
    # What an event carries, and the alert that it raises: the version of the configuration under which it was seen.
    alert_version = (await configuration(registry, lambda seen: len(seen.rules) == 1)).version
    changed = dwelling(300)
    changed.name = f"{NORD}/rules/sosta"
    await administrator.UpdateRule(rule=changed, reason="troppi falsi allarmi")
    await administrator.UpdateOptic(optic=optic(name=NORD, display_name="verso il fiume"))
    now = await historian.record()
    then = await historian.record(version=alert_version)

    assert then.version == alert_version
    assert [each.zone_intrusion.minimum_dwell.seconds for each in then.rules] == [30]
    assert then.optic.display_name == "verso nord"
    assert then.zones[0].name == f"{NORD}/zones/giochi"
    assert then.device.name == "devices/palo-12"
    assert then.site.name == "sites/alimonda"
    assert [each.zone_intrusion.minimum_dwell.seconds for each in now.rules] == [300]
    assert now.optic.display_name == "verso il fiume"
    assert now.version == (await configuration(registry, lambda seen: bool(seen.version))).version > alert_version


async def test_a_record_is_read_as_it_was_at_an_instant(
    registry: Registry, administrator: Administrator, historian: Historian
) -> None:
    before = await moment(registry)
    await watched_street(administrator)
    with_rule = await moment(registry)
    await administrator.DeleteRule(name=f"{NORD}/rules/sosta")
    without_rule = await moment(registry)
    await administrator.DeleteZone(name=f"{NORD}/zones/giochi")
    await administrator.DeleteOptic(name=NORD)

    assert (await refusal_of(historian.record(time=before))).code is grpc.StatusCode.NOT_FOUND
    assert len((await historian.record(time=with_rule)).rules) == 1
    past = await historian.record(time=without_rule)
    assert (len(past.rules), len(past.zones)) == (0, 1)
    assert past.time.ToDatetime(UTC) == without_rule
    assert (await refusal_of(historian.record())).code is grpc.StatusCode.NOT_FOUND


async def test_the_gate_and_the_place_of_a_mobile_device_are_told_as_they_were(
    registry: Registry, administrator: Administrator, historian: Historian
) -> None:
    await administrator.CreateSite(site_id="alimonda", site=site())
    await administrator.CreateDevice(device_id="palo-12", device=mobile_device())
    await administrator.CreateOptic(parent="devices/palo-12", optic_id="nord", optic=optic())
    await registry.sweep.once()
    waiting = await moment(registry)
    stay = deployment(registry.clock() - timedelta(hours=1), registry.clock() + timedelta(days=30))
    await administrator.CreateDeployment(parent="devices/palo-12", deployment_id="estate", deployment=stay)
    await registry.sweep.once()
    placed = await historian.record()
    past = await historian.record(time=waiting)

    assert [reason_name(refusal.reason) for refusal in past.refusals] == ["DECISION_MISSING"]
    assert past.refusals == past.optic.refusals == past.device.refusals
    assert (past.device.site, past.HasField("site"), past.HasField("deployment")) == ("", False, False)
    assert (list(placed.refusals), placed.device.site, placed.site.name) == ([], "sites/alimonda", "sites/alimonda")
    assert placed.deployment.decision == "COSP 88/2026"
    assert placed.optic.scene == site_pb2.Optic.SCENE_UNCONFIRMED


async def test_a_confirmed_scene_is_told_with_who_confirmed_it(
    registry: Registry, administrator: Administrator, historian: Historian
) -> None:
    await administrator.build()
    await registry.sweep.once()
    record = await historian.record()
    kinds = {each.WhichOneof("record") for each in (await historian.revisions(NORD)).revisions}

    assert record.optic.scene == site_pb2.Optic.SCENE_CONFIRMED
    assert (record.scene_confirmation.site, record.scene_confirmation.author) == (
        "sites/alimonda",
        "administrator/mrossi",
    )
    assert kinds == {"optic", "scene_confirmation"}


async def test_revisions_come_newest_first_with_author_reason_and_record(
    administrator: Administrator, historian: Historian
) -> None:
    await watched_street(administrator)
    changed = dwelling(60)
    changed.name = f"{NORD}/rules/sosta"
    await administrator.UpdateRule(rule=changed, reason="troppi falsi allarmi")
    await administrator.DeleteRule(name=changed.name, reason="non serve")
    deleted, updated, created = (await historian.revisions(changed.name)).revisions

    assert [each.version for each in (deleted, updated, created)] == [3, 2, 1]
    assert (deleted.deleted, deleted.WhichOneof("record"), deleted.reason) == (True, None, "non serve")
    assert (updated.author, updated.reason) == ("administrator/mrossi", "troppi falsi allarmi")
    assert updated.rule.zone_intrusion.minimum_dwell.seconds == 60
    assert (created.reason, created.rule.zone_intrusion.minimum_dwell.seconds) == (REASON, 30)
    assert created.time.ToDatetime() < updated.time.ToDatetime() < deleted.time.ToDatetime()


async def test_a_revision_names_the_second_person(
    registry: Registry, administrator: Administrator, historian: Historian
) -> None:
    live = await watched_street(administrator)
    live.mode = scene_pb2.Rule.MODE_LIVE
    proposal = proposal_service_pb2.Proposal(rule=live)
    async with registry.channel("administrator/mrossi") as author, registry.channel("supervisor/bianchi") as second:
        created: Any = await proposal_service_pb2_grpc.ProposalServiceStub(author).CreateProposal(
            proposal_service_pb2.CreateProposalRequest(
                parent=NORD, proposal_id="vivo", proposal=proposal, reason="una settimana di prova senza errori"
            )
        )
        await proposal_service_pb2_grpc.ProposalServiceStub(second).ApproveProposal(
            proposal_service_pb2.ApproveProposalRequest(name=created.name, reason="d'accordo")
        )
    newest = (await historian.revisions(live.name)).revisions[0]

    assert newest.rule.mode == scene_pb2.Rule.MODE_LIVE
    assert (newest.author, newest.approver) == ("administrator/mrossi", "supervisor/bianchi")
    assert newest.reason == "una settimana di prova senza errori"


@pytest.mark.parametrize(
    ("parent", "kinds"),
    [
        ("sites/alimonda", {"site"}),
        ("devices/palo-12", {"device", "optic", "zone", "rule", "scene_confirmation", "admission"}),
        (NORD, {"optic", "zone", "rule", "scene_confirmation"}),
        (f"{NORD}/zones/giochi", {"zone"}),
        ("controllers/city", {"controller"}),
    ],
)
async def test_revisions_of_a_record_hold_those_below_it(
    registry: Registry, administrator: Administrator, historian: Historian, parent: str, kinds: set[str]
) -> None:
    await watched_street(administrator)
    await administrator.CreateOptic(parent="devices/palo-12", optic_id="sud", optic=optic())
    await registry.sweep.once()
    found = (await historian.revisions(parent)).revisions

    assert {each.WhichOneof("record") for each in found} == kinds
    assert all(each.name == parent or each.name.startswith(f"{parent}/") for each in found)


async def test_pages_of_revisions_hold_each_once(administrator: Administrator, historian: Historian) -> None:
    await watched_street(administrator)
    for number in range(12):
        await administrator.UpdateSite(site=site(name="sites/alimonda", district=str(number)))
    names, token = [], ""
    while True:
        page = await historian.revisions("sites/alimonda", page_size=5, page_token=token)
        names += [each.version for each in page.revisions]
        token = page.next_page_token
        if not token:
            break

    assert names == list(range(13, 0, -1))
    stolen = (await historian.revisions("sites/alimonda", page_size=5)).next_page_token
    refused = await refusal_of(historian.revisions("devices/palo-12", page_token=stolen))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["page_token"])


@pytest.mark.parametrize(
    ("asked", "code", "fields"),
    [
        ({"name": "devices/palo-12"}, grpc.StatusCode.INVALID_ARGUMENT, ["name"]),
        ({"name": "devices/palo-12/optics/ovest"}, grpc.StatusCode.NOT_FOUND, []),
        ({"version": -1}, grpc.StatusCode.INVALID_ARGUMENT, ["version"]),
        ({"version": 10**12}, grpc.StatusCode.NOT_FOUND, []),
        ({"time": datetime.now(UTC) + timedelta(days=2)}, grpc.StatusCode.INVALID_ARGUMENT, ["time"]),
        ({"time": datetime.now(UTC), "version": 1}, grpc.StatusCode.INVALID_ARGUMENT, ["time"]),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    administrator: Administrator, historian: Historian, asked: dict[str, Any], code: grpc.StatusCode, fields: list[str]
) -> None:
    await administrator.build()
    refused = await refusal_of(historian.record(**asked))

    assert (refused.code, refused.fields) == (code, fields)


async def test_revisions_of_nothing_are_not_found(historian: Historian) -> None:
    assert (await refusal_of(historian.revisions("sites/nessuno"))).code is grpc.StatusCode.NOT_FOUND
    assert (await refusal_of(historian.revisions("places/uno"))).code is grpc.StatusCode.INVALID_ARGUMENT
    assert (await refusal_of(historian.revisions(""))).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_past_of_another_controller_is_not_found(registry: Registry, administrator: Administrator) -> None:
    await administrator.CreateController(controller_id="amiat", controller=controller())
    async with registry.channel("tenants/amiat/administrator/bianchi") as channel:
        own = device(legal_basis=_owned(""), site="sites/deposito")
        await Administrator(channel).CreateSite(site_id="deposito", site=site())
        await Administrator(channel).CreateDevice(device_id="palo-12", device=own)
        await Administrator(channel).CreateOptic(parent="devices/palo-12", optic_id="nord", optic=optic())
    for identity, seen in (
        ("operator/rossi", False), ("auditor/anna", False), ("tenants/polizia/auditor/neri", False),
        ("tenants/amiat/operator/verdi", True), ("service/alerting", True),
    ):  # fmt: skip
        async with historian_of(registry, identity) as historian:
            if seen:
                assert (await historian.record()).site.name == "sites/deposito"
                assert (await historian.revisions("devices/palo-12")).revisions
            else:
                for call in (historian.record(), historian.record(version=1), historian.revisions("devices/palo-12")):
                    assert (await refusal_of(call)).code is grpc.StatusCode.NOT_FOUND


def _owned(owner: str) -> site_pb2.LegalBasis:
    basis = device().legal_basis
    basis.controller = owner
    return basis


async def test_every_look_into_the_past_is_on_record(
    registry: Registry, administrator: Administrator, historian: Historian
) -> None:
    await administrator.build()
    await historian.record(version=5)
    await historian.revisions("sites/alimonda")
    rows = await registry.pool.fetch(
        "SELECT act, who, what FROM audit_entries WHERE who = 'auditor/anna' ORDER BY sequence"
    )

    assert [tuple(row) for row in rows] == [
        ("consultation", "auditor/anna", f"{NORD}?version=5"),
        ("consultation", "auditor/anna", "sites/alimonda/revisions"),
    ]


@pytest.mark.parametrize("statement", ["UPDATE change SET record = NULL", "DELETE FROM change", "TRUNCATE change"])
async def test_nobody_changes_the_past(registry: Registry, administrator: Administrator, statement: str) -> None:
    await administrator.build()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await registry.pool.execute(statement)


async def test_one_transaction_is_one_instant_however_long_it_waited(registry: Registry) -> None:
    pool = registry.pool
    async with pool.acquire() as waiting, waiting.transaction():
        await waiting.execute("SELECT now()")
        await pool.execute("UPDATE controllers SET contact = 'a' WHERE name = 'controllers/city'")
        for contact in "bc":
            await waiting.execute("UPDATE controllers SET contact = $1 WHERE name = 'controllers/city'", contact)
    rows = await pool.fetch(
        "SELECT record ->> 'contact' AS contact, change_time FROM change WHERE name = 'controllers/city' "
        "AND version > 1 ORDER BY sequence"
    )

    assert [row["contact"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["change_time"] < rows[1]["change_time"] == rows[2]["change_time"]


# ---- what release 0.1.0 has left behind ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "reader", "told"),
    [("NULL", "operator/rossi", ""), ("'Amiat S.p.A.'", "service/alerting", "Amiat S.p.A.")],
)
async def test_what_release_0_1_0_wrote_is_still_readable(
    empty_dsn: str, tmp_path: Path, stored: str, reader: str, told: str
) -> None:
    version = await as_release_0_1_0(empty_dsn, stored)
    async with running_registry(empty_dsn, tmp_path) as registry, historian_of(registry, reader) as historian:
        record = await historian.record(version=version)
        revisions = (await historian.revisions(NORD)).revisions

    assert (record.version, list(record.refusals), record.site.district) == (version, [], "")
    assert record.site.display_name == "Giardini Alimonda"
    assert record.device.legal_basis.controller == told
    assert record.rules[0].zone_intrusion.minimum_dwell.ToMilliseconds() == 2500
    assert record.optic.policy.retention.seconds == 86400
    assert len(record.zones[0].polygon.points) == 3
    assert record.optic.scene == site_pb2.Optic.SCENE_UNSPECIFIED
    assert revisions[-1].author == "administrator/mrossi"
    assert revisions[-1].reason == ""
