"""Whoever wants somebody to be shown: a detector that fails in every way, and streets that are made to be mistaken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from anonymizer.domain.frame import Frame, Planes, Size
from anonymizer.domain.redactor import RedactionRules, Redactor
from anonymizer.domain.verdict import ObjectClass, Verdict
from tests.integration.anonymizer import real_street
from tests.integration.anonymizer.real_street import LEARNED, RULES, Box, Camera

if TYPE_CHECKING:
    from anonymizer.domain.frame import MaskedFrame

pytestmark = [
    pytest.mark.sample,
    pytest.mark.skipif(real_street.video() is None, reason="the sample video is not there: make setup"),
]


@dataclasses.dataclass(frozen=True)
class Material:
    """Frames of the sample video, its empty street, and somebody of average size with a head that stands out."""

    frames: list[Planes]
    street: Planes
    people: list[list[Box]]
    somebody: Box


@pytest.fixture(scope="module")
def material() -> Material:
    path = real_street.video()
    assert path is not None
    frames = real_street.read(path)
    street = real_street.empty_street(frames)
    people = [real_street.people_in(frame, street) for frame in frames]
    candidates = [box for boxes in people for box in boxes if 40 <= box.person.height <= 70]
    somebody = max(candidates, key=lambda box: float(box.person.cut.luma[: box.person.height // 2].std()))
    return Material(frames, street, people, dataclasses.replace(somebody, left=150, top=160))


def learned(camera: Camera, *boxes: Box, rules: RedactionRules = RULES, frames: int = LEARNED) -> Redactor:
    """A redactor that knows the street with whoever is in it and is never detected."""
    redactor = Redactor(rules)
    for _ in range(frames):
        redactor.redact(frame := camera.take(*boxes), real_street.verdict(frame))
    return redactor


def shown(pairs: Iterable[tuple[Frame, MaskedFrame, list[Box]]]) -> tuple[int, int]:
    """How many people could be recognised, and how many there were."""
    found = [real_street.is_shown(masked, frame, box) for frame, masked, boxes in pairs for box in boxes]
    return sum(found), len(found)


Attack = Callable[[Frame, list[Box], np.random.Generator], Verdict | None]


def _garbage(frame: Frame, _: list[Box], rng: np.random.Generator) -> Verdict:
    count = int(rng.integers(0, 6))
    centres, sides = rng.random((count, 2)), rng.random((count, 2)) * 0.15
    boxes = np.concatenate([centres - sides, centres + sides], axis=1).astype(np.float32)
    classes, scores = rng.integers(1, 10, count).astype(np.int16), rng.random(count).astype(np.float32)
    return Verdict(frame.sequence, boxes, classes, scores)


def _missing_a_third(frame: Frame, boxes: list[Box], rng: np.random.Generator) -> Verdict:
    return real_street.verdict(frame, *(box for box in boxes if rng.random() < 0.67), score=0.2)


ATTACKS: dict[str, Attack] = {
    "misses a third": _missing_a_third,
    "off": lambda *_: None,
    "sees nobody": lambda frame, *_: Verdict.empty(frame.sequence),
    "late": lambda frame, boxes, _: dataclasses.replace(
        real_street.verdict(frame, *boxes), sequence=frame.sequence - 2
    ),
    "reordered": lambda frame, boxes, _: dataclasses.replace(
        real_street.verdict(frame, *boxes), sequence=frame.sequence ^ 1
    ),
    "of another frame": lambda frame, *_: Verdict.empty(frame.sequence + 1000),
    "garbage": _garbage,
    "every tenth frame": lambda frame, boxes, _: None
    if frame.sequence % 10
    else real_street.verdict(frame, *boxes),
    "one box over everything": lambda frame, *_: Verdict(
        frame.sequence, np.array([[0, 0, 1, 1]], np.float32), np.array([ObjectClass.CAR], np.int16),
        np.array([0.9], np.float32),
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nobody_in_the_street_is_shown_whatever_the_detector_does(material: Material, attack: Attack) -> None:
    camera, rng = Camera(material.street), np.random.default_rng(3)
    redactor = learned(camera, rules=RedactionRules(), frames=100)
    pairs = []
    for planes, boxes in zip(material.frames, material.people, strict=True):
        frame = camera.of(planes)
        pairs.append((frame, redactor.redact(frame, attack(frame, boxes, rng)), boxes))

    count, people = shown(pairs)
    assert people > 200
    # Not everything that moves is somebody: the barrier tape flutters, too.
    assert count <= 0.005 * people


@pytest.mark.parametrize("attack", ["late", "reordered", "of another frame", "off"])
def test_a_verdict_that_is_not_this_frames_teaches_nothing(material: Material, attack: str) -> None:
    camera, redactor, rng = Camera(material.street), Redactor(RULES), np.random.default_rng(3)

    fractions = {
        redactor.redact(frame := camera.take(), ATTACKS[attack](frame, [], rng)).masked_fraction
        for _ in range(2 * LEARNED)
    }

    assert fractions == {1.0}


def test_a_street_that_is_learned_is_shown(material: Material) -> None:
    """Without this, the tests of this file would hold for a black picture too."""
    camera = Camera(material.street)
    redactor = learned(camera, material.somebody)

    masked = redactor.redact(frame := camera.take(material.somebody), real_street.verdict(frame))

    assert masked.masked_fraction < 0.1
    # A figure of wax whom no detector ever saw and that never moves is the street's.
    assert real_street.is_shown(masked, frame, material.somebody)


def test_another_size_shows_nothing_until_it_is_learned(material: Material) -> None:
    camera, part = Camera(material.street), Size(320, 240)
    redactor = learned(camera)
    whole = camera.take(material.somebody).planes
    smaller = Planes(
        whole.luma[: part.height, : part.width].copy(),
        whole.blue[: part.height // 2, : part.width // 2].copy(),
        whole.red[: part.height // 2, : part.width // 2].copy(),
    )

    masked = redactor.redact(frame := camera.of(smaller), real_street.verdict(frame))
    back = redactor.redact(frame := camera.take(material.somebody), real_street.verdict(frame))

    assert (masked.masked_fraction, back.masked_fraction) == (1.0, 1.0)


@pytest.mark.parametrize("step", [2, 8, 64], ids=["slowly", "fast", "at once"])
def test_a_pan_shows_nobody(material: Material, step: int) -> None:
    camera = Camera(material.street)
    redactor = learned(camera)
    pairs = []
    for number in range(40):
        frame = camera.take(material.somebody, shift=min(step * number, 128))
        pairs.append((frame, redactor.redact(frame, real_street.verdict(frame)), [material.somebody]))

    assert shown(pairs) == (0, 40)


def test_light_that_goes_off_and_on_shows_nobody(material: Material) -> None:
    camera = Camera(material.street)
    redactor = learned(camera)
    pairs = []
    for number in range(80):
        light = 0.25 if number // 10 % 2 else 1.0
        frame = camera.take(material.somebody, light=light)
        pairs.append((frame, redactor.redact(frame, real_street.verdict(frame)), [material.somebody]))

    assert shown(pairs) == (0, 80)


def test_somebody_who_stands_still_for_ten_minutes_in_an_empty_square_is_never_shown(material: Material) -> None:
    """Held still, and never detected."""
    camera = Camera(material.street, period=2.0)
    redactor = Redactor(RULES)
    for _ in range(LEARNED):
        redactor.redact(frame := camera.take(), real_street.verdict(frame))
    pairs = []
    for _ in range(300):
        frame = camera.take(material.somebody)
        pairs.append((frame, redactor.redact(frame, real_street.verdict(frame)), [material.somebody]))

    assert shown(pairs) == (0, 300)


@pytest.mark.parametrize(("seen", "sway"), [(0.1, 0.0), (0.0, 0.6)], ids=["seen now and then", "sways a little"])
def test_somebody_who_was_there_before_the_start_is_never_shown(material: Material, seen: float, sway: float) -> None:
    camera, redactor, rng = Camera(material.street), Redactor(), np.random.default_rng(4)
    pairs, somebody = [], material.somebody
    for _ in range(250):
        frame = camera.take(somebody, sway=sway)
        boxes = [somebody] if rng.random() < seen else []
        pairs.append((frame, redactor.redact(frame, real_street.verdict(frame, *boxes, score=0.12)), [somebody]))

    assert shown(pairs) == (0, 250)
    assert pairs[-1][1].masked_fraction < 0.2


def test_nobody_who_stands_motionless_is_learned_from_a_detector_that_misses_whoever_walks(material: Material) -> None:
    """It answers "nothing" each time, as one with a broken model does; he was there before the start."""
    camera, redactor, standing = Camera(material.street), Redactor(), material.somebody
    pairs = []
    for number in range(250):
        walker = dataclasses.replace(_mirrored(standing), left=20 + 8 * (number % 40), top=60)
        frame = camera.take(standing, walker)
        pairs.append((frame, redactor.redact(frame, Verdict.empty(frame.sequence)), [standing, walker]))

    assert shown(pairs) == (0, 500)


def test_a_poster_of_a_face_is_hidden_while_the_detector_takes_it_for_one(material: Material) -> None:
    camera, redactor, poster = Camera(material.street), Redactor(RULES), material.somebody
    pairs = []
    for number in range(5 * LEARNED):
        frame = camera.take(poster)
        boxes = [poster] if number % 4 == 0 else []
        pairs.append((frame, redactor.redact(frame, real_street.verdict(frame, *boxes)), [poster]))

    assert shown(pairs) == (0, 5 * LEARNED)


def test_who_walks_past_a_poster_that_is_shown_is_not(material: Material) -> None:
    poster, camera = material.somebody, Camera(material.street)
    redactor = learned(camera, poster)
    pairs = []
    for number in range(30):
        walker = dataclasses.replace(_mirrored(poster), left=100 + 4 * number)
        frame = camera.take(poster, walker)
        pairs.append((frame, redactor.redact(frame, real_street.verdict(frame)), [walker]))

    assert shown(pairs) == (0, 30)


@pytest.mark.parametrize("detected", [True, False], ids=["detected", "missed"])
def test_a_fast_crossing_shows_nobody(material: Material, *, detected: bool) -> None:
    camera = Camera(material.street)
    redactor = learned(camera)
    pairs = []
    for number in range(60):
        runner = dataclasses.replace(material.somebody, left=10 + 60 * (number % 6), top=120 + 4 * (number // 6))
        frame = camera.take(runner)
        said = real_street.verdict(frame, *([runner] if detected else []))
        pairs.append((frame, redactor.redact(frame, said), [runner]))

    assert shown(pairs) == (0, 60)


def test_a_camera_that_stutters_shows_nobody(material: Material) -> None:
    """The same picture over and over, with somebody in it: it proves nothing."""
    camera, redactor = Camera(material.street), Redactor(RULES)
    frozen = camera.take(material.somebody).planes

    fractions = {
        redactor.redact(frame := camera.of(frozen), real_street.verdict(frame)).masked_fraction for _ in range(120)
    }

    assert fractions == {1.0}


def _mirrored(box: Box) -> Box:
    person, cut = box.person, box.person.cut
    flipped = Planes(cut.luma[:, ::-1].copy(), cut.blue[:, ::-1].copy(), cut.red[:, ::-1].copy())
    return dataclasses.replace(box, person=dataclasses.replace(person, cut=flipped, mask=person.mask[:, ::-1].copy()))
