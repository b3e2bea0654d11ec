"""What comes out of a network, read as boxes. One small pure decoder per family of models.

The families are an allow-list: a model whose output is anything else (an embedding, a face, a plate, keypoints) has no
head here and cannot be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from detector.domain.heads.centernet import CenterNetHead
from detector.domain.heads.detr import DetrHead
from detector.domain.heads.interface import AnchorLayout, Axes, Head, HeadParameters, Outputs
from detector.domain.heads.ssd import SsdHead
from detector.domain.heads.yolov8 import YoloV8Head
from detector.domain.heads.yolox import YoloXHead

__all__ = ["HEADS", "AnchorLayout", "Axes", "Head", "HeadParameters", "Outputs"]

HEADS: Final[Mapping[str, Callable[[HeadParameters], Head]]] = {
    "centernet": CenterNetHead,
    "d-fine": DetrHead,
    "rt-detr": DetrHead,
    "ssd": SsdHead,
    "yolov8": YoloV8Head,
    "yolox": YoloXHead,
}
"""Name of a head on a card -> what makes it; raises ValueError when the parameters do not suit it."""
