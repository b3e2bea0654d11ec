"""TensorFlow.js graph models to ONNX, for the handful of operators that the catalogue's models use.

The graph is rewritten on the way, never approximated: channels first, hard swish and hard sigmoid as single
operators, and the first convolution folded with the conversion from YCbCr, so that the network reads the planes
of a decoded frame as they are. Only the classes that a card allows are left in the output.
The same input gives the same bytes, so the digest of the result can be pinned.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPSET: Final = 17
IR_VERSION: Final = 8

RGB_FROM_YCBCR: Final = np.array(
    [[1.164384, 0.0, 1.596027], [1.164384, -0.391762, -0.812968], [1.164384, 2.017232, 0.0]], dtype=np.float64
)
"""BT.601, limited range (ITU-R BT.601-7, section 2.5), applied to (Y - 16, Cb - 128, Cr - 128); rows are R, G, B."""
YCBCR_OFFSET: Final = np.array([16.0, 128.0, 128.0], dtype=np.float32)

_SWISH_SHIFT: Final = 3.0
"""Hard swish is x * relu6(x + 3) / 6 (Howard et al.: Searching for MobileNetV3, 2019, section 5.2)."""
_HALF_PRECISION: Final = 1e-3
"""The source stores its constants as float16, so a sixth is not quite a sixth."""

Floats = npt.NDArray[np.float32]


class UnsupportedGraphError(Exception):
    """The graph holds something that this converter does not know."""


@dataclass(frozen=True)
class GraphCut:
    """Which part of a graph to keep.

    Attributes:
        image: name of the input placeholder, RGB 0..255, channels last.
        outputs: new output name -> tensor of the source graph.
        class_output: the new output whose channels are classes.
        class_indices: channels of that output to keep, in the new order.
    """

    image: str
    outputs: Mapping[str, str]
    class_output: str
    class_indices: tuple[int, ...]


@dataclass(frozen=True)
class _Node:
    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integers(self, name: str) -> list[int]:
        return [int(value) for value in self.attributes.get(name, {}).get("list", {}).get("i", [])]

    def fused(self) -> list[str]:
        encoded = self.attributes.get("fused_ops", {}).get("list", {}).get("s", [])
        return [base64.b64decode(value).decode() for value in encoded]


def read_weights(manifest: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The constants of a graph model, in the shape and order of the source (channels last).

    Raises:
        UnsupportedGraphError: an unknown element type, or `data` is shorter or longer than the manifest says.
    """
    types = {"float32": np.float32, "float16": np.float16, "int32": np.int32}
    weights: dict[str, npt.NDArray[Any]] = {}
    offset = 0
    for entry in (weight for group in manifest for weight in group["weights"]):
        stored = types.get(entry.get("quantization", {}).get("dtype", entry["dtype"]))
        if stored is None:
            raise UnsupportedGraphError(f"weight {entry['name']} has an unknown type")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        size = count * np.dtype(stored).itemsize
        if offset + size > len(data):
            raise UnsupportedGraphError("the weights are shorter than their manifest says")
        values = np.frombuffer(data, dtype=stored, count=count, offset=offset).reshape(entry["shape"])
        weights[entry["name"]] = values.astype(types[entry["dtype"]])
        offset += size
    if offset != len(data):
        raise UnsupportedGraphError("the weights are longer than their manifest says")
    return weights


def convert(model_json: bytes, weights: bytes, cut: GraphCut) -> bytes:
    """The ONNX file for a TensorFlow.js graph model.

    The result has one input `image` (uint8, N x 3 x H x W: Y, Cb, Cr at full size, H and W multiples of 32)
    and one float32 output N x C x H/stride x W/stride per entry of `cut.outputs`.

    Raises:
        UnsupportedGraphError: an operator, padding or weight type that is not supported.
    """
    document = json.loads(model_json)
    nodes = {
        node["name"]: _Node(node["name"], node["op"], tuple(node.get("input", ())), node.get("attr", {}))
        for node in document["modelTopology"]["node"]
    }
    converter = _Converter(nodes, read_weights(document["weightsManifest"], weights), cut)
    return converter.run()


