"""The model on this machine: an onnxruntime session in a thread of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import onnxruntime
import structlog

from detector.catalogue import store
from detector.catalogue.cards import Card, find_card
from detector.catalogue.errors import BadCardError, CatalogueError
from detector.domain.heads import HEADS
from detector.domain.preprocessing import Placement, Planes, fill
from mesh.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.detections import Detections

log = structlog.get_logger()

DEVICES: Final = Path("/dev")
"""Where the operating system lists the GPUs that this process may use."""
_WARM_UP_SIZES: Final = ((768, 576), (768, 432))
_QUIET: Final = 3
"""onnxruntime's severity for errors only."""


class Model:
    """A loaded model. `analyze` may be called from the event loop; the work is done in one dedicated thread."""

    def __init__(self, card: Card, session: onnxruntime.InferenceSession) -> None:
        self.card = card
        self.provider: str = session.get_providers()[0]
        self._session = session
        self._head = HEADS[card.output.head](card.output.object_classes)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return self.card.file.sha256

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        return self.provider != "CPUExecutionProvider"

    def placement(self, width: int, height: int) -> Placement:
        """Where a frame of this size lies in the network's input."""
        return Placement.fit(width, height, self.card.input.pixels)

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
        placement = self.placement(width, height)
        images = np.empty((len(frames), 3, placement.network_height, placement.network_width), dtype=np.uint8)
        for image, planes in zip(images, frames, strict=True):
            fill(planes, placement, image)
        values = self._session.run(list(self._head.outputs), {"image": images})
        outputs = dict(zip(self._head.outputs, values, strict=True))
        threshold = self.card.thresholds.masking
        return [self._head.decode(outputs, frame, placement, threshold) for frame in range(len(frames))]

    async def warm_up(self) -> None:
        """Run once at the usual proportions, so that the first real frame does not pay for the first run."""
        for width, height in _WARM_UP_SIZES:
            await self.analyze([Planes.unpack(width, height, bytes(width * height * 3 // 2))])

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
        card = find_card(name)
        session = _open(store.read_model(card, directory), threads)
        check_outputs(card, [output.name for output in session.get_outputs()])
    except CatalogueError as error:
        raise StartupError("the detector has no model to load", str(error)) from error
    model = Model(card, session)
    log.info("model.loaded", model=card.name, digest=model.digest, provider=model.provider, threads=threads)
    return model


def check_outputs(card: Card, names: Sequence[str]) -> None:
    """Refuse a network that gives anything but what its head reads.

    Raises:
        BadCardError: an output too many (an embedding would come this way) or too few.
    """
    wanted = HEADS[card.output.head](card.output.object_classes).outputs
    if sorted(names) != sorted(wanted):
        raise BadCardError(
            f"model {card.name} gives {', '.join(sorted(names))}; head {card.output.head} takes "
            f"{', '.join(sorted(wanted))} and nothing else"
        )


def providers() -> list[str]:
    """Execution providers in order of preference; one that needs a device is named only when the device exists."""
    present = ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers() and any(DEVICES.glob("nvidia[0-9]*")):
        present.insert(0, "CUDAExecutionProvider")
    return present


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
