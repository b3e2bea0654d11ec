"""Whatever happens, the picture that leaves does not depend on the pixels of the frame that it stands for.

Each frame has a twin: the same scene with other noise, which the redactor never sees. If a masked picture equalled its
own frame in more pixels than the twin, a pixel of the frame would have left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.domain.frame import Frame, MaskedFrame, Planes, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import Verdict
from tests.unit.anonymizer.streets import RULES, SIZE, Person, Street, verdict

NOISE = 3.0
LEARNED = 45
"""Frames after which most of an empty street is known."""
SIGMAS = 6.0
KINDS = ("true", "half", "empty", "none", "foreign", "late", "garbage", "broken")


@st.composite
def scenes(draw: st.DrawFn) -> list[tuple[tuple[Person, ...], str, float, int]]:
    """Runs of people, verdicts, light and camera positions."""
    people = st.builds(
        Person,
        st.integers(0, 100),
        st.integers(0, 50),
        width=st.sampled_from([12, 24]),
        height=st.sampled_from([20, 40]),
    )
    scene = st.tuples(
        st.lists(people, max_size=3).map(tuple),
        st.sampled_from(KINDS),
        st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5, 1.4]),
        st.sampled_from([0, 0, 0, 0, 1, 11]),
    )
    runs = draw(st.lists(st.tuples(scene, st.integers(1, 15)), min_size=1, max_size=8))
    return [scene for scene, length in runs for _ in range(length)]


def unsound(frame: Frame) -> Verdict:
    sound = verdict(frame, Person(0, 0))
    return dataclasses.replace(sound, boxes=sound.boxes * np.float32(np.nan))


def said(kind: str, frame: Frame, people: tuple[Person, ...], rng: np.random.Generator) -> Verdict | None:
    verdicts: dict[str, Callable[[], Verdict | None]] = {
        "true": lambda: verdict(frame, *people),
        "half": lambda: verdict(frame, *(person for person in people if rng.random() < 0.5), score=0.15),
        "empty": lambda: verdict(frame),
        "none": lambda: None,
        "foreign": lambda: Verdict.empty(frame.sequence + 1),
        "late": lambda: Verdict.empty(frame.sequence - 3),
        "garbage": lambda: verdict(frame, *(Person(*rng.integers(0, 90, 2).tolist()) for _ in range(3))),
        "broken": lambda: unsound(frame),
    }
    return verdicts[kind]()


def noisy(frame: Frame, rng: np.random.Generator) -> Frame:
    planes = frame.planes
    luma, blue, red = (
        np.clip(np.rint(plane + rng.normal(0, NOISE, plane.shape)), 16, 235).astype(np.uint8)
        for plane in (planes.luma, planes.blue, planes.red)
    )
    return Frame(frame.sequence, frame.captured, Planes(luma, blue, red))


def equal_pixels(masked: MaskedFrame, frame: Frame) -> int:
    return int(np.count_nonzero(masked.planes.luma == frame.planes.luma))


@settings(max_examples=30, deadline=None)
@given(sequence=scenes(), seed=st.integers(0, 2**16), begins_known=st.booleans(), boxes=st.booleans())
def test_a_masked_picture_equals_its_frame_no_more_than_the_twin_of_it(
    sequence: list[tuple[tuple[Person, ...], str, float, int]], seed: int, *, begins_known: bool, boxes: bool
) -> None:
    street, redactor, rng = Street(seed=seed, noise=0.0), Redactor(RULES), np.random.default_rng(seed)
    redactor.boxes = boxes
    own = twins = 0
    before = [((), "true", 1.0, 0)] * (LEARNED if begins_known else 0)
    for people, kind, light, shift in [*before, *sequence]:
        scene = street.frame(*people, light=light, shift=shift)
        frame, twin = noisy(scene, rng), noisy(scene, rng)
        masked = redactor.redact(frame, said(kind, frame, people, rng))
        own += equal_pixels(masked, frame)
        twins += equal_pixels(masked, twin)

    assert own - twins <= SIGMAS * np.sqrt(own + twins + 1)


def test_the_yardstick_finds_a_single_cell() -> None:
    """A redactor that let one cell of each frame through would be found."""
    street, rng = Street(noise=0.0), np.random.default_rng(1)
    own = twins = 0
    for _ in range(40):
        scene = street.frame()
        frame, twin = noisy(scene, rng), noisy(scene, rng)
        leaking = Planes.filled(Size(SIZE.width, SIZE.height), 48, 128, 128)
        leaking.luma[40:48, 40:48] = frame.planes.luma[40:48, 40:48]
        masked = MaskedFrame.compose(frame, leaking, 1.0, MaskedFrame.blank(0, 0.0, SIZE).basis)
        own += equal_pixels(masked, frame)
        twins += equal_pixels(masked, twin)

    assert own - twins > SIGMAS * np.sqrt(own + twins + 1)
