"""What is written into the outputs of a network comes back as it was, for every head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.domain.detections import ObjectClass
from detector.domain.heads import HEADS, AnchorLayout, HeadParameters
from detector.domain.heads.ssd import default_boxes
from detector.domain.preprocessing import Placement

SIDE = 128
"""Of the network's input, pixels."""
CLASSES = (0, ObjectClass.PERSON, 0, ObjectClass.CAR)
ANCHORS = AnchorLayout(maps=((4, 4), (2, 2)), scales=(0.2, 0.5, 0.9), ratios=((2.0,), (2.0, 3.0)))
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Things:
    """What is in the picture: boxes in network pixels, scores, the class score that each has, where each is written."""

    boxes: np.ndarray
    scores: np.ndarray
    channels: np.ndarray
    slots: np.ndarray


def centred(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def encode_centernet(things: Things) -> Arrays:
    heat, box = np.zeros((1, 4, 32, 32), np.float32), np.zeros((1, 4, 32, 32), np.float32)
    columns, rows = (centred(things.boxes)[:, :2] // 4).astype(int).T
    heat[0, things.channels, rows, columns] = things.scores
    cells = np.stack([columns, rows], axis=1) * 4
    box[0, :, rows, columns] = np.concatenate([cells - things.boxes[:, :2], things.boxes[:, 2:] - cells], axis=1)
    return {"heat": heat, "box": box}


def encode_yolov8(things: Things) -> Arrays:
    predictions = np.zeros((1, 8, 64), np.float32)
    predictions[0, :4, things.slots] = centred(things.boxes)
    predictions[0, 4 + things.channels, things.slots] = things.scores
    return {"predictions": predictions}


def encode_yolox(things: Things) -> Arrays:
    cells = [
        (column, row, stride)
        for stride in (8, 16, 32)
        for row in range(SIDE // stride)
        for column in range(SIDE // stride)
    ]
    predictions = np.zeros((1, len(cells), 9), np.float32)
    for box, score, channel, slot in zip(
        centred(things.boxes), things.scores, things.channels, things.slots, strict=True
    ):
        column, row, stride = cells[slot * 5]
        predictions[0, slot * 5, :4] = (
            box[0] / stride - column,
            box[1] / stride - row,
            np.log(box[2] / stride),
            np.log(box[3] / stride),
        )
        predictions[0, slot * 5, 4] = 0.99
        predictions[0, slot * 5, 5 + channel] = score / 0.99
    return {"predictions": predictions}


def encode_detr(things: Things) -> Arrays:
    logits, boxes = np.full((1, 64, 4), -30, np.float32), np.full((1, 64, 4), 0.5, np.float32)
    logits[0, things.slots, things.channels] = np.log(things.scores / (1 - things.scores))
    boxes[0, things.slots] = centred(things.boxes) / SIDE
    return {"logits": logits, "boxes": boxes}


def encode_ssd(things: Things) -> Arrays:
    defaults = default_boxes(ANCHORS)
    logits, boxes = np.zeros((1, len(defaults), 4), np.float32), np.zeros((1, len(defaults), 4), np.float32)
    logits[..., 0] = 30.0
    wanted = centred(things.boxes) / SIDE
    near = defaults[things.slots]
    boxes[0, things.slots, :2] = (wanted[:, :2] - near[:, :2]) / near[:, 2:] / 0.1
    boxes[0, things.slots, 2:] = np.log(wanted[:, 2:] / near[:, 2:]) / 0.2
    logits[0, things.slots, 0] = np.log(1 - things.scores)
    logits[0, things.slots] -= np.array([0, 30, 30, 30], np.float32)
    logits[0, things.slots, things.channels] = np.log(things.scores)
    return {"logits": logits, "boxes": boxes}


ENCODERS: dict[str, Callable[[Things], Arrays]] = {
    "centernet": encode_centernet,
    "d-fine": encode_detr,
    "rt-detr": encode_detr,
    "ssd": encode_ssd,
    "yolov8": encode_yolov8,
    "yolox": encode_yolox,
}


def test_every_head_is_tried() -> None:
    assert set(ENCODERS) == set(HEADS)


@st.composite
def things(draw: st.DrawFn, placement: Placement) -> Things:
    """Up to 16 boxes, each in its own tile of the picture and with its own score, some of them of dropped classes."""
    tiles = draw(st.lists(st.integers(0, 15), unique=True, max_size=16))
    shares = st.tuples(*[st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.floats(0.6, 0.95), st.floats(0.6, 0.95)])
    inside = np.array(draw(st.lists(shares, min_size=len(tiles), max_size=len(tiles)))).reshape(-1, 4)
    corner = np.array([[tile % 4, tile // 4] * 2 for tile in tiles], float).reshape(-1, 4)
    width, height = placement.picture
    origin = np.array([placement.left, placement.top] * 2)
    boxes = (corner + inside) / 4 * np.array([width, height] * 2) + origin
    scores = draw(st.lists(st.integers(30, 95), unique=True, min_size=len(tiles), max_size=len(tiles)))
    channels = draw(st.lists(st.integers(1, 3), min_size=len(tiles), max_size=len(tiles)))
    slots = draw(st.permutations(range(64)))[: len(tiles)]
    return Things(boxes, np.array(scores) / 100, np.array(channels, int), np.array(slots, int))


PLACEMENTS = st.one_of(
    st.builds(lambda width, height: Placement(width, height, SIDE, SIDE), st.integers(64, 2000), st.integers(64, 2000)),
    st.builds(
        lambda width, height, centred: Placement.letterbox(width, height, SIDE, SIDE, centred=centred),
        st.integers(500, 1000),
        st.integers(500, 1000),
        st.booleans(),
    ),
)


@pytest.mark.parametrize("head", sorted(HEADS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_boxes_scores_and_classes_come_back(head: str, data: st.DataObject) -> None:
    placement = data.draw(PLACEMENTS)
    wanted = data.draw(things(placement))
    parameters = HeadParameters(CLASSES, anchors=ANCHORS if head == "ssd" else None)
    found = HEADS[head](parameters).decode(ENCODERS[head](wanted), 0, placement, 0.2)
    table = np.array(CLASSES)[wanted.channels]
    order = np.argsort(-wanted.scores)
    order = order[table[order] > 0]
    width, height = placement.picture
    scale = np.array([placement.frame_width / width, placement.frame_height / height] * 2)
    boxes = (wanted.boxes - np.array([placement.left, placement.top] * 2)) * scale

    assert found.classes.tolist() == table[order].tolist()
    np.testing.assert_allclose(found.scores, wanted.scores[order], atol=1e-4)
    np.testing.assert_allclose(found.boxes, boxes[order], atol=2e-3 * scale.max())


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"centernet"}))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_where_in_the_output_a_thing_is_written_changes_nothing(head: str, data: st.DataObject) -> None:
    placement = Placement(640, 480, SIDE, SIDE)
    first = data.draw(things(placement))
    slots = np.array(data.draw(st.permutations(range(64)))[: len(first.slots)], int)
    second = Things(first.boxes, first.scores, first.channels, slots)
    parameters = HeadParameters(CLASSES, anchors=ANCHORS if head == "ssd" else None)
    left, right = (HEADS[head](parameters).decode(ENCODERS[head](each), 0, placement, 0.2) for each in (first, second))

    assert left.classes.tolist() == right.classes.tolist()
    np.testing.assert_allclose(left.scores, right.scores, atol=1e-4)
    np.testing.assert_allclose(left.boxes, right.boxes, atol=0.05)
