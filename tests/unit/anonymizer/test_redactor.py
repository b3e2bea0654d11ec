from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.domain.frame import Basis, Frame, MaskedFrame, Planes, Size, UnsupportedFrameError
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.silhouette import PALETTE, surroundings_of
from anonymizer.domain.verdict import ObjectClass, Verdict
from tests.unit.anonymizer.streets import PERIOD, RULES, SIZE, Person, Street, likeness, verdict

PERSON = Person(48, 32)
LEARNED = 60
"""Frames after which an empty synthetic street is known."""


def learned(street: Street, redactor: Redactor) -> MaskedFrame:
    masked = [redactor.redact(frame := street.frame(), verdict(frame)) for _ in range(LEARNED)]
    return masked[-1]


def shown(masked: MaskedFrame, frame: Frame, person: Person = PERSON) -> float:
    """How much of the person the masked picture shows."""
    return likeness(masked.planes.luma[person.area], frame.planes.luma[person.area])


def test_at_the_start_everything_is_masked() -> None:
    street, redactor = Street(), Redactor(RULES)

    masked = redactor.redact(frame := street.frame(PERSON), verdict(frame))

    assert masked.masked_fraction == 1.0
    assert np.ptp(masked.planes.luma) == 0 or shown(masked, frame) == 0.0


def test_an_empty_street_is_shown_after_its_time() -> None:
    street, redactor = Street(), Redactor(RULES)

    masked = learned(street, redactor)

    assert masked.masked_fraction == 0.0
    assert likeness(masked.planes.luma, street.frame().planes.luma) > 0.99


def test_what_is_shown_are_the_pixels_of_the_plate_and_not_those_of_the_frame() -> None:
    street, redactor = Street(noise=2.0), Redactor(RULES)
    learned(street, redactor)

    first = redactor.redact(frame := street.frame(), verdict(frame))
    second = redactor.redact(frame := street.frame(), verdict(frame))

    shown_twice = first.planes.luma == second.planes.luma
    assert shown_twice.mean() > 0.95
    assert np.mean(second.planes.luma == frame.planes.luma) < 0.4


@pytest.mark.parametrize("seen", [True, False], ids=["detected", "missed"])
def test_a_person_who_comes_is_masked_whether_detected_or_missed(*, seen: bool) -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)

    for step in range(20):
        person = Person(8 + 4 * step, 32)
        frame = street.frame(person)
        masked = redactor.redact(frame, verdict(frame, person) if seen else verdict(frame))
        assert abs(shown(masked, frame, person)) < 0.2


def test_without_a_verdict_more_is_masked_and_nothing_is_learned() -> None:
    street, redactor = Street(), Redactor(RULES)
    masked = [redactor.redact(street.frame(), None) for _ in range(3 * LEARNED)]

    assert masked[-1].basis is Basis.UNVERDICTED
    assert masked[-1].masked_fraction == 1.0


def test_unverdicted_frames_mask_at_least_what_verdicted_ones_do() -> None:
    fractions = []
    for has_verdict in (True, False):
        street, redactor = Street(), Redactor(RULES)
        learned(street, redactor)
        frame = street.frame(PERSON)
        masked = redactor.redact(frame, verdict(frame, PERSON) if has_verdict else None)
        assert abs(shown(masked, frame)) < 0.2
        fractions.append(masked.masked_fraction)

    assert fractions[1] > fractions[0] > 0


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([[np.nan, 0, 1, 1]], id="not a number"),
        pytest.param([[0, 0, np.inf, 1]], id="infinite"),
        pytest.param([[0.5, 0.5, 0.1, 0.9]], id="inside out"),
    ],
)
def test_a_verdict_that_cannot_be_believed_is_none(boxes: list[list[float]]) -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)
    frame = street.frame()
    broken = Verdict(frame.sequence, np.array(boxes, np.float32), np.ones(1, np.int16), np.ones(1, np.float32))

    assert redactor.redact(frame, broken).basis is Basis.UNVERDICTED


def test_the_verdict_of_another_frame_is_none() -> None:
    street, redactor = Street(), Redactor(RULES)
    masked = [redactor.redact(frame := street.frame(), Verdict.empty(frame.sequence + 1)) for _ in range(2 * LEARNED)]

    assert masked[-1].basis is Basis.UNVERDICTED
    assert masked[-1].masked_fraction == 1.0


def test_somebody_who_stands_there_since_before_the_start_is_never_learned() -> None:
    street, redactor = Street(), Redactor(RULES)
    rng = np.random.default_rng(3)
    fractions = []
    for _ in range(6 * LEARNED):
        frame = street.frame(PERSON)
        # The detector misses him in half of the frames and is never sure.
        seen = rng.random() < 0.5
        masked = redactor.redact(frame, verdict(frame, *([PERSON] if seen else []), score=0.15))
        assert abs(shown(masked, frame)) < 0.2
        fractions.append(masked.masked_fraction)

    assert fractions[-1] < 0.3


