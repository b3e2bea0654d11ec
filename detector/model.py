"""The model on this machine: an onnxruntime session in a thread of its own."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import cv2
import onnxruntime
import structlog

from detector.catalogue import store
from detector.catalogue.cards import Card, find_card
from detector.catalogue.errors import BadCardError, CatalogueError
from detector.catalogue.inspection import Port, check_network
from detector.domain.preprocessing import Planes
from detector.domain.tiling import merge
from detector.providers import CPU, providers
from detector.session import Session
from mesh.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from detector.domain.detections import Detections
    from detector.domain.tiling import Attention, Tile

log = structlog.get_logger()

_WARM_UP_SIZES: Final = ((768, 576), (768, 432))
_QUIET: Final = 3
"""onnxruntime's severity for errors only."""


class Model:
    """A loaded model. `analyze` may be called from the event loop; the work is done in one dedicated thread."""

    def __init__(self, card: Card, session: onnxruntime.InferenceSession) -> None:
        self.card = card
        self._input = card.input.build()
        self._head = card.output.build()
        self._names = {card.output.names.get(name, name): name for name in self._head.outputs}
        self._session = Session(session, list(self._names))
        self.provider = self._session.provider
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return self.card.file.sha256

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        return self.provider != CPU

    async def analyze(
        self,
        frames: Sequence[Planes],
        attentions: Sequence[Attention] | None = None,
        *,
        took: Callable[[float], None] = lambda _seconds: None,
    ) -> list[Detections]:
        """The detections of each frame above the masking threshold, in pixels of the frame.

        Args:
            frames: at least one, all of one size.
            attentions: of each frame's optic; None: the frames are looked at whole.
            took: told the seconds from the planes to the boxes, without the wait for the batch before; called in the
                dedicated thread.

        Raises:
            Exception: whatever onnxruntime raises when the device fails.
        """

        def timed() -> list[Detections]:
            started = time.perf_counter()
            try:
                return self.look(frames, attentions)
            finally:
                took(time.perf_counter() - started)

        return await asyncio.get_running_loop().run_in_executor(self._executor, timed)

    def look(self, frames: Sequence[Planes], attentions: Sequence[Attention] | None = None) -> list[Detections]:
        """The same as `analyze`, in the caller's thread."""
        found = self._look(frames)
        if attentions is None:
            return found
        chosen = [attention.choose(planes) for attention, planes in zip(attentions, frames, strict=True)]
        parts = self._look_at_tiles(frames, chosen)
        height, width = frames[0].luma.shape
        together = [
            merge(whole, [(tile, next(parts)) for tile in tiles], width, height, self.card.output.overlap)
            for whole, tiles in zip(found, chosen, strict=True)
        ]
        for attention, detections in zip(attentions, together, strict=True):
            attention.found(detections, self.card.thresholds.tracking)
        return together

    def _look_at_tiles(self, frames: Sequence[Planes], chosen: Sequence[Sequence[Tile]]) -> Iterator[Detections]:
        """In the order of the frames and their tiles, as many at a time as there are frames."""
        views = [tile.cut(planes) for planes, tiles in zip(frames, chosen, strict=True) for tile in tiles]
        for first in range(0, len(views), len(frames)):
            yield from self._look(views[first : first + len(frames)])

    def _look(self, frames: Sequence[Planes]) -> list[Detections]:
        height, width = frames[0].luma.shape
        placement = self._input.place(width, height)
        shape = self._input.shape(placement)
        self._input.pack(frames, placement, self._session.input(len(frames), shape, self._input.dtype))
        outputs = {self._names[name]: values for name, values in self._session.run(len(frames), shape).items()}
        threshold = self.card.thresholds.masking
        return [self._head.decode(outputs, frame, placement, threshold) for frame in range(len(frames))]

    async def warm_up(self, frames: int = 1) -> None:
        """Run at the usual proportions, so that the first real frame does not pay for the first run of its shape.

        Args:
            frames: of the largest batch; the smallest and the largest are run.

        Raises:
            StartupError: it fails, or what comes out is not what the head takes.
        """
        for width, height in _WARM_UP_SIZES:
            black = Planes.unpack(width, height, bytes(width * height * 3 // 2))
            for count in sorted({1, frames}):
                try:
                    await self.analyze([black] * count)
                except ValueError as error:
                    raise StartupError(f"model {self.card.name} is not what its card says", str(error)) from error
                except Exception as error:
                    raise StartupError(f"model {self.card.name} does not run here", type(error).__name__) from error

    def close(self) -> None:
        """End the thread after what it is doing, and give the memory back. Nothing may be asked of it afterwards."""
        self._executor.shutdown(wait=True)
        self._session.close()


def load(name: str, directory: Path, *, threads: int) -> Model:
    """Load a model of the catalogue on the best device that is really there.

    Raises:
        StartupError: no such card or file, a wrong digest, or a file that is not what its card says.
    """
    try:
        card = find_card(name, directory)
    except CatalogueError as error:
        raise StartupError("the detector has no model to load", str(error)) from error
    return load_card(card, directory, threads=threads)


def load_card(card: Card, directory: Path, *, threads: int) -> Model:
    """Load the model of this card; see load."""
    # One frame at a time is resized, and the inference thread is where it happens.
    cv2.setNumThreads(1)
    try:
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
