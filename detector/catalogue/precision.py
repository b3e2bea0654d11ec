"""A float32 network as a float16 one: half the memory traffic, for devices that compute in half precision.

The outputs stay float32. The same input gives the same bytes, so the digest of the result can be pinned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable

_FLOAT32_INPUTS: Final = {"Resize": (1, 2)}
"""Inputs (region of interest, scales) that ONNX defines as float32 whatever the picture is."""
_LARGEST: Final = float(np.finfo(np.float16).max)


def to_half(data: bytes) -> bytes:
    """The network with weights and arithmetic in float16.

    Args:
        data: an ONNX file whose input is uint8 and whose outputs are float32.

    Raises:
        ValueError: an input or output is of another type, or a weight is too large for float16.
    """
    model = onnx.load_model_from_string(data)
    graph = model.graph
    _require(graph.input, TensorProto.UINT8)
    _require(graph.output, TensorProto.FLOAT)
    kept = {
        node.input[index]
        for node in graph.node
        for index in _FLOAT32_INPUTS.get(node.op_type, ())
        if index < len(node.input)
    }
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(numpy_helper.from_array(_halved(tensor), tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    _widen_outputs(graph)
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _require(values: Iterable[onnx.ValueInfoProto], kind: int) -> None:
    for value in values:
        if value.type.tensor_type.elem_type != kind:
            raise ValueError(f"{value.name} is not {TensorProto.DataType.Name(kind)}")


def _halved(tensor: onnx.TensorProto) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    values = numpy_helper.to_array(tensor)
    if np.abs(values).max(initial=0.0) > _LARGEST:
        raise ValueError(f"{tensor.name} holds values that float16 cannot")
    return values.astype(np.float16)


def _widen_outputs(graph: onnx.GraphProto) -> None:
    names = {output.name: f"{output.name}/half" for output in graph.output}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    graph.node.extend(
        helper.make_node("Cast", [half], [name], name=f"{name}/widened", to=TensorProto.FLOAT)
        for name, half in names.items()
    )
