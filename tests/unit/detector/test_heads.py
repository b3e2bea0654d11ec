"""Every head but CenterNet's (see test_centernet) on outputs of tiny networks, against boxes computed by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from detector.domain.detections import Detections, ObjectClass
from detector.domain.heads import HEADS, AnchorLayout, HeadParameters
from detector.domain.heads.ssd import default_boxes
from detector.domain.preprocessing import Placement
from tests.unit.detector.networks import run

# Of four class scores, the second and the fourth are outside the allow-list.
CLASSES = (ObjectClass.PERSON, 0, ObjectClass.CAR, 0)
STRETCHED = Placement(frame_width=128, frame_height=64, network_width=64, network_height=64)
LETTERBOXED = Placement.letterbox(128, 64, 64, 64, centred=True)
"""Half the size, with bars of 16 network pixels above and below."""
ANCHORS = AnchorLayout(maps=((2, 2), (1, 1)), scales=(0.25, 0.5, 1.0), ratios=((4.0,), ()))
SSD_CLASSES = (0, ObjectClass.PERSON, 0, ObjectClass.CAR)


def decode(
    head: str,
    outputs: dict[str, np.ndarray],
    placement: Placement = STRETCHED,
    threshold: float = 0.1,
    parameters: HeadParameters = HeadParameters(CLASSES),  # noqa: B008 - frozen
) -> Detections:
    return HEADS[head](parameters).decode(run(outputs), 0, placement, threshold)


def yolov8(columns: dict[int, tuple[float, ...]], count: int = 84) -> dict[str, np.ndarray]:
    predictions = np.zeros((1, 8, count), np.float32)
    for column, values in columns.items():
        predictions[0, :, column] = values
    return {"predictions": predictions}


def yolox(rows: dict[int, tuple[float, ...]]) -> dict[str, np.ndarray]:
    predictions = np.zeros((1, 64 + 16 + 4, 9), np.float32)
    for row, values in rows.items():
        predictions[0, row] = values
    return {"predictions": predictions}


def detr(queries: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> dict[str, np.ndarray]:
    return {
        "logits": np.array([[logits for logits, _ in queries]], np.float32),
        "boxes": np.array([[box for _, box in queries]], np.float32),
    }


def ssd(anchors: dict[int, tuple[tuple[float, ...], tuple[float, ...]]]) -> dict[str, np.ndarray]:
    logits, boxes = np.zeros((1, 18, 4), np.float32), np.zeros((1, 18, 4), np.float32)
    logits[..., 0] = 20.0
    for anchor, (scores, box) in anchors.items():
        logits[0, anchor], boxes[0, anchor] = np.log(scores), box
    return {"logits": logits, "boxes": boxes}


def test_yolov8_boxes_are_centres_and_sizes_in_network_pixels() -> None:
    found = decode("yolov8", yolov8({7: (20, 40, 8, 16, 0.2, 0.0, 0.75, 0.0)}))

    assert found.classes.tolist() == [ObjectClass.CAR]
    np.testing.assert_allclose(found.scores, [0.75])
    np.testing.assert_allclose(found.boxes, [[32, 32, 48, 48]])


def test_yolov8_letterbox_is_taken_off() -> None:
    found = decode("yolov8", yolov8({7: (20, 40, 8, 16, 0.6, 0.0, 0.0, 0.0)}), LETTERBOXED)

    # Left 16, top 32 - 16 of the bar; then twice as large.
    np.testing.assert_allclose(found.boxes, [[32, 32, 48, 64]])


def test_yolox_boxes_are_relative_to_their_cell_and_its_stride() -> None:
    # Row 64 + 6 is the cell (column 2, row 1) of the 4 x 4 grid of stride 16.
    values = (0.5, 0.25, math.log(0.5), math.log(2.0), 0.8, 0.5, 0.9, 0.2, 0.0)
    found = decode("yolox", yolox({70: values}))

    assert found.classes.tolist() == [ObjectClass.PERSON]
    np.testing.assert_allclose(found.scores, [0.8 * 0.5], rtol=1e-6)
    # Centre (40, 20), size 8 x 32; x is stretched by two.
    np.testing.assert_allclose(found.boxes, [[72, 4, 88, 36]], rtol=1e-5)


def test_yolox_sizes_beyond_any_picture_do_not_overflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode("yolox", yolox({0: (0.5, 0.5, 500.0, 500.0, 0.9, 0.9, 0.0, 0.0, 0.0)}))

    np.testing.assert_allclose(found.boxes, [[0, 0, 128, 64]])


@pytest.mark.parametrize("head", ["rt-detr", "d-fine"])
def test_detr_boxes_are_shares_of_the_input_and_scores_sigmoids(head: str) -> None:
    found = decode(head, detr([((0.0, 5.0, math.log(3.0), 5.0), (0.25, 0.5, 0.125, 0.25)), ((-9.0,) * 4, (0.5,) * 4)]))

    assert found.classes.tolist() == [ObjectClass.CAR]
    np.testing.assert_allclose(found.scores, [0.75], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, [[24, 24, 40, 40]])


def test_detr_keeps_two_people_in_one_place() -> None:
    box = (0.5, 0.5, 0.25, 0.25)
    found = decode("rt-detr", detr([((2.0, 0.0, 0.0, 0.0), box), ((1.0, 0.0, 0.0, 0.0), box)]))

    assert len(found) == 2


def test_detr_scores_do_not_overflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode("d-fine", detr([((1e30, 0, -1e30, 0), (0.5,) * 4), ((-1e30,) * 4, (0.5,) * 4)]))

    np.testing.assert_allclose(found.scores, [1.0])


def test_ssd_default_boxes_follow_the_paper() -> None:
    defaults = default_boxes(ANCHORS)

    assert len(defaults) == 2 * 2 * 4 + 2
    larger = math.sqrt(0.25 * 0.5)
    expected = [
        [0.75, 0.25, 0.25, 0.25],
        [0.75, 0.25, larger, larger],
        [0.75, 0.25, 0.5, 0.125],
        [0.75, 0.25, 0.125, 0.5],
    ]
    np.testing.assert_allclose(defaults[4:8], expected)
    np.testing.assert_allclose(defaults[17], [0.5, 0.5, math.sqrt(0.5), math.sqrt(0.5)])


def test_ssd_boxes_are_corrections_of_default_boxes() -> None:
    # Default box 4 of the first map: centre (48, 16), 16 x 16 network pixels.
    correction = (2.5, -5.0, 5 * math.log(2.0), 5 * math.log(0.5))
    found = decode(
        "ssd", ssd({4: ((0.1, 0.2, 0.1, 0.6), correction)}), parameters=HeadParameters(SSD_CLASSES, 0.45, ANCHORS)
    )

    assert found.classes.tolist() == [ObjectClass.CAR, ObjectClass.PERSON]
    np.testing.assert_allclose(found.scores, [0.6, 0.2], rtol=1e-5)
    # Centre (52, 8), size 32 x 8; x is stretched by two.
    np.testing.assert_allclose(found.boxes, [[72, 4, 128, 12]] * 2, rtol=1e-5)


def test_ssd_suppresses_by_itself_within_a_class() -> None:
    still = (0.0, 0.0, 0.0, 0.0)
    shifted = (1.0, 0.0, 0.0, 0.0)
    outputs = ssd({4: ((0.3, 0.7, 0.0001, 0.0001), still), 0: ((0.2, 0.8, 0.0001, 0.0001), (20.0, 0.0, 0.0, 0.0))})
    outputs["boxes"][0, 0] += shifted
    found = decode("ssd", outputs, parameters=HeadParameters(SSD_CLASSES, 0.45, ANCHORS))

    np.testing.assert_allclose(found.scores, [0.8], rtol=1e-3)


@pytest.mark.parametrize(
    ("classes", "anchors", "message"),
    [
        (SSD_CLASSES, None, "needs its anchors"),
        ((ObjectClass.PERSON, 0), ANCHORS, "background"),
        ((0, 0), ANCHORS, "allow-list"),
    ],
)
def test_ssd_refuses_parameters_that_do_not_suit_it(
    classes: tuple[int, ...], anchors: AnchorLayout | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        HEADS["ssd"](HeadParameters(classes, 0.45, anchors))


def test_what_only_looks_like_something_else_is_dropped_and_a_person_who_does_is_kept() -> None:
    chair = (20, 40, 8, 16, 0.05, 0.9, 0.0, 0.0)
    person_or_chair = (50, 40, 8, 16, 0.15, 0.9, 0.0, 0.0)
    found = decode("yolov8", yolov8({3: chair, 4: person_or_chair}))

    assert found.classes.tolist() == [ObjectClass.PERSON]
    np.testing.assert_allclose(found.scores, [0.15])


@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        ("yolov8", yolov8({}, 0)),
        ("yolov8", yolov8({})),
        ("yolox", yolox({})),
        ("rt-detr", detr([((-9.0,) * 4, (0.5,) * 4)])),
    ],
)
def test_of_an_empty_street_nothing_is_said(head: str, outputs: dict[str, np.ndarray]) -> None:
    assert len(decode(head, outputs)) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        ("centernet", {"heat": np.zeros((1, 4, 4, 4), np.float32), "box": np.zeros((1, 4, 4, 4), np.float32)}),
        ("yolov8", yolov8({})),
        ("yolox", yolox({})),
        ("rt-detr", detr([((-9.0,) * 4, (0.5,) * 4)])),
    ],
)
def test_a_network_that_fails_is_not_taken_for_an_empty_street(
    head: str, outputs: dict[str, np.ndarray], value: float
) -> None:
    broken = {name: values.copy() for name, values in outputs.items()}
    next(iter(broken.values())).flat[0] = value
    with pytest.raises(ValueError, match="no numbers"):
        decode(head, broken)


@pytest.mark.parametrize(
    ("head", "outputs", "message"),
    [
        ("yolov8", {"predictions": np.zeros((1, 8 + 51, 84), np.float32)}, r"1 x 59 x 84, not \? x 8 x \?"),
        ("yolox", {"predictions": np.zeros((1, 83, 9), np.float32)}, "83 rows for 84 cells"),
        ("rt-detr", {"logits": np.zeros((1, 3, 4)), "boxes": np.zeros((1, 2, 4))}, "2 boxes for 3 queries"),
        ("rt-detr", {"logits": np.zeros((1, 3, 512)), "boxes": np.zeros((1, 3, 4))}, r"1 x 3 x 512, not \? x \? x 4"),
    ],
)
def test_outputs_of_another_shape_are_refused(head: str, outputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(head, outputs)
