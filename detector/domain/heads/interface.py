"""What every head takes and gives, and the steps that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from detector.domain.detections import OVERLAP_LIMIT, Boxes, Classes, Detections, Scores, ordered, suppress

if TYPE_CHECKING:
    from detector.domain.preprocessing import Placement

Values = npt.NDArray[np.float32]
Outputs = Mapping[str, Values]
"""Output -> float32 values of a whole batch; the first axis is the frame."""

Axes: TypeAlias = tuple[int | None, ...]
"""The length of each axis of an output, frames first; None: any."""

MOST_CANDIDATES: Final = 4000
"""Boxes that go into suppression: twenty for each of the 200 people of a crowded frame."""


@dataclass(frozen=True, slots=True)
class AnchorLayout:
    """The default boxes of SSD, from its largest map to its smallest (Liu et al.: SSD, 2016, section 2.2).

    Attributes:
        maps: (columns, rows) of each map.
        scales: side of the square box of each map as a share of the input; one more for the last map's larger square.
        ratios: width to height of the further boxes of each map; each comes upright and lying.
    """

    maps: tuple[tuple[int, int], ...]
    scales: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if not self.maps or len(self.scales) != len(self.maps) + 1 or len(self.ratios) != len(self.maps):
            raise ValueError("every map needs a scale and its ratios, and the last a second scale")


@dataclass(frozen=True, slots=True)
class HeadParameters:
    """What one model says about its outputs.

    Attributes:
        classes: the ObjectClass of each class score that the network gives, in its order; 0: outside the allow-list,
            and dropped.
        overlap: intersection over union above which the worse of two boxes of one class is dropped.
        anchors: of SSD, and of nothing else.
    """

    classes: tuple[int, ...]
    overlap: float = OVERLAP_LIMIT
    anchors: AnchorLayout | None = None

    def __post_init__(self) -> None:
        if not any(self.classes):
            raise ValueError("none of the network's classes is in the allow-list")


class Head(Protocol):
    """Reads the outputs of one family of models."""

    @property
    def outputs(self) -> Mapping[str, Axes]:
        """The outputs that the network must have, no more and no fewer, and their shapes."""

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """The detections of one frame of a batch.

        Args:
            outputs: see the head's class.
            frame: its position in the batch.
            placement: where it lay in the network's input.
            threshold: lowest score that counts.

        Returns:
            Boxes in pixels of the analysed frame (for a frame of 1 x 1: normalised), cut at its edges, highest score
            first, of classes in the allow-list only.

        Raises:
            ValueError: an output has another shape than the head takes, or holds NaN or infinity. Nothing is known
                about the frame then, and it must not be taken for an empty one.
        """


def read_frame(outputs: Outputs, axes: Mapping[str, Axes], frame: int) -> list[Values]:
    """One frame's values of each output, in the order of `axes`; float32, without the frame axis.

    Raises:
        ValueError: see Head.decode.
    """
    values = []
    for name, expected in axes.items():
        whole = outputs[name]
        if not fits(whole.shape, expected):
            raise ValueError(f"output {name} has shape {describe(whole.shape)}, not {describe(expected)}")
        one = whole[frame].astype(np.float32, copy=False)
        if not np.isfinite(one).all():
            raise ValueError(f"output {name} holds values that are no numbers")
        values.append(one)
    return values


def fits(shape: Sequence[int | str | None], axes: Axes) -> bool:
    """Whether a shape is one that `axes` allows; an axis that a file leaves open (a name or None) may be any."""
    return len(shape) == len(axes) and all(
        wanted is None or not isinstance(length, int) or length == wanted
        for length, wanted in zip(shape, axes, strict=True)
    )


def describe(shape: Sequence[int | str | None]) -> str:
    """A shape for people: ``? x 84 x 8400``."""
    return " x ".join(str(length) if isinstance(length, int) else "?" for length in shape)


def allowed_columns(classes: Sequence[int]) -> tuple[npt.NDArray[np.intp], Classes]:
    """The positions of the class scores inside the allow-list, and the ObjectClass (int16) of each."""
    table = np.array(classes, dtype=np.int16)
    columns = np.flatnonzero(table)
    return columns, table[columns]


def corners(centred: Values) -> Boxes:
    """N x 4 centre x, centre y, width, height -> left, top, right, bottom; float32."""
    half = centred[:, 2:] / np.float32(2.0)
    return np.concatenate([centred[:, :2] - half, centred[:, :2] + half], axis=1)


def strongest(scores: Scores, most: int) -> npt.NDArray[np.intp]:
    """Positions of the `most` highest scores, in no order; all of them when there are no more."""
    if len(scores) <= most:
        return np.arange(len(scores))
    return np.argpartition(-scores, most)[:most]


def settle(boxes: Boxes, scores: Scores, classes: Classes, placement: Placement, overlap: float | None) -> Detections:
    """Candidates in network pixels -> detections in pixels of the frame.

    Args:
        boxes: float32, N x 4, left, top, right, bottom in network pixels.
        scores: float32, N.
        classes: int16, N.
        placement: of the frame in the network's input.
        overlap: see HeadParameters; None: the network itself gives every object once.
    """
    found = ordered(placement.to_frame(boxes), scores, classes)
    has_area = (found.boxes[:, 2] > found.boxes[:, 0]) & (found.boxes[:, 3] > found.boxes[:, 1])
    found = found.where(has_area)
    return found if overlap is None else suppress(found, overlap)
