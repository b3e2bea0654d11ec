"""The model on this machine: an onnxruntime session in a thread of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import onnxruntime
import structlog

from detector.catalogue import store
from detector.catalogue.cards import Card, find_card
from detector.catalogue.errors import BadCardError, CatalogueError
from detector.catalogue.inspection import Port, check_network
from detector.domain.preprocessing import Planes
from detector.providers import CPU, providers
from mesh.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from detector.domain.detections import Detections
    from detector.domain.heads import Outputs
    from detector.domain.inputs import Batch

log = structlog.get_logger()

_WARM_UP_SIZES: Final = ((768, 576), (768, 432))
_QUIET: Final = 3
"""onnxruntime's severity for errors only."""


class Model:
    """A loaded model. `analyze` may be called from the event loop; the work is done in one dedicated thread."""

    def __init__(self, card: Card, session: onnxruntime.InferenceSession) -> None:
        self.card = card
        self.provider: str = session.get_providers()[0]
        self._session = session
        self._input = card.input.build()
        self._head = card.output.build()
        self._names = {name: card.output.names.get(name, name) for name in self._head.outputs}
        self._feed = session.get_inputs()[0].name
        self._one_by_one = session.get_inputs()[0].shape[0] == 1
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return self.card.file.sha256

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        return self.provider != CPU

    async def analyze(self, frames: Sequence[Planes]) -> list[Detections]:
        """The detections of each frame above the masking threshold, in pixels of the frame.

        Args:
            frames: at least one, all of one size.

        Raises:
            Exception: whatever onnxruntime raises when the device fails.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.look, frames)

    def look(self, frames: Sequence[Planes]) -> list[Detections]:
        """The same as `analyze`, in the caller's thread."""
        height, width = frames[0].luma.shape
        placement = self._input.place(width, height)
        outputs = self._run(self._input.pack(frames, placement))
        threshold = self.card.thresholds.masking
        return [self._head.decode(outputs, frame, placement, threshold) for frame in range(len(frames))]

    def _run(self, batch: Batch) -> Outputs:
        parts = np.split(batch, len(batch)) if self._one_by_one else [batch]
        wanted = list(self._names.values())
        values = [self._session.run(wanted, {self._feed: part}) for part in parts]
        joined = values[0] if len(values) == 1 else [np.concatenate(each) for each in zip(*values, strict=True)]
        return dict(zip(self._names, joined, strict=True))

    async def warm_up(self, frames: int = 1) -> None:
        """Run at the usual proportions, so that the first real frame does not pay for the first run of its shape.

        Args:
            frames: of the largest batch; the smallest and the largest are run.

        Raises:
            StartupError: what comes out is not what the head takes.
        """
        for width, height in _WARM_UP_SIZES:
            black = Planes.unpack(width, height, bytes(width * height * 3 // 2))
            for count in sorted({1, frames}):
                try:
                    await self.analyze([black] * count)
                except ValueError as error:
                    raise StartupError(f"model {self.card.name} is not what its card says", str(error)) from error

    def close(self) -> None:
        """End the thread after what it is doing."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def load(name: str, directory: Path, *, threads: int) -> Model:
    """Load a model of the catalogue on the best device that is really there.

    Raises:
        StartupError: no such card or file, a wrong digest, or a file that is not what its card says.
    """
    # One frame at a time is resized, and the inference thread is where it happens.
    cv2.setNumThreads(1)
    try:
        card = find_card(name, directory)
        session = _open(store.read_model(card, directory), threads)
        check_network(card, _ports(session.get_inputs()), _ports(session.get_outputs()))
    except CatalogueError as error:
        raise StartupError("the detector has no model to load", str(error)) from error
    model = Model(card, session)
    log.info("model.loaded", model=card.name, digest=model.digest, provider=model.provider, threads=threads)
    return model


def _ports(arguments: Sequence[Any]) -> list[Port]:
    return [Port(argument.name, argument.type, tuple(argument.shape)) for argument in arguments]


def _open(data: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    # A spinning thread takes a core from the decoder and the encoder beside us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = providers()
    if len(wanted) > 1:
        onnxruntime.preload_dlls()
    try:
        return onnxruntime.InferenceSession(data, options, providers=wanted)
    except Exception as error:
        raise BadCardError(f"onnxruntime cannot load the model: {type(error).__name__}") from error