def test_somebody_who_sways_is_never_learned_though_never_detected() -> None:
    street, redactor = Street(), Redactor(RULES)
    for number in range(6 * LEARNED):
        person = Person(48 + (number // 4) % 2, 32)
        frame = street.frame(person)
        masked = redactor.redact(frame, verdict(frame))
        assert abs(shown(masked, frame, person)) < 0.2


def test_a_picture_that_is_repeated_proves_nothing() -> None:
    street, redactor = Street(noise=0.0), Redactor(RULES)
    masked = [redactor.redact(frame := street.frame(PERSON), verdict(frame)) for _ in range(3 * LEARNED)]

    assert masked[-1].masked_fraction == 1.0


def test_somebody_who_stops_on_a_known_place_is_not_taken_for_street() -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)
    for _ in range(2 * LEARNED):
        masked = redactor.redact(frame := street.frame(PERSON), verdict(frame))
        assert abs(shown(masked, frame)) < 0.2


@pytest.mark.parametrize("change", [{"light": 0.4}, {"shift": 9}], ids=["light", "pan"])
def test_a_change_of_the_whole_picture_masks_everything_and_the_street_is_learned_anew(
    change: dict[str, Any],
) -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)

    after = [redactor.redact(frame := street.frame(**change), verdict(frame)) for _ in range(2 * LEARNED)]

    assert after[0].masked_fraction == 1.0
    assert after[10].masked_fraction == 1.0
    assert after[-1].masked_fraction == 0.0


def test_light_that_goes_off_for_a_moment_does_not_cost_the_plate() -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)
    dark = [redactor.redact(frame := street.frame(light=0.3), verdict(frame)) for _ in range(5)]

    back = [redactor.redact(frame := street.frame(), verdict(frame)) for _ in range(8)]

    assert {masked.masked_fraction for masked in dark} == {1.0}
    assert back[0].masked_fraction == 1.0
    assert back[-1].masked_fraction == 0.0


def test_another_size_starts_anew() -> None:
    redactor = Redactor(RULES)
    learned(Street(), redactor)

    masked = redactor.redact(frame := Street(Size(96, 64)).frame(), verdict(frame))

    assert masked.planes.size == Size(96, 64)
    assert masked.masked_fraction == 1.0


@pytest.mark.parametrize("size", [Size(132, 98), Size(854, 480), Size(640, 360)])
def test_sizes_that_are_no_whole_cells_come_back_in_their_own(size: Size) -> None:
    street, redactor = Street(size), Redactor(RULES)

    masked = learned(street, redactor)

    assert masked.planes.size == size
    assert masked.masked_fraction < 0.01


def test_a_gap_in_the_pictures_starts_the_wait_anew() -> None:
    street, redactor = Street(), Redactor(RULES)
    for _ in range(18):
        redactor.redact(frame := street.frame(), verdict(frame))
    street._count += 50
    masked = [redactor.redact(frame := street.frame(), verdict(frame)) for _ in range(15)]

    assert masked[-1].masked_fraction == 1.0


def test_privacy_masks_are_filled_in_what_is_known_too() -> None:
    street, redactor = Street(), Redactor(RULES)
    redactor.protect([np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]], np.float32)])

    masked = learned(street, redactor)

    inside = masked.planes.luma[24:72, 32:96]
    assert np.ptp(inside) == 0
    assert 0.25 < masked.masked_fraction < 0.6


@pytest.mark.parametrize("polygon", [[[0.0, 0.0], [1.0, 1.0]], [[0.0, np.nan], [1.0, 1.0], [0.0, 1.0]]])
def test_a_privacy_mask_that_is_none_is_refused_and_the_ones_before_stay(polygon: list[list[float]]) -> None:
    street, redactor = Street(), Redactor(RULES)
    redactor.protect([np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)])

    with pytest.raises(ValueError, match="corners"):
        redactor.protect([np.array(polygon, np.float32)])

    assert learned(street, redactor).masked_fraction == 1.0


def test_a_masked_frame_cannot_be_made_of_raw_planes() -> None:
    frame = Street().frame()

    with pytest.raises(ValueError, match="raw frame's memory"):
        MaskedFrame.compose(frame, frame.planes, 0.0, Basis.VERDICT)
    with pytest.raises(TypeError, match="compose"):
        MaskedFrame(0, 0.0, frame.planes, 0.0, Basis.VERDICT, object())


@pytest.mark.parametrize(("width", "height"), [(127, 96), (128, 95), (16, 96), (8192, 96), (0, 0)])
def test_sizes_that_cannot_be_masked_are_refused(width: int, height: int) -> None:
    with pytest.raises(UnsupportedFrameError):
        Size(width, height)


