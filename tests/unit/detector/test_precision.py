from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.catalogue.precision import to_half


def network(weight: float = 0.01, kind: int = TensorProto.UINT8) -> bytes:
    """uint8 picture -> convolution -> twice the size -> sigmoid."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "kernel"], ["map"], kernel_shape=[1, 1]),
        helper.make_node("Resize", ["map", "", "scales"], ["large"], mode="nearest"),
        helper.make_node("Sigmoid", ["large"], ["score"]),
        helper.make_node("Identity", ["score"], ["copy"]),
    ]
    kernel = np.array([weight, -weight, 0.0], np.float32).reshape(1, 3, 1, 1)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kind, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("score", "copy")],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        ],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


def run(data: bytes, image: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return list(session.run(["score", "copy"], {"image": image}))


def test_half_precision_says_nearly_the_same_in_float32() -> None:
    image = np.random.default_rng(3).integers(0, 256, (2, 3, 4, 6), dtype=np.uint8)
    whole, half = run(network(), image), run(to_half(network()), image)

    for expected, found in zip(whole, half, strict=True):
        assert found.dtype == np.float32
        assert found.shape == (2, 1, 8, 12)
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert not np.array_equal(found, expected)


def test_weights_are_half_as_large_and_what_onnx_wants_whole_stays_whole() -> None:
    model = onnx.load_model_from_string(to_half(network()))

    assert {tensor.name: tensor.data_type for tensor in model.graph.initializer} == {
        "kernel": TensorProto.FLOAT16,
        "scales": TensorProto.FLOAT,
    }


def test_the_same_network_gives_the_same_bytes() -> None:
    assert to_half(network()) == to_half(network())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (network(weight=1e5), "kernel holds values that float16 cannot"),
        (network(kind=TensorProto.FLOAT), "image is not UINT8"),
    ],
)
def test_what_half_precision_cannot_hold_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_half(data)
