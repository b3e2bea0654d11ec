"""onnxruntime with memory that is taken once per size of picture and used again.

Inputs and outputs are bound to these arrays, so that a run allocates nothing and copies nothing on a CPU. On a GPU the
same arrays are page-locked, which is what lets the device fetch them by itself (CUDA C++ Best Practices Guide, section
"Pinned Memory").
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from detector.providers import CPU, pin, unpin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.heads import Outputs
    from detector.domain.inputs import Batch

MOST_SIZES: Final = 8
"""Sizes of picture whose arrays are kept; the one that was used longest ago goes first."""

Shape = tuple[int, ...]


@dataclass(eq=False)
class _Arrays:
    """The arrays for one size of picture.

    Attributes:
        input: room for so many frames.
        outputs: of the network, for as many.
        bindings: (first frame, behind the last) -> the session bound to that part of the arrays.
    """

    input: Batch
    outputs: dict[str, Batch]
    pinned: list[Batch]
    bindings: dict[tuple[int, int], onnxruntime.IOBinding] = field(default_factory=dict)

    def release(self) -> None:
        self.bindings.clear()
        for array in self.pinned:
            unpin(array)


class Session:
    """A network that is ready to run. Used from one thread at a time.

    Args:
        session: of onnxruntime.
        outputs: the names of those that are wanted.
    """

    def __init__(self, session: onnxruntime.InferenceSession, outputs: Sequence[str]) -> None:
        self.provider: str = session.get_providers()[0]
        self._session = session
        self._outputs = list(outputs)
        feed = session.get_inputs()[0]
        self._feed: str = feed.name
        self._one_by_one = feed.shape[0] == 1
        self._kept: OrderedDict[Shape, _Arrays] = OrderedDict()

    def input(self, frames: int, shape: Shape, dtype: str) -> Batch:
        """The array to write the next batch into; `run` with the same frames and shape reads it.

        Args:
            frames: how many.
            shape: of one frame.
            dtype: numpy's name.
        """
        kept = self._kept.pop(shape, None)
        if kept is None or len(kept.input) < frames:
            if kept is not None:
                kept.release()
            kept = self._take(frames, shape, dtype)
        self._kept[shape] = kept
        while len(self._kept) > MOST_SIZES:
            _, unused = self._kept.popitem(last=False)
            unused.release()
        whole: Batch = kept.input[:frames]
        return whole

    def run(self, frames: int, shape: Shape) -> Outputs:
        """What the network says of the frames in `input`; valid until the next run.

        Raises:
            KeyError: `input` was not asked for this shape.
            Exception: whatever onnxruntime raises; also when an output has another shape than in the first run at this
                size of picture.
        """
        kept = self._kept[shape]
        step = 1 if self._one_by_one else frames
        for first in range(0, frames, step):
            part = (first, first + step)
            if part not in kept.bindings:
                kept.bindings[part] = self._bind(kept, *part)
            self._session.run_with_iobinding(kept.bindings[part])
        return {name: array[:frames] for name, array in kept.outputs.items()}

    def close(self) -> None:
        """Give all arrays back."""
        while self._kept:
            self._kept.popitem()[1].release()

    def _take(self, frames: int, shape: Shape, dtype: str) -> _Arrays:
        batch = np.zeros((frames, *shape), dtype=dtype)
        # Only a run tells how large the outputs are at this size of picture.
        found = self._session.run(self._outputs, {self._feed: batch[:1]})
        outputs = {
            name: np.empty((frames, *value.shape[1:]), dtype=value.dtype)
            for name, value in zip(self._outputs, found, strict=True)
        }
        arrays = [batch, *outputs.values()]
        pinned = [array for array in arrays if pin(array)] if self.provider != CPU else []
        return _Arrays(batch, outputs, pinned)

    def _bind(self, kept: _Arrays, first: int, end: int) -> onnxruntime.IOBinding:
        binding: Any = self._session.io_binding()
        binding.bind_cpu_input(self._feed, kept.input[first:end])
        for name, array in kept.outputs.items():
            part = array[first:end]
            binding.bind_output(name, "cpu", 0, part.dtype.type, part.shape, part.ctypes.data)
        return binding
