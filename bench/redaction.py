"""The redactor on real people: what is still shown of heads, how much empty street is hidden, how fast it is.

It replays sequences with ground truth, which a fresh machine does not have: ``ARGO_BENCH_SEQUENCES`` names the folder.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain import silhouette
from anonymizer.domain.frame import Frame, MaskedFrame, Planes, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import ObjectClass, Verdict
from bench.results import Result
from camera_gateway.decoding import to_i420
from detector import model
from detector.catalogue.cards import DEFAULT_MODEL
from detector.domain.preprocessing import Planes as DetectorPlanes

SEQUENCES = Path(os.environ.get("ARGO_BENCH_SEQUENCES", "data/sequences"))
MODELS = Path(os.environ.get("ARGO_MODEL_DIRECTORY", "models"))
FILES: Mapping[str, str] = {"pets09-s2l1": "video.avi", "tud-campus": "video.mp4"}
"""The sequence on which hiding, posture and speed are measured comes first."""
SETTLED_SECONDS = 60.0
GROWN = 0.1
"""By which share of its sides a person's box is grown before what lies outside counts as street."""
RECOGNISABLE = 0.5
"""Correlation of the fine detail of a head before and after, above which it counts as shown."""
EXPOSURE_BOUNDS: Mapping[str, float] = {
    "default model": 0.001,
    "detector off": 0.01,
    "empty verdicts": 0.01,
    "garbage boxes": 0.005,
    "every tenth frame": 0.005,
}

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """One frame of a sequence.

    Attributes:
        frame: the raw picture.
        verdict: what the default model says of it.
        people: ground truth: box by track.
    """

    frame: Frame
    verdict: Verdict
    people: Mapping[int, Box]


@dataclass
class Tally:
    """What was found in one replay.

    Attributes:
        heads: that could be judged.
        exposed: how often each track's head was shown.
        hidden: share of the street that was masked, by frame, once settled.
        overlaps: of silhouette and ground truth, of people who stand alone.
    """

    heads: int = 0
    exposed: collections.Counter[int] = field(default_factory=collections.Counter)
    hidden: list[float] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)


def measure() -> list[Result]:
    """All figures; a line that says so for a sequence that is not there."""
    cv2.setNumThreads(1)
    results: list[Result] = []
    for name, file in FILES.items():
        if not (SEQUENCES / name / file).exists():
            results.append(Result(f"redaction: {name}", "not on this machine"))
            continue
        print(f"bench: redaction of {name}", file=sys.stderr, flush=True)
        steps, inference = _look(name)
        for kind, bound in EXPOSURE_BOUNDS.items():
            tally, seconds = _replay(steps, kind)
            results.append(_exposure(name, kind, tally, bound))
            if kind == "default model" and tally.hidden:
                results += [*_readability(name, tally), _speed(inference, seconds)]
        if steps[-1].frame.captured < SETTLED_SECONDS:
            results += _exposures_to_and_fro(name, steps)
    return results


def _exposures_to_and_fro(name: str, steps: Sequence[Step]) -> Iterator[Result]:
    """Of a sequence too short to learn anything from: the same people come and go until the street is known."""
    longer = list(_to_and_fro(steps, SETTLED_SECONDS))
    for kind, bound in EXPOSURE_BOUNDS.items():
        yield _exposure(f"{name} to and fro", kind, _replay(longer, kind)[0], bound)


def _to_and_fro(steps: Sequence[Step], seconds: float) -> Iterator[Step]:
    """The frames forwards, backwards and so on, with numbers and times of their own."""
    period = (steps[-1].frame.captured - steps[0].frame.captured) / (len(steps) - 1)
    turns = itertools.cycle([*steps, *steps[-2:0:-1]])
    for number, step in enumerate(itertools.islice(turns, int(seconds / period)), 1):
        frame = Frame(number, number * period, step.frame.planes)
        yield Step(frame, dataclasses.replace(step.verdict, sequence=number), step.people)


