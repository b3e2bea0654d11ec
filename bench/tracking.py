"""What comes after the network: tracker and rules for a crowd, beside one inference of the default model.

Both run on one thread in this process, turn by turn, and are measured in processor time.
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import scene_pb2
from argo.type.v1 import geometry_pb2
from bench.results import Result
from detector.catalogue.cards import DEFAULT_MODEL
from detector.domain.analysis import OpticAnalysis
from detector.domain.configuration import OpticConfiguration
from detector.domain.detections import Detections, ObjectClass, ordered
from detector.domain.preprocessing import Planes
from detector.domain.tracker_parameters import TrackerParameters
from detector.domain.tracking import Tracker
from detector.model import Model, load
from detector.unpacking import unpack_configuration

MODELS = Path(os.environ.get("ARGO_MODEL_DIRECTORY", "models")).resolve()
CROWDS = (100, 200)
SHARE_BOUND = 0.1
"""Of one inference, for the first of `CROWDS`."""
WIDTH, HEIGHT = 768, 432
RATE = 5.0
_WARM_FRAMES = 25
_FRAMES = 75
_WEAK_SHARE = 0.5
"""For every object half a weak detection more, as a real network has them at the masking threshold."""
_GROUND = ((0.0, 1.0, -10.0, 5.0), (1.0, 1.0, 10.0, 5.0), (0.8, 0.1, 12.0, 60.0), (0.2, 0.1, -12.0, 60.0))
"""Calibration: x and y of the picture, metres east and north."""


def measure(video: Path) -> list[Result]:
    """Tracker alone, and tracker with every rule, beside one inference."""
    model = load(DEFAULT_MODEL, MODELS, threads=1)
    try:
        return [result for count in CROWDS for result in _measure(model, _first_frame(video), count)]
    finally:
        model.close()


def _measure(model: Model, frame: Planes, count: int) -> list[Result]:
    print(f"bench: tracking {count} objects", file=sys.stderr, flush=True)
    configuration = _configuration()
    ids = random.Random(count)
    tracker = Tracker(lambda: ids.getrandbits(64))
    analysis = OpticAnalysis(
        configuration,
        new_id=lambda: ids.getrandbits(64),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        parameters=TrackerParameters(),
    )
    assert not analysis.not_running, analysis.not_running
    inference, tracking, whole = [], [], []
    for number, detections in enumerate(itertools.islice(_crowd(count), _WARM_FRAMES + _FRAMES)):
        at = number / RATE
        began = time.process_time()
        tracker.step(at, detections)
        tracked = time.process_time()
        found = analysis.step(at, WIDTH, HEIGHT, detections)
        analysed = time.process_time()
        if number < _WARM_FRAMES:
            continue
        model.look([frame])
        looked = time.process_time()
        assert len(found.tracks) >= 0.9 * count, len(found.tracks)
        tracking.append(tracked - began)
        whole.append(analysed - tracked)
        inference.append(looked - analysed)
    one = statistics.median(inference) * 1e3
    bound = SHARE_BOUND if count == CROWDS[0] else None
    rules = len(configuration.rules)
    return [
        _result(f"tracker, {count} objects", tracking, one, bound),
        _result(f"tracker and {rules} rules, {count} objects", whole, one, bound),
    ]


def _result(what: str, seconds: list[float], inference: float, bound: float | None) -> Result:
    measured, against = (statistics.median(seconds) * 1e3, "ms a frame"), (inference, "ms, one inference, one thread")
    if bound is not None:
        return Result.at_most(what, measured, against, bound)
    return Result(what, f"{measured[0]:.1f} {measured[1]}", f"{against[0]:.1f} {against[1]}", measured[0] / inference)


def _crowd(count: int) -> Iterator[Detections]:
    """Detections of people and cars who cross the picture, with weak ones beside them."""
    source = np.random.default_rng(1)
    tall = source.uniform(30, 70, count)
    place = np.stack([source.uniform(0, WIDTH - 40, count), source.uniform(20, HEIGHT - 80, count)], axis=1)
    speed = source.normal(0.0, 0.4, (count, 2)) * tall[:, None]
    classes = np.where(np.arange(count) % 5 == 0, int(ObjectClass.CAR), int(ObjectClass.PERSON))
    weak = int(count * _WEAK_SHARE)
    while True:
        place = place + speed / RATE
        speed = np.where((place < 0) | (place > [WIDTH - 40, HEIGHT - 80]), -speed, speed)
        corners = place + source.normal(0, 0.03, (count, 2)) * tall[:, None]
        boxes = np.concatenate([corners, corners + np.stack([tall * 0.4, tall], axis=1)], axis=1)
        beside = boxes[:weak] + source.uniform(-60, 60, (weak, 1))
        scores = np.concatenate([source.uniform(0.5, 0.9, count), source.uniform(0.1, 0.3, weak)])
        yield ordered(
            np.concatenate([boxes, beside]).astype(np.float32),
            scores.astype(np.float32),
            np.concatenate([classes, classes[:weak]]).astype(np.int16),
        )


def _configuration() -> OpticConfiguration:
    """A calibrated square with every rule that looks at tracks, all at their usual parameters."""
    optic = "devices/bench/optics/square"
    square = _polygon((0.05, 0.15), (0.95, 0.15), (0.95, 0.95), (0.05, 0.95))
    zones = [
        scene_pb2.Zone(name=f"{optic}/zones/{kind}", polygon=square, kind=number)
        for kind, number in (("walkway", scene_pb2.Zone.KIND_WALKWAY), ("carriageway", scene_pb2.Zone.KIND_CARRIAGEWAY))
    ]
    line = scene_pb2.Line(name=f"{optic}/lines/middle", polyline=_polyline((0.0, 0.5), (1.0, 0.5)))
    lane = scene_pb2.Lane(name=f"{optic}/lanes/one", polygon=square, course=_polyline((0.5, 0.95), (0.5, 0.15)))
    message = lease.OpticConfiguration(optic=optic, zones=zones, lines=[line], lanes=[lane])
    for x, y, east, north in _GROUND:
        message.calibration_points.add(
            image=geometry_pb2.Point(x=x, y=y), ground=geometry_pb2.GroundPoint(east_metres=east, north_metres=north)
        )
    walkway, carriageway = (zone.name for zone in zones)
    message.rules.extend(
        scene_pb2.Rule(name=f"{optic}/rules/r{index}", mode=scene_pb2.Rule.MODE_LIVE, **{name: parameters})
        for index, (name, parameters) in enumerate(_rules(walkway, carriageway, line.name, lane.name).items())
    )
    return unpack_configuration(message)


def _rules(walkway: str, carriageway: str, line: str, lane: str) -> dict[str, Any]:
    return {
        "line_crossing": scene_pb2.LineCrossing(line=line),
        "zone_intrusion": scene_pb2.ZoneIntrusion(zone=walkway),
        "zone_occupancy": scene_pb2.ZoneOccupancy(zone=walkway, threshold=50),
        "loitering": scene_pb2.Loitering(zone=walkway),
        "wrong_way": scene_pb2.WrongWay(lane=lane),
        "stopped_vehicle": scene_pb2.StoppedVehicle(zone=carriageway),
        "pedestrian_on_carriageway": scene_pb2.PedestrianOnCarriageway(zone=carriageway),
        "slow_traffic": scene_pb2.SlowTraffic(lane=lane, free_flow_kmh=50),
        "crowd_density": scene_pb2.CrowdDensity(zone=walkway),
        "crowd_forming": scene_pb2.CrowdForming(zone=walkway),
        "dispersal": scene_pb2.Dispersal(zone=walkway),
        "counter_flow": scene_pb2.CounterFlow(line=line),
        "running_against_flow": scene_pb2.RunningAgainstFlow(zone=walkway),
        "near_miss": scene_pb2.NearMiss(zone=carriageway),
    }


def _polygon(*points: tuple[float, float]) -> geometry_pb2.Polygon:
    return geometry_pb2.Polygon(points=[geometry_pb2.Point(x=x, y=y) for x, y in points])


def _polyline(*points: tuple[float, float]) -> geometry_pb2.Polyline:
    return geometry_pb2.Polyline(points=[geometry_pb2.Point(x=x, y=y) for x, y in points])


def _first_frame(video: Path) -> Planes:
    with av.open(video) as container:
        frame = next(container.decode(video=0)).reformat(format="yuv420p", width=WIDTH, height=HEIGHT)
    return Planes.unpack(WIDTH, HEIGHT, frame.to_ndarray().tobytes())
