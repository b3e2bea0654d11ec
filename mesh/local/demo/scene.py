"""One line and one zone for a source: drawn by hand for the sample, in the middle of the picture for anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from argo.type.v1 import object_class_pb2
from mesh.local.sample import SAMPLE_NAME

if TYPE_CHECKING:
    from mesh.local.demo.sources import Source

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scene:
    """What the demonstration's rules watch.

    Attributes:
        line: normalised picture coordinates; crossed in either direction.
        line_name: what people call it.
        zone: normalised picture coordinates.
        zone_name: what people call it.
        classes: numbers of the object classes that count; none means all.
    """

    line: Points
    line_name: str
    zone: Points
    zone_name: str
    classes: tuple[object_class_pb2.ObjectClass.ValueType, ...] = ()


SAMPLE_SCENE: Final = Scene(
    # Across the road from kerb to kerb: most people walk along it.
    line=((0.50, 0.30), (0.55, 0.85)),
    line_name="across the road",
    # The stretch of road before the lamp post.
    zone=((0.30, 0.38), (0.54, 0.36), (0.56, 0.62), (0.36, 0.52)),
    zone_name="the road by the lamp post",
    classes=(object_class_pb2.OBJECT_CLASS_PERSON,),
)

GENERIC_SCENE: Final = Scene(
    line=((0.5, 0.05), (0.5, 0.95)),
    line_name="the middle of the picture",
    zone=((0.25, 0.35), (0.75, 0.35), (0.75, 0.85), (0.25, 0.85)),
    zone_name="the centre of the picture",
)


def scene_of(source: Source) -> Scene:
    """The scene of a source."""
    return SAMPLE_SCENE if source.label == SAMPLE_NAME else GENERIC_SCENE