def _look(name: str) -> tuple[list[Step], float]:
    """The sequence with the default model's verdicts, and the processor seconds of one inference."""
    network = model.load(DEFAULT_MODEL, MODELS, threads=1)
    people, steps = _ground_truth(name), []
    spent = 0.0
    with av.open(str(SEQUENCES / name / FILES[name])) as container:
        for number, picture in enumerate(container.decode(video=0), 1):
            size = Size(picture.width, picture.height)
            i420 = bytes(to_i420(picture, size.width, size.height))
            began = time.process_time()
            found = network.look([DetectorPlanes.unpack(size.width, size.height, i420)])[0]
            spent += time.process_time() - began
            scale = np.array([size.width, size.height] * 2, np.float32)
            verdict = Verdict(number, (found.boxes / scale).astype(np.float32), found.classes, found.scores)
            frame = Frame(number, float(picture.time or 0.0), Planes.from_bytes(i420, size))
            steps.append(Step(frame, verdict, people[number]))
    return steps, spent / len(steps)


def _ground_truth(name: str) -> Mapping[int, dict[int, Box]]:
    people: dict[int, dict[int, Box]] = collections.defaultdict(dict)
    for line in (SEQUENCES / name / "gt.txt").read_text().splitlines():
        number, track, left, top, width, height, confidence, *_ = (float(each) for each in line.split(","))
        if confidence:
            people[int(number)][int(track)] = (left, top, width, height)
    return people


def _replay(steps: Sequence[Step], kind: str) -> tuple[Tally, float]:
    """One run over the sequence; also the processor seconds of one redaction."""
    redactor, rng, tally, spent = Redactor(), np.random.default_rng(5), Tally(), 0.0
    for step in steps:
        verdict = _VERDICTS[kind](step, rng)
        began = time.process_time()
        masked = redactor.redact(step.frame, verdict)
        spent += time.process_time() - began
        for track, is_shown in _heads(step, masked):
            tally.heads += 1
            tally.exposed[track] += is_shown
        if kind == "default model" and step.frame.captured >= SETTLED_SECONDS:
            tally.hidden.append(_hidden_street(step, masked))
            tally.overlaps += _overlaps(step, masked)
    return tally, spent / len(steps)


def _garbage(step: Step, rng: np.random.Generator) -> Verdict:
    count = int(rng.integers(0, 6))
    centres, sides = rng.random((count, 2)), rng.random((count, 2)) * 0.15
    boxes = np.concatenate([centres - sides, centres + sides], axis=1).astype(np.float32)
    return Verdict(
        step.frame.sequence, boxes, rng.integers(1, 10, count).astype(np.int16), rng.random(count).astype(np.float32)
    )


_VERDICTS: Mapping[str, Callable[[Step, np.random.Generator], Verdict | None]] = {
    "default model": lambda step, _rng: step.verdict,
    "detector off": lambda _step, _rng: None,
    "empty verdicts": lambda step, _rng: Verdict.empty(step.frame.sequence),
    "garbage boxes": _garbage,
    "every tenth frame": lambda step, _rng: None if step.frame.sequence % 10 else step.verdict,
}


def _heads(step: Step, masked: MaskedFrame) -> Iterator[tuple[int, bool]]:
    before, after = _detail(step.frame.planes.luma), _detail(masked.planes.luma)
    for track, (left, top, width, height) in step.people.items():
        rows = slice(int(max(0, top)), int(min(before.shape[0], top + height / 6)))
        columns = slice(int(max(0, left + 0.2 * width)), int(min(before.shape[1], left + 0.8 * width)))
        first, second = before[rows, columns].ravel(), after[rows, columns].ravel()
        if rows.stop - rows.start < 4 or columns.stop - columns.start < 4 or first.std() < 2:
            continue
        yield track, bool(second.std() >= 0.3 and np.corrcoef(first, second)[0, 1] > RECOGNISABLE)


