"""Four eyes: what one person may not do alone, over loopback mTLS against a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from argo.registry.v1 import scene_pb2
from tests.contract.registry.proposals import LINE, LIVE, RULE, SHADOW, ZONE, moved_line
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, refusal_of
from tests.unit.registry import lawful

Code = grpc.StatusCode


async def assert_second_person_needed(call: Any) -> None:
    refusal = await refusal_of(call)

    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "SECOND_PERSON_NEEDED")
    assert "CreateProposal" in refusal.message


async def test_nobody_makes_a_rule_live_alone(shadow: Administrator) -> None:
    await assert_second_person_needed(
        shadow.CreateRule(parent=OPTIC, rule_id="new", rule=lawful.rule(OPTIC, mode=LIVE))
    )
    await assert_second_person_needed(shadow.UpdateRule(rule=scene_pb2.Rule(name=RULE, mode=LIVE)))
    assert (await shadow.GetRule(name=RULE)).mode == SHADOW


@pytest.mark.parametrize(
    "change",
    [
        {"priority": scene_pb2.PRIORITY_LOW},
        {"classes": [1]},
        {"schedules": [scene_pb2.Schedule(start_minute=0, end_minute=60)]},
        {"line_crossing": scene_pb2.LineCrossing(line=LINE, direction=scene_pb2.LineCrossing.DIRECTION_LEFT_TO_RIGHT)},
        {"zone_intrusion": scene_pb2.ZoneIntrusion(zone=ZONE)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_nobody_changes_a_live_rule_alone(live: Administrator, change: dict[str, Any]) -> None:
    await assert_second_person_needed(live.UpdateRule(rule=scene_pb2.Rule(name=RULE, **change)))


async def test_nobody_deletes_a_live_rule_and_one_person_may_switch_it_off_first(live: Administrator) -> None:
    await assert_second_person_needed(live.DeleteRule(name=RULE))
    await live.UpdateRule(rule=scene_pb2.Rule(name=RULE, mode=scene_pb2.Rule.MODE_OFF))
    await live.DeleteRule(name=RULE)


@pytest.mark.parametrize("mode", [SHADOW, scene_pb2.Rule.MODE_OFF])
async def test_one_person_takes_a_rule_out_of_live_mode_with_whatever_change(live: Administrator, mode: Any) -> None:
    taken = await live.UpdateRule(rule=scene_pb2.Rule(name=RULE, mode=mode, priority=scene_pb2.PRIORITY_LOW))

    assert (taken.mode, taken.priority) == (mode, scene_pb2.PRIORITY_LOW)


async def test_nobody_moves_what_a_live_rule_watches_alone(live: Administrator) -> None:
    await assert_second_person_needed(live.UpdateLine(line=moved_line()))

    await live.UpdateRule(rule=scene_pb2.Rule(name=RULE, mode=SHADOW))
    assert (await live.UpdateLine(line=moved_line())).polyline == moved_line().polyline


async def test_what_changes_nothing_of_what_is_watched_needs_nobody(live: Administrator) -> None:
    # The zone is watched by no rule, and a name is only for people.
    await live.UpdateZone(zone=scene_pb2.Zone(name=ZONE, polygon=lawful.polygon((0, 0), (1, 0), (1, 1))))
    await live.UpdateLine(line=scene_pb2.Line(name=LINE, display_name="altro"))
    assert (await live.UpdateRule(rule=scene_pb2.Rule(name=RULE, display_name="altro"))).mode == LIVE
