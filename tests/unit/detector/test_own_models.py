"""A city's own model: a card and a file in the model directory, from the file to boxes, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto

from detector import model
from detector.catalogue import __main__ as command
from detector.catalogue import cards
from detector.catalogue.errors import BadCardError
from detector.domain.detections import ObjectClass
from detector.domain.heads import HEADS
from detector.domain.preprocessing import Planes
from mesh.errors import StartupError
from tests.unit.detector.networks import CARD, PICTURE, Shape, constant_network, network_of_open_shape, put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANCHORS = "anchors = { maps = [[2, 2], [1, 1]], scales = [0.25, 0.5, 1.0], ratios = [[4.0], []] }"
FRAME = Planes.unpack(128, 64, bytes(128 * 64 * 3 // 2))
"""Twice as wide as high: in the 64 x 64 input it is half as large, with bars of 16 above and below."""
YOLOV8 = {"predictions": np.zeros((1, 8, 84), np.float32)}


def outputs_of(head: str) -> dict[str, np.ndarray[Any, Any]]:
    """One person, score 0.75, centre (32, 32), 16 x 8 network pixels."""
    match head:
        case "centernet":
            heat, box = np.zeros((1, 4, 16, 16), np.float32), np.ones((1, 4, 16, 16), np.float32)
            heat[0, 1, 8, 8], box[0, :, 8, 8] = 0.75, (8, 4, 8, 4)
            return {"heat": heat, "box": box}
        case "yolov8":
            predictions = np.zeros((1, 8, 84), np.float32)
            predictions[0, :, 5] = (32, 32, 16, 8, 0, 0.75, 0, 0)
            return {"predictions": predictions}
        case "yolox":
            predictions = np.zeros((1, 84, 9), np.float32)
            predictions[0, 4 * 8 + 4] = (0, 0, np.log(2), 0, 1.0, 0, 0.75, 0, 0)
            return {"predictions": predictions}
        case "ssd":
            logits, boxes = np.zeros((1, 18, 4), np.float32), np.zeros((1, 18, 4), np.float32)
            logits[..., 0] = 20.0
            logits[0, 0] = np.log([0.25, 0.75, 1e-9, 1e-9])
            boxes[0, 0] = (10, 10, 0, 5 * np.log(0.5))
            return {"logits": logits, "boxes": boxes}
        case _:
            logits = np.full((1, 2, 4), -20, np.float32)
            logits[0, 1, 1] = np.log(3)
            return {"logits": logits, "boxes": np.tile(np.array([0.5, 0.5, 0.25, 0.125], np.float32), (1, 2, 1))}


@pytest.mark.parametrize("head", sorted(HEADS))
async def test_every_head_goes_from_a_card_and_a_file_to_boxes_of_the_frame(head: str, tmp_path: Path) -> None:
    put(tmp_path, constant_network(outputs_of(head)), head, ANCHORS if head == "ssd" else "")
    loaded = model.load("own", tmp_path, threads=1)
    await loaded.warm_up()
    (found,) = await loaded.analyze([FRAME])
    loaded.close()

    assert found.classes.tolist() == [ObjectClass.PERSON]
    np.testing.assert_allclose(found.scores, [0.75], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [[48, 24, 80, 40]], rtol=1e-5)


def test_outputs_may_have_other_names_in_the_file(tmp_path: Path) -> None:
    (values,) = outputs_of("yolov8").values()
    put(tmp_path, constant_network({"output0": values}), more='names = { predictions = "output0" }')
    loaded = model.load("own", tmp_path, threads=1)

    assert len(loaded.look([FRAME])[0]) == 1
    loaded.close()


def test_a_network_of_half_precision_gives_the_same_boxes(tmp_path: Path) -> None:
    halves = {name: values.astype(np.float16) for name, values in outputs_of("yolov8").items()}
    put(tmp_path, constant_network(halves))
    loaded = model.load("own", tmp_path, threads=1)
    (found,) = loaded.look([FRAME])
    loaded.close()

    assert found.boxes.dtype == np.float32
    np.testing.assert_allclose(found.boxes, [[48, 24, 80, 40]])


def test_a_network_for_one_frame_gets_one_at_a_time(tmp_path: Path) -> None:
    single = {"image": (TensorProto.FLOAT, (1, 3, 64, 64))}
    put(tmp_path, constant_network(outputs_of("yolov8"), single))
    loaded = model.load("own", tmp_path, threads=1)

    assert [len(found) for found in loaded.look([FRAME] * 3)] == [1, 1, 1]
    loaded.close()


@pytest.mark.parametrize(
    ("outputs", "inputs", "message"),
    [
        pytest.param(
            YOLOV8 | {"embedding": np.zeros((1, 512), np.float32)},
            PICTURE,
            "gives embedding, predictions; head yolov8 takes predictions and nothing else",
            id="a re-identification vector",
        ),
        pytest.param(
            YOLOV8 | {"keypoints": np.zeros((1, 84, 17, 3), np.float32)}, PICTURE, "gives keypoints", id="keypoints"
        ),
        pytest.param({"embedding": np.zeros((1, 512), np.float32)}, PICTURE, "gives embedding", id="only a vector"),
        pytest.param(
            {"predictions": np.zeros((1, 512), np.float32)},
            PICTURE,
            r"is a tensor\(float\) of 1 x 512; head yolov8 takes floats of \? x 8 x \?",
            id="a vector under another name",
        ),
        pytest.param(
            {"predictions": np.zeros((1, 8 + 51, 84), np.float32)}, PICTURE, "1 x 59 x 84", id="keypoints in the rows"
        ),
        pytest.param(
            {"predictions": np.zeros((1, 8 + 32, 84), np.float32)}, PICTURE, "1 x 40 x 84", id="mask coefficients"
        ),
        pytest.param({"predictions": np.zeros((1, 8, 84), np.int64)}, PICTURE, r"tensor\(int64\)", id="letters"),
        pytest.param(YOLOV8, {}, "has 0 inputs", id="no input"),
        pytest.param(
            YOLOV8, PICTURE | {"gallery": (TensorProto.FLOAT, ("people", 512))}, "has 2 inputs", id="a watch-list"
        ),
        pytest.param(YOLOV8, {"image": (TensorProto.UINT8, (1, 3, 64, 64))}, "the card says float32", id="other type"),
        pytest.param(
            YOLOV8, {"image": (TensorProto.FLOAT, (1, 3, 112, 112))}, r"\? x 3 x 64 x 64", id="a size of faces"
        ),
        pytest.param(
            YOLOV8, {"image": (TensorProto.FLOAT, (4, 3, 64, 64))}, "takes exactly 4 frames", id="fixed batch"
        ),
    ],
)
def test_a_network_that_is_not_what_its_card_says_is_refused(
    tmp_path: Path,
    outputs: Mapping[str, np.ndarray[Any, Any]],
    inputs: Mapping[str, tuple[int, Shape]],
    message: str,
) -> None:
    put(tmp_path, constant_network(outputs, inputs))
    with pytest.raises(StartupError, match=message):
        model.load("own", tmp_path, threads=1)


async def test_what_hides_behind_open_axes_is_refused_at_the_warm_up(tmp_path: Path) -> None:
    put(tmp_path, network_of_open_shape("predictions", np.zeros((1, 59, 84), np.float32)))
    loaded = model.load("own", tmp_path, threads=1)
    with pytest.raises(StartupError, match="1 x 59 x 84"):
        await loaded.warm_up()
    loaded.close()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('head = "yolov8"', 'head = "arcface"', "is not one of"),
        ("person = 1", "face = 1", "not among those"),
        ("animal = [2, 3]", "animal = [1, 3]", "share a channel"),
        ("animal = [2, 3]", "animal = [2, 4]", "channel 4 of 4"),
        ("class_scores = 4\n", "", "class_scores is missing"),
        ('head = "yolov8"', 'head = "ssd"', "needs its anchors"),
        ("class_scores = 4", 'class_scores = 4\nnames = { landmarks = "x" }', "no output landmarks"),
        ("padding = 114", 'dtype = "uint8"\nscale = [0.5, 0.5, 0.5]', "no mean and no scale"),
        ('colour = "rgb"', 'colour = "thermal"', "colour"),
        ('source = { client = "none"', 'source = { client = "curl"', "client"),
        ("[thresholds]", "[conversion]\n[thresholds]", "conversion"),
    ],
)
def test_a_card_that_does_not_hold_together_is_refused(before: str, after: str, message: str) -> None:
    text = CARD.format(name="own", head="yolov8", more="", events=0.5, digest="0" * 64)
    assert before in text
    with pytest.raises(BadCardError, match=message):
        cards.read_card(text.replace(before, after))


def test_two_cards_of_one_name_are_refused(tmp_path: Path) -> None:
    text = CARD.format(name="own", head="yolov8", more="", events=0.5, digest="0" * 64)
    (tmp_path / "own.toml").write_text(text.replace('"own"', f'"{cards.DEFAULT_MODEL}"'))
    with pytest.raises(BadCardError, match="another card of the name"):
        cards.all_cards(tmp_path)


def test_an_own_model_is_listed_verified_and_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, constant_network(YOLOV8))
    # Without npm on the path, anything that is fetched fails.
    monkeypatch.setenv("PATH", str(tmp_path))
    for action in ("list", "verify", "pull"):
        assert command.main([action, "own", "--directory", str(tmp_path)]) == 0
    (tmp_path / "own.onnx").unlink()

    assert command.main(["pull", "own", "--directory", str(tmp_path)]) == 1
    assert "put own.onnx there" in capsys.readouterr().err