def _detail(luma: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    wide = luma.astype(np.float32)
    return wide - np.asarray(cv2.GaussianBlur(wide, (0, 0), 2), np.float32)


def _filled(masked: MaskedFrame, fills: Sequence[int]) -> Mask:
    """The pixels that have exactly the colour of one of these fills."""
    blue, red = (np.repeat(np.repeat(each, 2, 0), 2, 1) for each in (masked.planes.blue, masked.planes.red))
    filled = np.zeros(masked.planes.luma.shape, np.bool_)
    for colour in silhouette.PALETTE[list(fills)]:
        filled |= (masked.planes.luma == colour[0]) & (blue == colour[1]) & (red == colour[2])
    return filled


def _hidden_street(step: Step, masked: MaskedFrame) -> float:
    street = np.ones(masked.planes.luma.shape, np.bool_)
    for left, top, width, height in step.people.values():
        rows = slice(max(0, int(top - GROWN * height)), max(0, int(top + (1 + GROWN) * height)))
        columns = slice(max(0, int(left - GROWN * width)), max(0, int(left + (1 + GROWN) * width)))
        street[rows, columns] = False
    hidden = _filled(masked, range(silhouette.PRIVACY, silhouette.surroundings_of(ObjectClass.LUGGAGE) + 1))
    return float(hidden[street].mean())


def _overlaps(step: Step, masked: MaskedFrame) -> Iterator[float]:
    """Intersection over union of the largest person's shape in each lonely person's box with that box."""
    shapes = _filled(masked, [silhouette.silhouette_of(ObjectClass.PERSON)]).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(shapes)
    for track, box in step.people.items():
        if not _is_alone(box, [other for number, other in step.people.items() if number != track], shapes.shape):
            continue
        left, top, width, height = box
        inside = labels[int(top) : int(top + height), int(left) : int(left + width)]
        count = np.bincount(inside.ravel(), minlength=2)
        x, y, w, h = statistics[1 + int(count[1:].argmax())][:4] if count[1:].any() else (0, 0, 0, 0)
        shared = max(0.0, min(left + width, x + w) - max(left, x)) * max(0.0, min(top + height, y + h) - max(top, y))
        yield shared / (width * height + w * h - shared)


def _is_alone(box: Box, others: Sequence[Box], shape: tuple[int, ...]) -> bool:
    left, top, width, height = box
    if left < 2 or top < 2 or left + width > shape[1] - 2 or top + height > shape[0] - 2:
        return False
    low_x, high_x, low_y, high_y = left - width / 4, left + 1.25 * width, top - height / 10, top + 1.1 * height
    return not any(x < high_x and x + w > low_x and y < high_y and y + h > low_y for x, y, w, h in others)


def _exposure(name: str, kind: str, tally: Tally, bound: float) -> Result:
    share = sum(tally.exposed.values()) / max(1, tally.heads)
    repeated = sum(times > 1 for times in tally.exposed.values())
    return Result(
        f"heads shown, {name}, {kind}",
        f"{share:.4f} of {tally.heads}; {repeated} people more than once",
        bound=f"<= {bound:g}; none more than once",
        holds=share <= bound and not repeated,
    )


def _readability(name: str, tally: Tally) -> list[Result]:
    hidden, posture = float(np.mean(tally.hidden)), float(np.mean(np.array(tally.overlaps) >= 0.5))
    return [
        Result(f"street hidden after a minute, {name}", f"{hidden:.3f}", bound="<= 0.08", holds=hidden <= 0.08),
        Result(
            f"shape fits who stands alone, {name}",
            f"{posture:.2f} of {len(tally.overlaps)}",
            bound=">= 0.7",
            holds=posture >= 0.7,
        ),
    ]


def _speed(inference: float, redaction: float) -> Result:
    return Result.at_least(
        "one inference of the default model, one thread",
        (inference * 1000, "ms of processor time"),
        (redaction * 1000, "ms, one redaction"),
        12.0,
    )
