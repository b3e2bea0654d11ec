from __future__ import annotations

from collections import Counter
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.catalogue import __main__ as command
from detector.catalogue import cards, store
from detector.catalogue.cards import DEFAULT_MODEL
from detector.catalogue.errors import BadCardError, CatalogueError
from detector.catalogue.quantisation import calibrate, read_ranges, to_int8, write_ranges


def network() -> bytes:
    """uint8 picture -> two convolutions with a rectifier between them."""
    random = np.random.default_rng(5)
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "first/kernel", "first/bias"], ["first"], name="first", pads=[1] * 4),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Conv", ["positive", "second/kernel"], ["second"], name="second"),
    ]
    weights = {
        "first/kernel": random.normal(0, 0.01, (8, 3, 3, 3)),
        "first/bias": random.normal(0, 1, 8),
        "second/kernel": random.normal(0, 0.5, (2, 8, 1, 1)),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("second", TensorProto.FLOAT, ["batch", 2, "height", "width"])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def picture() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (1, 3, 16, 24), dtype=np.uint8)


def run(data: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(["second"], {"image": picture()})
    return np.asarray(found)


def test_int8_says_nearly_the_same() -> None:
    data = network()
    whole, rounded = run(data), run(to_int8(data, calibrate(data, [picture()])))

    assert rounded.dtype == np.float32
    assert not np.array_equal(rounded, whole)
    np.testing.assert_allclose(rounded, whole, atol=0.03 * np.ptp(whole))


def test_weights_are_bytes_of_seven_bits_and_biases_stay_as_they_are() -> None:
    data = network()
    model = onnx.load_model_from_string(to_int8(data, calibrate(data, [picture()])))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    for name in ("first/kernel", "second/kernel"):
        assert weights[name].dtype == np.int8
        assert np.abs(weights[name]).max() == 63
    assert weights["first/bias"].dtype == np.float32
    assert Counter(node.op_type for node in model.graph.node)["QuantizeLinear"] == 4


def test_what_is_to_stay_float32_stays() -> None:
    data = network()
    ranges = calibrate(data, [picture()], skip=["first"])
    model = onnx.load_model_from_string(to_int8(data, ranges))

    assert set(ranges) == {"positive", "second"}
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["first/kernel"] == TensorProto.FLOAT
    assert kinds["second/kernel"] == TensorProto.INT8


def test_the_same_network_and_ranges_give_the_same_bytes() -> None:
    data = network()
    text = write_ranges(calibrate(data, [picture()]))

    assert write_ranges(read_ranges(text)) == text
    assert to_int8(data, read_ranges(text)) == to_int8(data, read_ranges(text))


def test_a_range_always_holds_zero() -> None:
    ranges = calibrate(network(), [picture()])

    assert all(low <= 0.0 <= high for low, high in ranges.values())


@pytest.mark.parametrize("text", ["[]", "{", '{"first": [0]}', '{"first": "ab"}'])
def test_what_is_no_file_of_ranges_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_ranges(text)


def test_ranges_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="another network"):
        to_int8(network(), {"elsewhere": (0.0, 1.0)})


@pytest.mark.parametrize(("before", "after"), [('precision = "int8"\n', ""), ("ranges =", "# ranges =")])
def test_a_card_says_both_that_it_is_int8_and_which_ranges_or_neither(before: str, after: str) -> None:
    folder = resources.files("detector.catalogue") / "cards"
    text = (folder / f"{DEFAULT_MODEL}-int8.toml").read_text(encoding="utf-8")
    assert before in text

    with pytest.raises(BadCardError, match="int8 needs its ranges"):
        cards.read_card(text.replace(before, after))


def test_a_file_of_ranges_that_is_not_there_is_said() -> None:
    with pytest.raises(BadCardError, match="not beside the cards"):
        cards.read_ranges_file("nowhere.json")


@pytest.mark.models
def test_ranges_come_from_a_folder_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = Path(__file__).parents[3] / "models"
    try:
        store.read_model(cards.find_card(DEFAULT_MODEL), models)
    except CatalogueError as error:
        pytest.skip(str(error))
    grey = np.random.default_rng(1).integers(0, 256, (97, 129, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), grey)
    (tmp_path / "notes.txt").write_text("not a picture")
    arguments = ["calibrate", DEFAULT_MODEL, "--directory", str(models), "--pictures", str(tmp_path)]
    status = command.main([*arguments, "--float32", "expanded_conv"])
    ranges = read_ranges(capsys.readouterr().out)

    assert status == 0
    assert ranges
    assert not any("expanded_conv" in name and name.endswith("depthwise") for name in ranges)


def test_a_folder_without_pictures_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["calibrate", DEFAULT_MODEL])

    assert "--pictures" in capsys.readouterr().err
