"""Labels for `argo score` out of annotated boxes: who truly crossed a line, was in a zone, or stayed there too long.

The truth comes from the annotation alone; nothing of the detector is used. Run as
``python -m bench.labels GT.txt SCENE.json OUT.json``: a MOTChallenge file, a scene (an OpticConfiguration in JSON with
the frame rate and size of the video), and where the labels go.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Point = tuple[float, float]
RETURN_SECONDS = 1.0
"""Somebody who leaves a zone, or crosses back, for less than this has not left, or not crossed."""
DOUBT = 0.7
"""A stay that lasts for at least this share of the time that a rule asks for could be told or not: nobody can say."""
_CLASS = "person"


@dataclass(frozen=True)
class Walk:
    """Where one annotated person stood.

    Attributes:
        frames: numbers from 0, ascending.
        feet: the middle of the box's lower side at each of them, shares of width and height.
    """

    frames: tuple[int, ...]
    feet: tuple[Point, ...]


def read_walks(path: Path, width: int, height: int) -> list[Walk]:
    """The walks of a MOTChallenge file; rows with confidence 0 are ignored."""
    rows: dict[str, list[tuple[int, Point]]] = defaultdict(list)
    with path.open(newline="") as file:
        for frame, person, left, top, box_width, box_height, confidence, *_ in csv.reader(file):
            if float(confidence):
                # The format counts pixels from 1, as it counts frames.
                across, down = float(left) - 1 + float(box_width) / 2, float(top) - 1 + float(box_height)
                foot = across / width, down / height
                rows[person].append((int(frame) - 1, foot))
    walks = []
    for seen in rows.values():
        seen.sort()
        walks.append(Walk(tuple(frame for frame, _ in seen), tuple(foot for _, foot in seen)))
    return walks


def crossings(walks: Iterable[Walk], line: Sequence[Point], frame_rate: float) -> tuple[int, int]:
    """How many crossed a polyline from its left to its right, and from its right to its left."""
    there = back = 0
    for walk in walks:
        for direction in _settled(_crossings_of(walk, line), frame_rate):
            there, back = there + (direction > 0), back + (direction < 0)
    return there, back


def _crossings_of(walk: Walk, line: Sequence[Point]) -> list[tuple[int, int]]:
    found = []
    for (start, end), frame in zip(itertools.pairwise(walk.feet), walk.frames[1:], strict=True):
        for first, second in itertools.pairwise(line):
            before, after = _side(first, second, start), _side(first, second, end)
            if (before > 0) != (after > 0) and (_side(start, end, first) > 0) != (_side(start, end, second) > 0):
                found.append((frame, 1 if after > 0 else -1))
    return found


def _settled(crossed: Sequence[tuple[int, int]], frame_rate: float) -> list[int]:
    """Without those that were undone within moments: somebody who stands on the line and sways."""
    kept: list[tuple[int, int]] = []
    for frame, direction in crossed:
        if kept and kept[-1][1] == -direction and frame - kept[-1][0] < RETURN_SECONDS * frame_rate:
            kept.pop()
        else:
            kept.append((frame, direction))
    return [direction for _, direction in kept]


def _side(start: Point, end: Point, point: Point) -> float:
    """Positive to the right of somebody who walks from start to end; y grows downwards."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def present(walks: Iterable[Walk], zone: Sequence[Point], frames: int) -> list[int]:
    """How many stood in a zone, frame by frame."""
    found = [0] * frames
    for walk in walks:
        for frame, foot in zip(walk.frames, walk.feet, strict=True):
            found[frame] += _inside(foot, zone)
    return found


def stays(walks: Iterable[Walk], zone: Sequence[Point], frame_rate: float) -> list[tuple[float, float]]:
    """When somebody was in a zone: (entered, left) in seconds, one for each stay of each person."""
    found = []
    for walk in walks:
        inside = [frame for frame, foot in zip(walk.frames, walk.feet, strict=True) if _inside(foot, zone)]
        if not inside:
            continue
        start = last = inside[0]
        for frame in inside[1:]:
            if frame - last > RETURN_SECONDS * frame_rate:
                found.append((start / frame_rate, last / frame_rate))
                start = frame
            last = frame
        found.append((start / frame_rate, last / frame_rate))
    return sorted(found)


def _inside(point: Point, zone: Sequence[Point]) -> bool:
    return cv2.pointPolygonTest(np.array(zone, dtype=np.float32), point, measureDist=False) >= 0


def labels(walks: Sequence[Walk], scene: Mapping[str, Any]) -> dict[str, Any]:
    """Labels of everything in a scene that annotated persons can decide.

    Args:
        walks: of the whole video.
        scene: with `configuration`, `frame_rate` and `frames`.
    """
    configuration, frame_rate = scene["configuration"], float(scene["frame_rate"])
    zones = {zone["name"]: _points(zone["polygon"]) for zone in configuration.get("zones", ())}
    lines = {line["name"]: _points(line["polyline"]) for line in configuration.get("lines", ())}
    episodes: list[dict[str, Any]] = []
    unjudged: list[dict[str, Any]] = []
    for rule in configuration.get("rules", ()):
        if "zone_intrusion" in rule:
            dwell = float(rule["zone_intrusion"]["minimum_dwell"].removesuffix("s"))
            for entered, left in stays(walks, zones[rule["zone_intrusion"]["zone"]], frame_rate):
                if left - entered >= dwell:
                    episodes.append({"rule": rule["name"], "start": entered, "due": entered + dwell, "end": left})
                elif left - entered >= DOUBT * dwell:
                    unjudged.append({"rule": rule["name"], "start": entered, "end": left + RETURN_SECONDS})
    counted = {name: crossings(walks, line, frame_rate) for name, line in lines.items()}
    return {
        "configuration": configuration,
        "frame_rate": frame_rate,
        "episodes": episodes,
        "unjudged": unjudged,
        "crossings": [
            {"line": name, "object_class": _CLASS, "left_to_right": there, "right_to_left": back}
            for name, (there, back) in counted.items()
        ],
        "occupancy": [
            {"zone": name, "object_class": _CLASS, "present": present(walks, zone, int(scene["frames"]))}
            for name, zone in zones.items()
        ],
    }


def _points(shape: Mapping[str, Any]) -> list[Point]:
    return [(float(point.get("x", 0.0)), float(point.get("y", 0.0))) for point in shape["points"]]


def main(arguments: Sequence[str]) -> None:
    """Write the labels."""
    ground_truth, scene_file, target = (Path(argument) for argument in arguments)
    scene = json.loads(scene_file.read_text())
    walks = read_walks(ground_truth, int(scene["width"]), int(scene["height"]))
    target.write_text(json.dumps(labels(walks, scene), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
