"""What comes out of a network, read as boxes. One small pure decoder per family of models.

The families are an allow-list: a model whose output is anything else (an embedding, a face, a plate) has no head
here and cannot be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from detector.domain.heads.centernet import CenterNetHead

if TYPE_CHECKING:
    from detector.domain.detections import Detections, ObjectClass
    from detector.domain.preprocessing import Placement

Outputs = Mapping[str, npt.NDArray[np.float32]]
"""Output name -> values of a whole batch; the first axis is the frame."""


class Head(Protocol):
    """Reads one family's outputs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names that the network must have, no more and no fewer."""

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """The detections of one frame of a batch, in pixels of the analysed frame, highest score first."""


HEADS: Final[Mapping[str, Callable[[Sequence[ObjectClass]], Head]]] = {"centernet": CenterNetHead}
