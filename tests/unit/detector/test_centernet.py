"""The decoder on the outputs of a tiny network that is made here."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.domain.detections import ObjectClass
from detector.domain.heads import HeadParameters
from detector.domain.heads.centernet import CenterNetHead
from detector.domain.preprocessing import Placement

CLASSES = (ObjectClass.PERSON, ObjectClass.CAR)
PLACEMENT = Placement(frame_width=128, frame_height=64, network_width=64, network_height=64)


def outputs(
    cells: dict[tuple[int, int, int], float], edges: tuple[float, float, float, float]
) -> dict[str, np.ndarray]:
    """What a real session gives for a graph whose heat map and boxes are constants."""
    heat = np.zeros((1, 2, 16, 16), np.float32)
    for place, score in cells.items():
        heat[(0, *place)] = score
    box = np.broadcast_to(np.array(edges, np.float32).reshape(1, 4, 1, 1), (1, 4, 16, 16)).copy()
    graph = helper.make_graph(
        [helper.make_node("Identity", ["h"], ["heat"]), helper.make_node("Identity", ["b"], ["box"])],
        "tiny",
        [],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("heat", "box")],
        [numpy_helper.from_array(heat, "h"), numpy_helper.from_array(box, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(("heat", "box"), session.run(["heat", "box"], {}), strict=True))


def test_a_peak_becomes_a_box_in_pixels_of_the_frame() -> None:
    found = CenterNetHead(HeadParameters(CLASSES)).decode(outputs({(1, 5, 4): 0.8}, (4, 8, 6, 10)), 0, PLACEMENT, 0.1)

    assert found.classes.tolist() == [ObjectClass.CAR]
    np.testing.assert_allclose(found.scores, [0.8])
    # Cell (row 5, column 4) lies at (16, 20) of the network's 64 x 64; x is stretched by two.
    np.testing.assert_allclose(found.boxes, [[24, 12, 44, 30]])


def test_a_cell_beside_a_higher_one_is_no_peak() -> None:
    found = CenterNetHead(HeadParameters(CLASSES)).decode(
        outputs({(0, 5, 4): 0.8, (0, 6, 5): 0.7}, (1, 1, 1, 1)), 0, PLACEMENT, 0.1
    )

    assert len(found) == 1


def test_of_two_boxes_on_one_object_the_better_is_left_and_classes_do_not_hide_each_other() -> None:
    cells = {(0, 5, 4): 0.6, (0, 5, 6): 0.8, (1, 5, 5): 0.7}
    found = CenterNetHead(HeadParameters(CLASSES)).decode(outputs(cells, (30, 30, 30, 30)), 0, PLACEMENT, 0.1)

    np.testing.assert_allclose(found.scores, [0.8, 0.7])


def test_below_the_threshold_there_is_nothing() -> None:
    found = CenterNetHead(HeadParameters(CLASSES)).decode(outputs({(0, 5, 4): 0.19}, (4, 4, 4, 4)), 0, PLACEMENT, 0.2)

    assert len(found) == 0


def test_boxes_are_cut_at_the_edges_of_the_frame_and_empty_ones_dropped() -> None:
    head = CenterNetHead(HeadParameters(CLASSES))
    corner = head.decode(outputs({(0, 0, 0): 0.9}, (8, 8, 8, 8)), 0, PLACEMENT, 0.1)
    empty = head.decode(outputs({(0, 0, 0): 0.9}, (8, 8, 0, 0)), 0, PLACEMENT, 0.1)

    np.testing.assert_allclose(corner.boxes, [[0, 0, 16, 8]])
    assert len(empty) == 0


def test_two_hundred_people_are_two_hundred() -> None:
    placement = Placement(1024, 1024, 1024, 1024)
    heat = np.zeros((1, 2, 256, 256), np.float32)
    rows, columns = np.divmod(np.arange(200), 20)
    heat[0, 0, rows * 12 + 4, columns * 12 + 4] = np.linspace(0.3, 0.9, 200)
    box = np.full((1, 4, 256, 256), 10.0, np.float32)

    assert len(CenterNetHead(HeadParameters(CLASSES)).decode({"heat": heat, "box": box}, 0, placement, 0.1)) == 200


def test_a_heat_map_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match=r"output heat has shape 1 x 2 x 16 x 16, not \? x 1 x \? x \?"):
        CenterNetHead(HeadParameters(CLASSES[:1])).decode(outputs({}, (1, 1, 1, 1)), 0, PLACEMENT, 0.1)
