"""Every kind of rule through the registry's services: stored, found, proposed, remembered, and told to a gateway."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask

from argo.registry.v1 import history_service_pb2, history_service_pb2_grpc, scene_pb2
from argo.type.v1 import geometry_pb2
from mesh.embedded import EmbeddedPostgres
from registry.domain.rule_kinds import RULE_KINDS, Reach
from tests.contract.registry.proposals import Person
from tests.contract.registry.support import (
    Administrator,
    Gateway,
    Registry,
    fresh_database,
    refusal_of,
    running_registry,
)
from tests.unit.registry import lawful

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
OPTIC, UNCALIBRATED = "devices/palo-12/optics/nord", "devices/palo-12/optics/sud"
LIVE = scene_pb2.Rule.MODE_LIVE
LIVE_KINDS = [kind for kind, known in RULE_KINDS.items() if known.reach is Reach.ALERTS]
METRIC_KINDS = [kind for kind in LIVE_KINDS if RULE_KINDS[kind].needs_calibration]
POINTS = [
    scene_pb2.CalibrationPoint(
        image=geometry_pb2.Point(x=x, y=y), ground=geometry_pb2.GroundPoint(east_metres=9 * x, north_metres=9 * y)
    )
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
]
each_kind = pytest.mark.parametrize("kind", lawful.RULE_KINDS)


@dataclass
class World:
    """A registry with a scene on a calibrated optic and on another one, and the people who work on it."""

    registry: Registry
    administrator: Administrator
    rossi: Person
    bianchi: Person
    history: Any

    async def go_live(self, rule: str) -> Any:
        """As two people make it."""
        parent, proposal = rule.rpartition("/rules/")[0], f"p-{uuid.uuid4()}"
        change = scene_pb2.Rule(name=rule, mode=LIVE)
        made = await self.rossi.CreateProposal(parent=parent, proposal_id=proposal, proposal={"rule": change})
        return await self.bianchi.ApproveProposal(name=made.name)

    async def make(self, kind: str, optic: str = OPTIC, **changes: Any) -> scene_pb2.Rule:
        rule: scene_pb2.Rule = await self.administrator.CreateRule(
            parent=optic, rule_id=f"r-{uuid.uuid4()}", rule=lawful.rule_of(kind, optic, **changes)
        )
        return rule


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("rules")
    async with (
        running_registry(await fresh_database(postgres_server), folder) as registry,
        registry.channel("administrator/mrossi") as first,
        registry.channel("supervisor/lbianchi") as second,
    ):
        administrator = Administrator(first)
        await administrator.build(optics=("nord", "sud"))
        for optic in (OPTIC, UNCALIBRATED):
            zone = lawful.zone(kind=scene_pb2.Zone.KIND_CARRIAGEWAY)
            await administrator.CreateZone(parent=optic, zone_id=lawful.PLACES["zone"], zone=zone)
            await administrator.CreateLine(parent=optic, line_id=lawful.PLACES["line"], line=lawful.line())
            await administrator.CreateLane(parent=optic, lane_id=lawful.PLACES["lane"], lane=lawful.lane())
        await administrator.UpdateOptic(optic={"name": OPTIC, "calibration_points": POINTS})
        history = history_service_pb2_grpc.HistoryServiceStub(first)
        yield World(registry, administrator, Person(first), Person(second), history)


@each_kind
async def test_a_rule_of_each_kind_is_kept_found_and_deleted(world: World, kind: str) -> None:
    made = await world.make(kind)

    assert getattr(made, kind) == lawful.parameters(kind)
    assert await world.administrator.GetRule(name=made.name) == made
    for field in (kind, f"{kind}.{RULE_KINDS[kind].place}"):
        found = (await world.administrator.ListRules(parent=OPTIC, filter=f"{field}:*")).rules
        assert {rule.WhichOneof("parameters") for rule in found} == {kind}
        assert made.name in {rule.name for rule in found}
    await world.administrator.DeleteRule(name=made.name)
    found = (await world.administrator.ListRules(parent=OPTIC, filter=f"{kind}:*")).rules
    assert made.name not in {rule.name for rule in found}


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, known in RULE_KINDS.items() for field in known.bounds]
)
async def test_a_filter_compares_each_parameter(world: World, kind: str, field: str) -> None:
    made = await world.make(kind)
    value = getattr(lawful.parameters(kind), field)
    text = f"{value.ToMilliseconds() / 1000}s" if hasattr(value, "ToMilliseconds") else str(value)

    async def found(comparison: str) -> bool:
        query = f"{kind}.{field} {comparison} AND {kind}:*"
        rules = (await world.administrator.ListRules(parent=OPTIC, filter=query)).rules
        return made.name in {rule.name for rule in rules}

    assert await found(f"= {text}")
    assert await found(f">= {text}")
    assert not await found(f"< {text}")
    await world.administrator.DeleteRule(name=made.name)


@each_kind
async def test_what_a_rule_watches_has_to_be_there(world: World, kind: str) -> None:
    place = RULE_KINDS[kind].place
    parameters = lawful.parameters(kind)
    setattr(parameters, place, f"{OPTIC}/{place}s/none")

    refusal = await refusal_of(world.make(kind, **{kind: parameters}))

    # A zone that is not there is not of the right kind either.
    assert (refusal.code, refusal.reason) in {
        (Code.FAILED_PRECONDITION, f"{place.upper()}_NOT_FOUND"),
        (Code.FAILED_PRECONDITION, "CARRIAGEWAY_NEEDED" if RULE_KINDS[kind].zone_kind else "none"),
    }


async def test_pedestrians_are_watched_on_a_carriageway(world: World) -> None:
    kind, walkway = "pedestrian_on_carriageway", f"{OPTIC}/zones/walkway"
    zone = lawful.zone(kind=scene_pb2.Zone.KIND_WALKWAY)
    await world.administrator.CreateZone(parent=OPTIC, zone_id="walkway", zone=zone)
    changes: dict[str, Any] = {kind: scene_pb2.PedestrianOnCarriageway(zone=walkway)}

    refusal = await refusal_of(world.make(kind, **changes))
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "CARRIAGEWAY_NEEDED")

    carriageway = scene_pb2.Zone(name=walkway, kind=scene_pb2.Zone.KIND_CARRIAGEWAY)
    await world.administrator.UpdateZone(zone=carriageway)
    made = await world.make(kind, **changes)
    back = scene_pb2.Zone(name=walkway, kind=scene_pb2.Zone.KIND_WALKWAY)
    assert (await refusal_of(world.administrator.UpdateZone(zone=back))).reason == "CARRIAGEWAY_NEEDED"
    await world.administrator.DeleteRule(name=made.name)


@pytest.mark.parametrize("kind", LIVE_KINDS)
async def test_two_people_make_a_rule_live_and_change_it(world: World, kind: str) -> None:
    made = await world.make(kind)
    await world.go_live(made.name)

    live = await world.administrator.GetRule(name=made.name)
    assert (live.mode, getattr(live, kind)) == (LIVE, lawful.parameters(kind))
    changed = lawful.parameters(kind)
    changed.ClearField(changed.DESCRIPTOR.fields[-1].name)
    update = scene_pb2.Rule(name=made.name, **{kind: changed})
    assert (await refusal_of(world.administrator.UpdateRule(rule=update))).reason == "SECOND_PERSON_NEEDED"
    off = scene_pb2.Rule(name=made.name, mode=scene_pb2.Rule.MODE_OFF)
    assert getattr(await world.administrator.UpdateRule(rule=off), kind) == lawful.parameters(kind)
    await world.administrator.DeleteRule(name=made.name)


@pytest.mark.parametrize("kind", sorted(set(RULE_KINDS) - set(LIVE_KINDS)))
async def test_what_never_goes_live_is_refused_with_the_reason(world: World, kind: str) -> None:
    made = await world.make(kind)
    live = scene_pb2.Rule(name=made.name, mode=LIVE)

    for refused in (
        world.administrator.UpdateRule(rule=live),
        world.rossi.CreateProposal(parent=OPTIC, proposal_id="p", proposal={"rule": live}),
        world.make(kind, mode=LIVE),
    ):
        refusal = await refusal_of(refused)
        assert (refusal.code, refusal.fields) == (Code.INVALID_ARGUMENT, ["rule.mode"])
    await world.administrator.DeleteRule(name=made.name)


@pytest.mark.parametrize("kind", METRIC_KINDS)
async def test_what_measures_in_metres_is_proposed_live_only_where_that_can_be(world: World, kind: str) -> None:
    made = await world.make(kind, UNCALIBRATED)

    refusal = await refusal_of(world.go_live(made.name))

    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "CALIBRATION_NEEDED")
    assert "calibration points" in refusal.message
    await world.administrator.DeleteRule(name=made.name)


async def test_calibration_stays_while_a_live_rule_needs_it(world: World) -> None:
    made = await world.make("wrong_way")
    await world.go_live(made.name)

    def clearing() -> Any:
        mask = FieldMask(paths=["calibration_points"])
        return world.administrator.UpdateOptic(optic={"name": OPTIC}, update_mask=mask)

    refusal = await refusal_of(clearing())
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "CALIBRATION_NEEDED")
    shadow = scene_pb2.Rule(name=made.name, mode=scene_pb2.Rule.MODE_SHADOW)
    await world.administrator.UpdateRule(rule=shadow)
    await clearing()
    assert (await refusal_of(world.go_live(made.name))).reason == "CALIBRATION_NEEDED"
    await world.administrator.UpdateOptic(optic={"name": OPTIC, "calibration_points": POINTS})
    await world.administrator.DeleteRule(name=made.name)


async def test_calibration_that_goes_between_proposal_and_approval_stops_the_approval(world: World) -> None:
    made = await world.make("crowd_density")
    change = scene_pb2.Rule(name=made.name, mode=LIVE)
    proposal = await world.rossi.CreateProposal(parent=OPTIC, proposal_id="late", proposal={"rule": change})
    mask = FieldMask(paths=["calibration_points"])
    await world.administrator.UpdateOptic(optic={"name": OPTIC}, update_mask=mask)

    assert (await refusal_of(world.bianchi.ApproveProposal(name=proposal.name))).reason == "CALIBRATION_NEEDED"
    await world.administrator.UpdateOptic(optic={"name": OPTIC, "calibration_points": POINTS})
    await world.bianchi.ApproveProposal(name=proposal.name)
    assert (await world.administrator.GetRule(name=made.name)).mode == LIVE
    shadow = scene_pb2.Rule(name=made.name, mode=scene_pb2.Rule.MODE_SHADOW)
    await world.administrator.UpdateRule(rule=shadow)
    await world.administrator.DeleteRule(name=made.name)


async def test_rules_of_every_kind_reach_the_gateway_and_the_history(world: World) -> None:
    made = {kind: await world.make(kind, UNCALIBRATED) for kind in lawful.RULE_KINDS}
    async with world.registry.channel("service/camera-gateway") as channel, Gateway(channel, "gw") as gateway:
        await gateway.until(lambda: gateway.held)
        lease = gateway.held["devices/palo-12"]

    optic = next(each for each in lease.optics if each.optic == UNCALIBRATED)
    assert {rule.name: rule for rule in optic.rules} == {rule.name: rule for rule in made.values()}
    for kind, rule in made.items():
        request = history_service_pb2.ListRevisionsRequest(parent=rule.name)
        revisions = (await world.history.ListRevisions(request)).revisions
        assert [getattr(each.rule, kind) for each in revisions] == [lawful.parameters(kind, UNCALIBRATED)]
        await world.administrator.DeleteRule(name=rule.name)
