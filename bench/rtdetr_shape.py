"""A network with the layers of RT-DETR-R50 and random weights: what it sees is nothing, what it costs is the same.

Zhao et al.: DETRs Beat YOLOs on Real-time Object Detection, CVPR 2024, section 4: a ResNet-50-vd, an encoder of one
attention layer on the smallest map and convolutions across the three, 300 queries, six decoder layers with
deformable attention. Normalisation of convolutions is folded into them, as every export does. The paper says 42 million
parameters and 136 GFLOP at 640 x 640.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

SIDE: Final = 640
CLASSES: Final = 80
QUERIES: Final = 300
WIDTH: Final = 256
HEADS: Final = 8
POINTS: Final = 4
LAYERS: Final = 6
_FEED_FORWARD: Final = 1024
_STAGES: Final = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_MAPS: Final = tuple(SIDE // stride for stride in (8, 16, 32))
_OPSET: Final = 17


def rtdetr_shape(dtype: str = "float32", seed: int = 0) -> bytes:
    """The ONNX file: `image` N x 3 x 640 x 640 in; `logits` N x 300 x 80, `boxes` N x 300 x 4 out; all of `dtype`."""
    graph = _Graph(np.dtype(dtype), seed)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    maps = _encoder(graph, _backbone(graph, "image"))
    logits, boxes = _decoder(graph, maps)
    graph.add("Identity", [logits], output="logits")
    graph.add("Identity", [boxes], output="boxes")
    outputs = [
        helper.make_tensor_value_info(name, kind, ["batch", QUERIES, last])
        for name, last in (("logits", CLASSES), ("boxes", 4))
    ]
    image = helper.make_tensor_value_info("image", kind, ["batch", 3, SIDE, SIDE])
    made = helper.make_graph(graph.nodes, "rtdetr-shape", [image], outputs, initializer=graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Graph:
    """Writes layers with random weights."""

    def __init__(self, dtype: np.dtype[Any], seed: int) -> None:
        self._dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def add(self, operator: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, values: Any, dtype: Any = None) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype or self._dtype), name))
        return name

    def weights(self, *shape: int) -> str:
        fan = math.prod(shape[1:]) if len(shape) > 1 else shape[0]
        return self.constant(self._random.normal(0, 1 / math.sqrt(fan), shape))

    def reshape(self, source: str, *shape: int) -> str:
        return self.add("Reshape", [source, self.constant(shape, np.int64)])

    def conv(self, source: str, sides: tuple[int, int], kernel: int, stride: int = 1, act: str = "Relu") -> str:
        given, made = sides
        inputs = [source, self.weights(made, given, kernel, kernel), self.constant(np.zeros(made))]
        pads = [kernel // 2] * 4
        done = self.add("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)
        if act == "Silu":
            return self.add("Mul", [done, self.add("Sigmoid", [done])])
        return self.add(act, [done]) if act else done

    def linear(self, source: str, given: int, made: int) -> str:
        product = self.add("MatMul", [source, self.weights(given, made)])
        return self.add("Add", [product, self.constant(np.zeros(made))])

    def layers(self, source: str, *widths: int) -> str:
        """Linear layers with rectifiers between them."""
        for position, (given, made) in enumerate(itertools.pairwise(widths)):
            source = self.linear(self.add("Relu", [source]) if position else source, given, made)
        return source

    def normalised_sum(self, left: str, right: str) -> str:
        total = self.add("Add", [left, right])
        scale, shift = self.constant(np.ones(WIDTH)), self.constant(np.zeros(WIDTH))
        return self.add("LayerNormalization", [total, scale, shift], axis=-1)

    def attention(self, tokens: str, count: int) -> str:
        """Self-attention over `count` tokens (N x count x WIDTH), with its residual."""
        part = WIDTH // HEADS

        def heads(order: Sequence[int]) -> str:
            split = self.reshape(self.linear(tokens, WIDTH, WIDTH), 0, count, HEADS, part)
            return self.add("Transpose", [split], perm=list(order))

        scores = self.add("MatMul", [heads((0, 2, 1, 3)), heads((0, 2, 3, 1))])
        shares = self.add("Softmax", [self.add("Mul", [scores, self.constant(1 / math.sqrt(part))])], axis=-1)
        mixed = self.add("Transpose", [self.add("MatMul", [shares, heads((0, 2, 1, 3))])], perm=[0, 2, 1, 3])
        return self.normalised_sum(tokens, self.linear(self.reshape(mixed, 0, count, WIDTH), WIDTH, WIDTH))

    def feed_forward(self, tokens: str) -> str:
        return self.normalised_sum(tokens, self.layers(tokens, WIDTH, _FEED_FORWARD, WIDTH))


def _backbone(graph: _Graph, image: str) -> list[str]:
    """The maps of strides 8, 16 and 32: 512, 1024 and 2048 channels."""
    source = graph.conv(image, (3, 32), 3, 2)
    source = graph.conv(graph.conv(source, (32, 32), 3), (32, 64), 3)
    source = graph.add("MaxPool", [source], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    maps, given = [], 64
    for width, blocks, stride in _STAGES:
        for block in range(blocks):
            step = stride if block == 0 else 1
            shortcut = source
            if block == 0:
                # The "vd" variant averages before the shortcut's convolution.
                if step == 2:
                    shortcut = graph.add("AveragePool", [source], kernel_shape=[2, 2], strides=[2, 2])
                shortcut = graph.conv(shortcut, (given, 4 * width), 1, act="")
            inner = graph.conv(graph.conv(source, (given, width), 1), (width, width), 3, step)
            outer = graph.conv(inner, (width, 4 * width), 1, act="")
            source, given = graph.add("Relu", [graph.add("Add", [outer, shortcut])]), 4 * width
        maps.append(source)
    return maps[1:]


def _encoder(graph: _Graph, maps: Sequence[str]) -> list[str]:
    """Three maps of WIDTH channels that know of each other."""
    small, middle, large = (
        graph.conv(source, (channels, WIDTH), 1, act="")
        for source, channels in zip(reversed(maps), (2048, 1024, 512), strict=True)
    )
    side = _MAPS[2]
    tokens = graph.add("Transpose", [graph.reshape(small, 0, WIDTH, side * side)], perm=[0, 2, 1])
    tokens = graph.feed_forward(graph.attention(tokens, side * side))
    small = graph.reshape(graph.add("Transpose", [tokens], perm=[0, 2, 1]), 0, WIDTH, side, side)
    small = graph.conv(small, (WIDTH, WIDTH), 1, act="Silu")
    middle = graph.conv(_fused(graph, _doubled(graph, small), middle), (WIDTH, WIDTH), 1, act="Silu")
    large = _fused(graph, _doubled(graph, middle), large)
    middle = _fused(graph, graph.conv(large, (WIDTH, WIDTH), 3, 2, "Silu"), middle)
    small = _fused(graph, graph.conv(middle, (WIDTH, WIDTH), 3, 2, "Silu"), small)
    return [large, middle, small]


def _doubled(graph: _Graph, source: str) -> str:
    return graph.add("Resize", [source, "", graph.constant([1, 1, 2, 2], np.float32)], mode="nearest")


def _fused(graph: _Graph, left: str, right: str) -> str:
    """Two maps as one: three convolutions beside a shortcut."""
    both = graph.add("Concat", [left, right], axis=1)
    deep = graph.conv(both, (2 * WIDTH, WIDTH), 1, act="Silu")
    for _ in range(3):
        deep = graph.conv(deep, (WIDTH, WIDTH), 3, act="Silu")
    return graph.add("Add", [deep, graph.conv(both, (2 * WIDTH, WIDTH), 1, act="Silu")])


def _decoder(graph: _Graph, maps: Sequence[str]) -> tuple[str, str]:
    """Logits and boxes of the queries, centre, width and height as shares of the picture."""
    flat = [
        graph.add("Transpose", [graph.reshape(graph.conv(source, (WIDTH, WIDTH), 1, act=""), 0, WIDTH, side * side)],
                  perm=[0, 2, 1])
        for source, side in zip(maps, _MAPS, strict=True)
    ]  # fmt: skip
    memory = graph.add("Concat", flat, axis=1)
    queries, points = _best(graph, graph.linear(memory, WIDTH, WIDTH))
    boxes = ""
    for _ in range(LAYERS):
        boxes = graph.add("Sigmoid", [points])
        place = graph.layers(boxes, 4, 2 * WIDTH, WIDTH)
        queries = graph.attention(graph.add("Add", [queries, place]), QUERIES)
        queries = graph.normalised_sum(queries, _deformable(graph, queries, boxes, memory))
        queries = graph.feed_forward(queries)
        points = graph.add("Add", [points, graph.layers(queries, WIDTH, WIDTH, WIDTH, 4)])
    return graph.linear(queries, WIDTH, CLASSES), graph.add("Sigmoid", [points])


def _best(graph: _Graph, memory: str) -> tuple[str, str]:
    """The tokens that look most like objects, and where they are (before the sigmoid)."""
    scores = graph.add("ReduceMax", [graph.linear(memory, WIDTH, CLASSES)], axes=[2], keepdims=0)
    found = [f"{name}_{len(graph.nodes)}" for name in ("best", "places")]
    count = graph.constant([QUERIES], np.int64)
    graph.nodes.append(helper.make_node("TopK", [scores, count], found, axis=1, name=found[0]))
    places = graph.add("Unsqueeze", [found[1], graph.constant([2], np.int64)])
    chosen = []
    for values, width in ((memory, WIDTH), (graph.layers(memory, WIDTH, WIDTH, WIDTH, 4), 4)):
        wide = graph.add("Expand", [places, graph.constant([1, QUERIES, width], np.int64)])
        chosen.append(graph.add("GatherElements", [values, wide], axis=1))
    return chosen[0], chosen[1]


def _deformable(graph: _Graph, queries: str, boxes: str, memory: str) -> str:
    """Each query looks at POINTS places of each map around its box."""
    part, levels = WIDTH // HEADS, len(_MAPS)
    values = graph.linear(memory, WIDTH, WIDTH)
    offsets = graph.reshape(graph.linear(queries, WIDTH, HEADS * levels * POINTS * 2), 0, QUERIES, HEADS, -1, 2)
    shares = graph.reshape(graph.linear(queries, WIDTH, HEADS * levels * POINTS), 0, QUERIES, HEADS, levels * POINTS)
    shares = graph.add("Transpose", [graph.add("Softmax", [shares], axis=-1)], perm=[0, 2, 1, 3])
    centre = graph.reshape(_columns(graph, boxes, 0, 2, axis=2), 0, QUERIES, 1, 1, 2)
    size = graph.reshape(_columns(graph, boxes, 2, 4, axis=2), 0, QUERIES, 1, 1, 2)
    spread = graph.add("Mul", [graph.add("Mul", [offsets, size]), graph.constant(0.5 / POINTS)])
    # GridSample counts from -1 to 1.
    grid = graph.add("Mul", [graph.add("Add", [centre, spread]), graph.constant(2.0)])
    grid = graph.add("Transpose", [graph.add("Sub", [grid, graph.constant(1.0)])], perm=[0, 2, 1, 3, 4])
    sampled, start = [], 0
    for level, side in enumerate(_MAPS):
        tokens = _columns(graph, values, start, start + side * side, axis=1)
        start += side * side
        level_map = graph.reshape(graph.add("Transpose", [tokens], perm=[0, 2, 1]), -1, part, side, side)
        level_grid = _columns(graph, grid, level * POINTS, (level + 1) * POINTS, axis=3)
        level_grid = graph.reshape(level_grid, -1, QUERIES, POINTS, 2)
        sampled.append(graph.add("GridSample", [level_map, level_grid], mode="bilinear", align_corners=0))
    looks = graph.reshape(graph.add("Concat", sampled, axis=3), -1, HEADS, part, QUERIES, levels * POINTS)
    weighed = graph.add("Mul", [looks, graph.reshape(shares, 0, HEADS, 1, QUERIES, levels * POINTS)])
    mixed = graph.add("ReduceSum", [weighed, graph.constant([4], np.int64)], keepdims=0)
    mixed = graph.reshape(graph.add("Transpose", [mixed], perm=[0, 3, 1, 2]), 0, QUERIES, WIDTH)
    return graph.linear(mixed, WIDTH, WIDTH)


def _columns(graph: _Graph, source: str, first: int, end: int, *, axis: int) -> str:
    bounds = [graph.constant([value], np.int64) for value in (first, end, axis)]
    return graph.add("Slice", [source, *bounds])
