"""The converter on small graphs whose values are worked out by hand or with numpy."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import onnxruntime
import pytest

from detector.catalogue import tfjs


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def convolution(
    name: str, source: str, kernel: str, bias: str, *, fused: tuple[str, ...], op: str = "_FusedConv2D", stride: int = 1
) -> dict[str, Any]:
    return {
        "name": name,
        "op": op,
        "input": [source, kernel, bias],
        "attr": {
            "padding": {"s": text("SAME")},
            "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
            "fused_ops": {"list": {"s": [text(part) for part in fused]}},
        },
    }


def node(name: str, op: str, *inputs: str) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": {}}


class Graph:
    """A TensorFlow.js graph model under construction."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = [node("images", "Placeholder")]
        self.manifest: list[dict[str, Any]] = []
        self.data = b""

    def weight(self, name: str, values: Any, dtype: str = "float32") -> str:
        array = np.asarray(values, dtype=dtype)
        self.nodes.append(node(name, "Const"))
        self.manifest.append({"name": name, "shape": list(array.shape), "dtype": dtype})
        self.data += array.tobytes()
        return name

    def convert(self, output: str, indices: tuple[int, ...]) -> bytes:
        document = {"modelTopology": {"node": self.nodes}, "weightsManifest": [{"weights": self.manifest}]}
        cut = tfjs.GraphCut("images", {"heat": output}, "heat", indices)
        return tfjs.convert(json.dumps(document).encode(), self.data, cut)

    def run(self, output: str, image: np.ndarray, indices: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
        session = onnxruntime.InferenceSession(self.convert(output, indices), providers=["CPUExecutionProvider"])
        (values,) = session.run(["heat"], {"image": image})
        return np.asarray(values)


@pytest.fixture
def graph() -> Graph:
    """Looks at each pixel's red, green and blue as they are."""
    made = Graph()
    made.weight("kernel", np.eye(3).reshape(1, 1, 3, 3))
    made.weight("bias", [0.0, 0.0, 0.0])
    made.nodes.append(convolution("colours", "images", "kernel", "bias", fused=("BiasAdd",)))
    return made


def picture(y: int, cb: int, cr: int) -> np.ndarray:
    return np.broadcast_to(np.array([y, cb, cr], np.uint8).reshape(1, 3, 1, 1), (1, 3, 32, 32)).copy()


@pytest.mark.parametrize(
    ("ycbcr", "rgb"),
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((81, 90, 240), (254, 0, 0)),
        ((41, 240, 110), (0, 0, 255)),
    ],
)
def test_the_first_layer_sees_the_colours_of_bt601(
    graph: Graph, ycbcr: tuple[int, int, int], rgb: tuple[int, int, int]
) -> None:
    found = graph.run("colours", picture(*ycbcr))

    np.testing.assert_allclose(found[0, :, 5, 5], rgb, atol=2.0)


def test_only_the_allowed_classes_are_left(graph: Graph) -> None:
    found = graph.run("colours", picture(81, 90, 240), (2, 0))

    assert found.shape == (1, 2, 32, 32)
    np.testing.assert_allclose(found[0, :, 0, 0], [0.0, 254.0], atol=2.0)


def test_a_strided_convolution_pads_at_the_end(graph: Graph) -> None:
    graph.weight("sum", np.ones((3, 3, 3, 1)) / 255)
    graph.weight("none", [0.0])
    graph.nodes.append(convolution("strided", "colours", "sum", "none", fused=("BiasAdd", "Relu"), stride=2))
    found = graph.run("strided", picture(235, 128, 128), (0,))

    assert found.shape == (1, 1, 16, 16)
    np.testing.assert_allclose(found[0, 0, [0, 0, 15, 15], [0, 15, 0, 15]], [27, 18, 18, 12], rtol=0.01)


def test_hard_swish_and_hard_sigmoid_keep_their_values(graph: Graph) -> None:
    graph.weight("three", 3.0)
    graph.weight("sixth", 0.16667)
    graph.weight("small", np.eye(3).reshape(1, 1, 3, 3) / 51)
    graph.weight("shift", [-2.0, -5.0, 1.0])
    graph.nodes += [
        convolution("x", "colours", "small", "shift", fused=("BiasAdd",)),
        node("x+3", "Add", "x", "three"),
        node("relu6", "Relu6", "x+3"),
        node("x/6", "Mul", "sixth", "x"),
        node("swish", "Mul", "x/6", "relu6"),
        node("gate", "Mul", "sixth", "relu6"),
        node("product", "Mul", "swish", "gate"),
    ]
    x = graph.run("x", picture(150, 100, 160))[0, :, 9, 9]
    found = graph.run("product", picture(150, 100, 160))[0, :, 9, 9]
    gate = np.clip(x + 3, 0, 6) / 6

    np.testing.assert_allclose(found, x * gate * gate, rtol=1e-3, atol=1e-4)


def test_pooling_joining_and_doubling(graph: Graph) -> None:
    graph.weight("spatial", [1, 2], dtype="int32")
    graph.weight("axis", 3, dtype="int32")
    graph.weight("target", [64, 64], dtype="int32")
    graph.weight("each", np.ones((1, 1, 3, 1)))
    graph.nodes += [
        convolution("kept", "colours", "each", "bias", fused=("BiasAdd",), op="FusedDepthwiseConv2dNative"),
        node("mean", "Mean", "kept", "spatial"),
        node("scaled", "Mul", "kept", "mean"),
        node("joined", "ConcatV2", "scaled", "kept", "axis"),
        node("doubled", "ResizeBilinear", "joined", "target"),
    ]
    session = onnxruntime.InferenceSession(graph.convert("doubled", (0, 1, 2)), providers=["CPUExecutionProvider"])
    (found,) = session.run(["heat"], {"image": picture(235, 128, 128)})

    assert np.asarray(found).shape == (1, 6, 64, 64)
    np.testing.assert_allclose(np.asarray(found)[0, :, 7, 7], [255.0**2] * 3 + [255.0] * 3, rtol=1e-3)


def test_the_same_input_gives_the_same_bytes(graph: Graph) -> None:
    assert graph.convert("colours", (0,)) == graph.convert("colours", (0,))


def test_half_precision_weights_are_widened() -> None:
    manifest = [{"weights": [{"name": "w", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}}]}]
    found = tfjs.read_weights(manifest, np.array([0.5, -2.0], np.float16).tobytes())

    assert found["w"].dtype == np.float32
    assert found["w"].tolist() == [0.5, -2.0]


@pytest.mark.parametrize("data", [b"", bytes(3), bytes(5)])
def test_weights_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(tfjs.UnsupportedGraphError):
        tfjs.read_weights([{"weights": [{"name": "w", "shape": [1], "dtype": "float32"}]}], data)


def test_an_unknown_operator_is_refused(graph: Graph) -> None:
    graph.nodes.append(node("odd", "Erf", "colours"))
    with pytest.raises(tfjs.UnsupportedGraphError, match="Erf"):
        graph.convert("odd", (0,))
