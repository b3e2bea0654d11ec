"""A float32 network with its convolutions in int8, for devices that multiply bytes (VNNI, tensor cores).

Each convolution reads and gives uint8 (one scale and zero point per tensor) and multiplies with int8 weights (one scale
per output channel), as Jacob et al. have it (Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, 2018), written as QuantizeLinear and DequantizeLinear around it. The ranges of
the tensors come from a file and not from a run, which would round differently on another processor: the same input
gives the same bytes, so the digest of the result can be pinned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Ranges = Mapping[str, tuple[float, float]]
"""Tensor -> its lowest and highest value."""

_LEVELS: Final = 255
_WEIGHT_LEVELS: Final = 63
"""Weights take seven bits of the eight: without VNNI, processors add two products in 16 bits, which would saturate."""
_DIGITS: Final = 5
"""Significant digits of a range in its file; finer ones are noise of the pictures."""


def read_ranges(text: str) -> Ranges:
    """Ranges from their file.

    Raises:
        ValueError: it is not one.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("ranges are an object of tensors")  # noqa: TRY004 - of the file, not of an argument
    return {str(name): (float(low), float(high)) for name, (low, high) in found.items()}


def write_ranges(ranges: Ranges) -> str:
    """The file of these ranges."""
    rounded = {name: [float(f"{value:.{_DIGITS}g}") for value in pair] for name, pair in ranges.items()}
    return json.dumps(rounded, indent=0) + "\n"


def to_int8(data: bytes, ranges: Ranges) -> bytes:
    """The network with every convolution in int8 whose input and output have a range.

    Args:
        data: an ONNX file, float32 inside.
        ranges: see calibrate.

    Raises:
        ValueError: no convolution has ranges.
    """
    model = onnx.load_model_from_string(data)
    writer = _Writer(model.graph, ranges)
    for node in list(model.graph.node):
        writer.write(node)
    if not writer.converted:
        raise ValueError("the ranges are those of another network")
    del model.graph.node[:]
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend(writer.constants)
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def calibrate(data: bytes, batches: Iterable[npt.NDArray[Any]], skip: Iterable[str] = ()) -> Ranges:
    """What the inputs and outputs of the convolutions hold over some pictures.

    Args:
        data: an ONNX file, float32 inside.
        batches: for its one input.
        skip: parts of names of convolutions that stay float32.
    """
    model = onnx.load_model_from_string(data)
    skipped = tuple(skip)
    convolutions = [
        node for node in model.graph.node if node.op_type == "Conv" and not any(part in node.name for part in skipped)
    ]
    names = list(dict.fromkeys(name for node in convolutions for name in (node.input[0], node.output[0])))
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for batch in batches:
        values = session.run(names, {session.get_inputs()[0].name: batch})
        low = np.minimum(low, [value.min() for value in values])
        high = np.maximum(high, [value.max() for value in values])
    return {name: (float(low[index]), float(high[index])) for index, name in enumerate(names)}


class _Writer:
    """Writes the nodes of a graph anew, convolutions between quantised tensors."""

    def __init__(self, graph: onnx.GraphProto, ranges: Ranges) -> None:
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._ranges = ranges
        self._rounded: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.converted = 0

    def write(self, node: onnx.NodeProto) -> None:
        """The next node of the graph, in its order."""
        if node.op_type != "Conv" or not {node.input[0], node.output[0]} <= set(self._ranges):
            self.nodes.append(node)
            return
        source, weights, made = node.input[0], node.input[1], node.output[0]
        if source not in self._rounded:
            self._round(source, source, f"{source}/rounded")
            self._rounded.add(source)
        self._write_weights(weights)
        node.input[0], node.input[1] = f"{source}/rounded", f"{weights}/rounded"
        node.output[0] = f"{made}/exact"
        self.nodes.append(node)
        self._round(made, f"{made}/exact", made)
        self.converted += 1

    def _round(self, tensor: str, source: str, target: str) -> None:
        """Quantise a tensor and read it back; between two of these onnxruntime computes in int8."""
        low, high = (np.float32(value) for value in self._ranges[tensor])
        scale = max((high - low) / np.float32(_LEVELS), np.finfo(np.float32).tiny)
        parts = [f"{target}/scale", f"{target}/zero"]
        zero = np.clip(np.rint(-low / scale), 0, _LEVELS).astype(np.uint8)
        self.constants.append(numpy_helper.from_array(np.array(scale, np.float32), parts[0]))
        self.constants.append(numpy_helper.from_array(zero, parts[1]))
        self._add("QuantizeLinear", [source, *parts], f"{target}/bytes")
        self._add("DequantizeLinear", [f"{target}/bytes", *parts], target)

    def _write_weights(self, name: str) -> None:
        tensor = self._weights[name]
        values = numpy_helper.to_array(tensor)
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)))
        scale = np.maximum(largest / np.float32(_WEIGHT_LEVELS), np.finfo(np.float32).tiny).astype(np.float32)
        rounded = np.rint(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
        tensor.CopyFrom(numpy_helper.from_array(rounded, name))
        self.constants.append(numpy_helper.from_array(scale, f"{name}/scale"))
        self.constants.append(numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{name}/zero"))
        self._add("DequantizeLinear", [name, f"{name}/scale", f"{name}/zero"], f"{name}/rounded", axis=0)

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{output}/{operator}", **attributes))