def test_planes_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(UnsupportedFrameError):
        Planes.from_bytes(b"\0" * (SIZE.byte_count - 1), SIZE)


@st.composite
def sequences(draw: st.DrawFn) -> list[tuple[tuple[Person, ...], str, float]]:
    """Any mixture of people, verdicts and light."""
    people = st.builds(
        Person,
        st.integers(0, 100),
        st.integers(0, 50),
        width=st.sampled_from([12, 24]),
        height=st.sampled_from([20, 40]),
    )
    scene = st.tuples(
        st.lists(people, max_size=2).map(tuple),
        st.sampled_from(["true", "empty", "none", "foreign", "garbage"]),
        st.sampled_from([1.0, 1.0, 1.0, 0.6]),
    )
    runs = draw(st.lists(st.tuples(scene, st.integers(1, 12)), min_size=1, max_size=8))
    return [scene for scene, length in runs for _ in range(length)]


def verdict_of(kind: str, frame: Frame, people: tuple[Person, ...]) -> Verdict | None:
    match kind:
        case "true":
            return verdict(frame, *people)
        case "empty":
            return verdict(frame)
        case "foreign":
            return Verdict.empty(frame.sequence - 1)
        case "garbage":
            return verdict(frame, Person(0, 0, 5, 5))
    return None


@settings(max_examples=25, deadline=None)
@given(scenes=sequences(), seed=st.integers(0, 2**16), begins_known=st.booleans())
def test_no_pixel_of_a_frame_leaves_beyond_chance(
    scenes: list[tuple[tuple[Person, ...], str, float]], seed: int, *, begins_known: bool
) -> None:
    """The street and the people are white noise anew in every frame: whatever is shown of them would be found."""
    street, redactor = Street(seed=seed), Redactor(RULES)
    if begins_known:
        learned(street, redactor)
    rng = np.random.default_rng(seed)
    for people, kind, light in scenes:
        frame = street.frame(*people, light=light)
        for person in people:
            patch = frame.planes.luma[person.area]
            patch[...] = rng.integers(16, 236, patch.shape, np.uint8)
        masked = redactor.redact(frame, verdict_of(kind, frame, people))
        for person in people:
            assert abs(likeness(masked.planes.luma[person.area], frame.planes.luma[person.area])) < 0.3
        # Whatever is not solid fill is a pixel of the plate.
        is_fill = np.isin(masked.planes.luma, PALETTE[:, 0])
        assert redactor._plate is not None
        assert np.all(is_fill | (masked.planes.luma == redactor._plate.planes.luma))


def test_a_cell_is_not_shown_from_a_frame_in_which_it_differed() -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)
    frame = street.frame(PERSON)

    masked = redactor.redact(frame, verdict(frame))

    cells_of_person = masked.planes.luma[PERSON.area]
    assert len(np.unique(cells_of_person)) <= 2


def test_the_clock_that_jumps_back_shows_nobody() -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)
    frame = street.frame(PERSON)
    early = Frame(frame.sequence, frame.captured - 1000 * PERIOD, frame.planes)

    masked = redactor.redact(early, verdict(early, PERSON))

    assert abs(shown(masked, frame)) < 0.2


def test_a_withheld_picture_is_masked_whole_and_learned_anew_afterwards() -> None:
    street, redactor = Street(), Redactor(RULES)
    assert learned(street, redactor).masked_fraction < 1.0

    redactor.withhold(whole_picture=True)
    withheld = [redactor.redact(frame := street.frame(), verdict(frame)) for _ in range(LEARNED)]
    redactor.withhold(whole_picture=False)
    first = redactor.redact(frame := street.frame(), verdict(frame))

    assert {masked.basis for masked in withheld} == {Basis.WHOLE_PICTURE}
    assert all(np.ptp(plane) == 0 for plane in (withheld[-1].planes.luma, withheld[-1].planes.red))
    assert first.masked_fraction == 1.0
    assert learned(street, redactor).masked_fraction < 1.0


def test_boxes_hide_the_shape() -> None:
    street, redactor = Street(), Redactor(RULES)
    learned(street, redactor)
    frame = street.frame(PERSON)
    silhouette = redactor.redact(frame, verdict(frame, PERSON))

    redactor.boxes = True
    frame = street.frame(PERSON)
    box = redactor.redact(frame, verdict(frame, PERSON))

    shade = PALETTE[surroundings_of(ObjectClass.PERSON)][0]
    shaded = [np.count_nonzero(masked.planes.luma == shade) for masked in (silhouette, box)]
    assert shaded[0] > shaded[1] + 100
    assert shown(box, frame) == 0.0