def _is_sixth(value: float | None) -> bool:
    return value is not None and abs(value - 1 / 6) < _HALF_PRECISION


def _from_ycbcr(kernel: Floats) -> Floats:
    """A kernel over R, G, B (O x 3 x h x w) as the same kernel over Y, Cb, Cr."""
    # Written out, since a library's product may round differently on another processor and change the digest.
    red, green, blue = (kernel[:, [channel]].astype(np.float64) for channel in range(3))
    planes = [red * row[0] + green * row[1] + blue * row[2] for row in RGB_FROM_YCBCR.T]
    return np.concatenate(planes, axis=1).astype(np.float32)


class _Converter:
    """Walks the source graph from its outputs and writes ONNX nodes in that order."""

    def __init__(self, nodes: Mapping[str, _Node], weights: Mapping[str, npt.NDArray[Any]], cut: GraphCut) -> None:
        self._nodes = nodes
        self._weights = weights
        self._cut = cut
        self._written: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._tensors: dict[str, str] = {}

    def run(self) -> bytes:
        self._write("Cast", ["image"], "image_float", to=TensorProto.FLOAT)
        offset = self._constant("ycbcr_offset", YCBCR_OFFSET.reshape(1, 3, 1, 1))
        self._tensors[self._cut.image] = self._write("Sub", ["image_float", offset], "ycbcr")
        for name, source in self._cut.outputs.items():
            self._write("Identity", [self._tensor(source)], name)
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, "height", "width"])
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", None, None, None])
            for name in self._cut.outputs
        ]
        graph = helper.make_graph(self._written, "detector", [image], outputs, initializer=self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "argo", ""
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)

    def _tensor(self, name: str) -> str:
        if name not in self._tensors:
            node = self._nodes[name]
            handler = getattr(self, f"_on_{node.op.lstrip('_').lower()}", None)
            if handler is None:
                raise UnsupportedGraphError(f"operator {node.op} of {name} is not supported")
            self._tensors[name] = handler(node)
        return self._tensors[name]

    def _write(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._written.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def _constant(self, name: str, values: npt.NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _scalar(self, name: str) -> float | None:
        values = self._weights.get(name)
        return float(values.reshape(())) if values is not None and values.size == 1 else None

    # Convolutions ---------------------------------------------------------------------------------------------

    def _on_conv2d(self, node: _Node) -> str:
        kernel = self._weights[node.inputs[1]].transpose(3, 2, 0, 1)
        if node.inputs[0] == self._cut.image:
            kernel = _from_ycbcr(kernel)
        return self._convolution(node, kernel, groups=1)

    def _on_depthwiseconv2dnative(self, node: _Node) -> str:
        kernel = self._weights[node.inputs[1]].transpose(2, 3, 0, 1)
        return self._convolution(node, kernel, groups=int(kernel.shape[0]))

    _on_fusedconv2d = _on_conv2d
    _on_fuseddepthwiseconv2dnative = _on_depthwiseconv2dnative

    def _convolution(self, node: _Node, kernel: Floats, *, groups: int) -> str:
        fused = node.fused()
        bias = self._weights[node.inputs[2]] if "BiasAdd" in fused else None
        if node.name == self._class_layer():
            kernel = kernel[list(self._cut.class_indices)]
            bias = None if bias is None else bias[list(self._cut.class_indices)]
        inputs = [self._tensor(node.inputs[0]), self._constant(f"{node.name}/kernel", kernel)]
        if bias is not None:
            inputs.append(self._constant(f"{node.name}/bias", bias))
        valid = base64.b64decode(node.attributes["padding"]["s"]) == b"VALID"
        result = self._write(
            "Conv",
            inputs,
            node.name,
            group=groups,
            kernel_shape=list(kernel.shape[2:]),
            strides=node.integers("strides")[1:3],
            # TensorFlow's SAME puts the odd pixel at the end, for every size that the stride divides.
            auto_pad="VALID" if valid else "SAME_UPPER",
        )
        return self._write("Relu", [result], f"{node.name}/relu") if "Relu" in fused else result

    def _class_layer(self) -> str:
        name = self._cut.outputs[self._cut.class_output]
        while "Conv2D" not in self._nodes[name].op:
            name = next(source for source in self._nodes[name].inputs if source not in self._weights)
        return name

    # Element by element ---------------------------------------------------------------------------------------

    def _on_mul(self, node: _Node) -> str:
        left, right = node.inputs
        for scale, other in ((left, right), (right, left)):
            gated = self._hard_sigmoid_source(other)
            sixth = self._scalar(scale)
            if gated is not None and _is_sixth(sixth):
                return self._write("HardSigmoid", [self._tensor(gated)], node.name, alpha=1 / 6, beta=0.5)
            if gated is not None and self._is_sixth_of(scale, gated):
                source = self._tensor(gated)
                gate = self._write("HardSigmoid", [source], f"{node.name}/gate", alpha=1 / 6, beta=0.5)
                return self._write("Mul", [source, gate], node.name)
        return self._binary("Mul", node)

    def _hard_sigmoid_source(self, name: str) -> str | None:
        """The tensor x where `name` is relu6(x + 3)."""
        node = self._nodes[name]
        added = self._nodes[node.inputs[0]] if node.op == "Relu6" else None
        if added is None or added.op != "Add" or self._scalar(added.inputs[1]) != _SWISH_SHIFT:
            return None
        return added.inputs[0]

    def _is_sixth_of(self, name: str, source: str) -> bool:
        node = self._nodes[name]
        if node.op != "Mul" or source not in node.inputs:
            return False
        scale = self._scalar(node.inputs[0] if node.inputs[1] == source else node.inputs[1])
        return _is_sixth(scale)

    def _binary(self, operator: str, node: _Node) -> str:
        inputs = []
        for name in node.inputs:
            scalar = self._scalar(name)
            constant = None if scalar is None else np.array(scalar, dtype=np.float32)
            inputs.append(self._tensor(name) if constant is None else self._constant(f"{node.name}/scalar", constant))
        return self._write(operator, inputs, node.name)

    def _on_add(self, node: _Node) -> str:
        return self._binary("Add", node)

    def _on_relu(self, node: _Node) -> str:
        return self._write("Relu", [self._tensor(node.inputs[0])], node.name)

    def _on_sigmoid(self, node: _Node) -> str:
        return self._write("Sigmoid", [self._tensor(node.inputs[0])], node.name)

    def _on_identity(self, node: _Node) -> str:
        return self._tensor(node.inputs[0])

    # Shapes ---------------------------------------------------------------------------------------------------

    def _on_mean(self, node: _Node) -> str:
        if sorted(self._weights[node.inputs[1]].tolist()) != [1, 2]:
            raise UnsupportedGraphError(f"{node.name} averages over other axes than height and width")
        return self._write("GlobalAveragePool", [self._tensor(node.inputs[0])], node.name)

    def _on_concatv2(self, node: _Node) -> str:
        return self._write("Concat", [self._tensor(name) for name in node.inputs[:-1]], node.name, axis=1)

    def _on_resizebilinear(self, node: _Node) -> str:
        # The source names a target size; all of these double their input, which holds for any size.
        scales = self._constant(f"{node.name}/scales", np.array([1.0, 1.0, 2.0, 2.0], dtype=np.float32))
        return self._write(
            "Resize",
            [self._tensor(node.inputs[0]), "", scales],
            node.name,
            mode="linear",
            coordinate_transformation_mode="asymmetric",
        )
