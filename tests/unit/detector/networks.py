"""Tiny ONNX networks whose outputs are constants, and cards for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]
CARD = """
name = "{name}"
summary = "made in a test"
licence = "EUPL-1.2"
source = {{ client = "none", origin = "the city" }}

[input]
layout = "nchw"
width = 64
height = 64
colour = "rgb"
fitting = "letterbox-centre"
padding = 114

[output]
head = "{head}"
class_scores = 4
classes = {{ person = 1, animal = [2, 3] }}
{more}

[thresholds]
masking = 0.1
tracking = 0.3
events = {events}

[file]
name = "{name}.onnx"
sha256 = "{digest}"
"""
PICTURE = {"image": (TensorProto.FLOAT, ("batch", 3, 64, 64))}


def put(
    directory: Path, data: bytes, head: str = "yolov8", more: str = "", *, name: str = "own", events: float = 0.5
) -> str:
    """A network and its card in a model directory; the digest."""
    digest = hashlib.sha256(data).hexdigest()
    text = CARD.format(name=name, head=head, more=more, events=events, digest=digest)
    (directory / f"{name}.onnx").write_bytes(data)
    (directory / f"{name}.toml").write_text(text)
    return digest


def one_person(score: float, left: float = 24.0) -> bytes:
    """A network with the head yolov8 that sees the same person in every picture of 64 x 64, 16 pixels wide, 8 high."""
    predictions = np.zeros((1, 8, 84), np.float32)
    predictions[0, :, 5] = (left + 8, 32, 16, 8, 0, score, 0, 0)
    return constant_network({"predictions": predictions})


def constant_network(
    outputs: Mapping[str, np.ndarray[Any, Any]],
    inputs: Mapping[str, tuple[int, Shape]] = PICTURE,
) -> bytes:
    """A network that says the same of every picture.

    Args:
        outputs: name -> what it gives.
        inputs: name -> element type and shape.
    """
    nodes = [helper.make_node("Identity", [f"{name}/constant"], [name]) for name in outputs]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in outputs.items()
        ],
        [numpy_helper.from_array(value, f"{name}/constant") for name, value in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def network_of_open_shape(name: str, values: np.ndarray[Any, Any]) -> bytes:
    """A network whose output has a second axis that only a run tells: as many rows of `values` as there are."""
    constants = {"values": values, "rows": np.array(values.shape[1], np.float32), "nought": np.array(0, np.float32)}
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "nought"], ["zero"]),
        helper.make_node("Add", ["zero", "rows"], ["limit"]),
        helper.make_node("Range", ["nought", "limit", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["indices"], to=TensorProto.INT64),
        helper.make_node("Gather", ["values", "indices"], [name], axis=1),
    ]
    constants["one"] = np.array(1, np.float32)
    kind, shape = PICTURE["image"]
    graph = helper.make_graph(
        nodes,
        "open",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * values.ndim)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def run(outputs: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """What onnxruntime gives for such a network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(constant_network(outputs, {}), options, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(list(outputs), {}), strict=True))


def weighing_network(batch: int | str = "batch") -> bytes:
    """uint8 pictures -> for every pixel a sum of its channels (`sum`) and the half of that (`half`), both float32."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "kernel"], ["sum"], kernel_shape=[1, 1]),
        helper.make_node("Mul", ["sum", "factor"], ["half"]),
    ]
    graph = helper.make_graph(
        nodes,
        "weighing",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, 3, "height", "width"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 1, "height", "width"])
            for name in ("sum", "half")
        ],
        [
            numpy_helper.from_array(np.array([1, 2, 3], np.float32).reshape(1, 3, 1, 1), "kernel"),
            numpy_helper.from_array(np.array(0.5, np.float32), "factor"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
