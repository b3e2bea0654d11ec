"""Tiny ONNX networks whose outputs are constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]
PICTURE = {"image": (TensorProto.FLOAT, ("batch", 3, 64, 64))}


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
