from __future__ import annotations

import math
from dataclasses import replace

import pytest

from argo.registry.v1 import scene_pb2
from argo.type.v1 import object_class_pb2
from bench.scripted import crowds
from bench.scripted.crowd_camera import watch
from detector.domain.crowd import Scale
from detector.domain.detections import ObjectClass
from detector.domain.rules import RuleParameters
from detector.domain.rules.counter_flow import CounterFlowParameters
from detector.domain.rules.crowd_density import CrowdDensityParameters
from detector.domain.rules.crowd_forming import CrowdFormingParameters
from detector.domain.rules.dispersal import DispersalParameters
from detector.domain.rules.loitering import LoiteringParameters
from detector.domain.rules.running_against_flow import RunningAgainstFlowParameters
from detector.domain.rules.zone_occupancy import ZoneOccupancyParameters
from detector.domain.scene import Scene
from detector.parameters import unpack_parameters
from tests.unit.detector.crowd_scenes import (
    CAMERA,
    EVERYBODY,
    LINE,
    PLACES,
    ZONE,
    run,
)

MANY_PARAMETERS: tuple[RuleParameters, ...] = (
    ZoneOccupancyParameters(ZONE, 5),
    LoiteringParameters(ZONE, 20.0),
    CrowdDensityParameters(ZONE, 0.05, 2.0),
    CrowdFormingParameters(ZONE, 5, 60.0),
    DispersalParameters(ZONE),
    CounterFlowParameters(LINE, 20.0, 5),
    RunningAgainstFlowParameters(ZONE),
)


# All of them ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", MANY_PARAMETERS, ids=lambda item: type(item).__name__)
def test_jumps_gaps_sizes_and_empty_scenes_break_no_rule(parameters: RuleParameters) -> None:
    rule = parameters.build(PLACES, EVERYBODY)
    script = crowds.together(crowds.bolting(20, 12.0, 5.0, 1), crowds.passing(10, 12.0, 2.0, 2))
    found = []
    for begin, size in ((1e9, 1.0), (1e9 - 3600.0, 1.0), (1e9 + 600.0, 2.0), (1e9 + 600.0, 1.0), (1e9 + 86400.0, 1.0)):
        camera = replace(CAMERA, width=round(768 * size), height=round(432 * size))
        for item in watch(script, camera, 5.0, 3):
            found += rule.step(replace(item, time=begin + item.time))
        found += rule.step(Scene(begin + 13.0, camera.width, camera.height, ()))
    rule.reset()
    found += rule.step(Scene(2e9, 768, 432, ()))

    for firing in found:
        assert firing.start_time <= firing.time
        assert all(math.isfinite(value) for value in (firing.value, firing.uncertainty, *firing.box))
        assert firing.value >= firing.threshold
        assert len(firing.tracks) == len(firing.classes)


@pytest.mark.parametrize("parameters", MANY_PARAMETERS, ids=lambda item: type(item).__name__)
def test_after_a_reset_a_rule_is_as_new(parameters: RuleParameters) -> None:
    script = crowds.together(crowds.bolting(20, 12.0, 8.0, 1), crowds.passing(10, 12.0, 2.0, 2))
    used, fresh = (parameters.build(PLACES, EVERYBODY) for _ in range(2))
    run(used, watch(script, CAMERA, 5.0, 3))
    used.reset()
    later = [replace(item, time=item.time + 20.0) for item in watch(script, CAMERA, 5.0, 4)]

    assert run(used, later) == run(fresh, later)


@pytest.mark.parametrize("parameters", MANY_PARAMETERS, ids=lambda item: type(item).__name__)
def test_a_place_that_the_optic_lacks_is_refused(parameters: RuleParameters) -> None:
    with pytest.raises(KeyError):
        parameters.build(replace(PLACES, zones={}, lines={}), EVERYBODY)


# Parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            scene_pb2.Rule(zone_occupancy=scene_pb2.ZoneOccupancy(zone=ZONE, threshold=7)),
            ZoneOccupancyParameters(ZONE, 7, 3.0),
        ),
        (scene_pb2.Rule(loitering=scene_pb2.Loitering(zone=ZONE)), LoiteringParameters(ZONE, 300.0, 8)),
        (
            scene_pb2.Rule(crowd_density=scene_pb2.CrowdDensity(zone=ZONE)),
            CrowdDensityParameters(ZONE, 2.0, 10.0, Scale.WALKWAY),
        ),
        (
            scene_pb2.Rule(
                crowd_density=scene_pb2.CrowdDensity(zone=ZONE, threshold=3.5, scale=scene_pb2.CrowdDensity.SCALE_QUEUE)
            ),
            CrowdDensityParameters(ZONE, 3.5, 10.0, Scale.QUEUE),
        ),
        (scene_pb2.Rule(crowd_forming=scene_pb2.CrowdForming(zone=ZONE)), CrowdFormingParameters(ZONE, 10, 120.0)),
        (scene_pb2.Rule(dispersal=scene_pb2.Dispersal(zone=ZONE)), DispersalParameters(ZONE, 5, 2.5, 3.0)),
        (
            scene_pb2.Rule(counter_flow=scene_pb2.CounterFlow(line=LINE)),
            CounterFlowParameters(LINE, 60.0, 20, 0.35),
        ),
        (
            scene_pb2.Rule(running_against_flow=scene_pb2.RunningAgainstFlow(zone=ZONE)),
            RunningAgainstFlowParameters(ZONE, 2.5, 1.5),
        ),
    ],
)
def test_what_is_not_said_has_the_default_of_the_contract(rule: scene_pb2.Rule, expected: RuleParameters) -> None:
    assert unpack_parameters(rule, PLACES) == (expected, [])


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (scene_pb2.Rule(zone_occupancy=scene_pb2.ZoneOccupancy(zone=ZONE)), "zone_occupancy.threshold"),
        (scene_pb2.Rule(loitering=scene_pb2.Loitering(zone="zones/other")), "loitering.zone"),
        (scene_pb2.Rule(crowd_density=scene_pb2.CrowdDensity(zone=ZONE, threshold=-1.0)), "crowd_density.threshold"),
        (scene_pb2.Rule(crowd_density=scene_pb2.CrowdDensity(zone=ZONE, scale=9)), "crowd_density.scale"),  # type: ignore[arg-type]
        (scene_pb2.Rule(crowd_forming=scene_pb2.CrowdForming()), "crowd_forming.zone"),
        (scene_pb2.Rule(dispersal=scene_pb2.Dispersal(zone=ZONE, minimum_speed=-1.0)), "dispersal.minimum_speed"),
        (
            scene_pb2.Rule(counter_flow=scene_pb2.CounterFlow(line=LINE, minimum_share=0.6)),
            "counter_flow.minimum_share",
        ),
        (
            scene_pb2.Rule(running_against_flow=scene_pb2.RunningAgainstFlow(zone=ZONE, minimum_speed=-2.0)),
            "running_against_flow.minimum_speed",
        ),
    ],
)
def test_what_cannot_be_used_is_told_by_its_field(rule: scene_pb2.Rule, field: str) -> None:
    _, violations = unpack_parameters(rule, PLACES)

    assert [name for name, _ in violations] == [field]


def test_every_class_that_the_contract_knows_can_be_filtered() -> None:
    known = {value for name, value in object_class_pb2.ObjectClass.items() if "UNSPECIFIED" not in name}

    assert known == {int(member) for member in ObjectClass}
