"""Models side by side: the cards of the catalogue on one CPU thread, tiles, and what a GPU makes of them.

On a GPU: the default model in both precisions and a network of the shape of RT-DETR-R50, CUDA beside TensorRT, with and
without bound memory, batch by batch. Where there is none, it says so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from bench import tiling
from bench.pictures import pictures
from bench.results import Result
from bench.rtdetr_shape import SIDE, rtdetr_shape
from detector import model as models
from detector import providers
from detector.catalogue import store
from detector.catalogue.cards import DEFAULT_MODEL, Card, all_cards, find_card
from detector.catalogue.errors import CatalogueError
from detector.session import Session, Shape

MODELS = Path(os.environ.get("ARGO_MODEL_DIRECTORY", "models")).resolve()
_FRAMES = 40
_CPU_BATCHES = (1, 2, 4)
_GPU_BATCHES = (1, 2, 4, 8, 16, 32)
_LEAST_SECONDS = 1.0
_OPTIC_RATE = 5
"""Frames analysed per second and optic, by default."""
_NVIDIA = "NVIDIA publishes 50 streams at 30/s per H100"
_SIZE = (512, 384)
"""What the default model sees of a 4:3 frame."""


@dataclass(frozen=True)
class Candidate:
    """A network to be run on a device.

    Attributes:
        name: for people.
        data: the ONNX file.
        shape: of one frame.
        dtype: of the input.
    """

    name: str
    data: bytes
    shape: Shape
    dtype: str


def measure(video: Path) -> list[Result]:
    """All that this machine can say."""
    _say("the cards of the catalogue, one thread")
    results = _cards(video)
    _say("tiles")
    results += tiling.measure(video, MODELS)
    _say("bound memory and batches, one thread")
    results += _device([_default()], [providers.CPU], _CPU_BATCHES)
    usable = [name for name in providers.providers() if name != providers.CPU]
    if not usable:
        return [*results, Result("models on a GPU", "not run: onnxruntime finds no GPU on this machine", _NVIDIA)]
    onnxruntime.preload_dlls()
    _say(f"GPU: {', '.join(usable)}")
    return results + _device(list(_gpu_candidates()), usable, _GPU_BATCHES)


# The catalogue on a CPU -----------------------------------------------------------------------------------------------


def _cards(video: Path) -> list[Result]:
    """Processor time of a look, from planes to boxes; the cards take turns at every frame."""
    cv2.setNumThreads(1)
    frames = [picture.planes() for picture in pictures(video, _FRAMES)]
    loaded = [models.load_card(card, MODELS, threads=1) for card in _present()]
    spent: dict[str, list[float]] = {each.card.name: [] for each in loaded}
    for planes in frames:
        for each in loaded:
            started = time.thread_time()
            each.look([planes])
            spent[each.card.name].append(time.thread_time() - started)
    for each in loaded:
        each.close()
    medians = {name: 1000 * statistics.median(times) for name, times in spent.items()}
    against = medians[DEFAULT_MODEL]
    return [
        Result(f"{name}: one look, processor time", f"{median:.1f} ms", f"{against:.1f} ms, default", median / against)
        for name, median in medians.items()
    ]


def _present() -> Iterator[Card]:
    for card in all_cards(MODELS).values():
        with contextlib.suppress(CatalogueError):
            store.read_model(card, MODELS)
            yield card


# A device -------------------------------------------------------------------------------------------------------------


def _default(name: str = DEFAULT_MODEL) -> Candidate:
    width, height = _SIZE
    return Candidate(name, store.read_model(find_card(name, MODELS), MODELS), (3, height, width), "uint8")


def _gpu_candidates() -> Iterator[Candidate]:
    yield _default()
    yield _default(f"{DEFAULT_MODEL}-fp16")
    for dtype in ("float32", "float16"):
        yield Candidate(f"RT-DETR-R50 shape, random weights, {dtype}", rtdetr_shape(dtype), (3, SIDE, SIDE), dtype)


def _device(candidates: Sequence[Candidate], names: Sequence[str], batches: Sequence[int]) -> list[Result]:
    """Frames a second with bound memory, beside the same without, batch by batch."""
    results = []
    for candidate in candidates:
        for name in names:
            what = f"{candidate.name} on {name.removesuffix('ExecutionProvider')}"
            try:
                results += _curves(what, candidate, name, batches)
            except Exception as error:  # noqa: BLE001 - one that a device cannot run does not end the others
                results.append(Result(what, f"failed: {type(error).__name__}: {str(error)[:80]}", holds=False))
    return results


def _curves(what: str, candidate: Candidate, provider: str, batches: Sequence[int]) -> list[Result]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    raw = onnxruntime.InferenceSession(candidate.data, options, providers=[provider])
    if raw.get_providers()[0] != provider:
        raise RuntimeError(f"onnxruntime fell back to {raw.get_providers()[0]}")
    names = [output.name for output in raw.get_outputs()]
    feed, bound = raw.get_inputs()[0].name, Session(raw, names)
    results = []
    for batch in batches:
        images = np.random.default_rng(batch).integers(0, 255, (batch, *candidate.shape)).astype(candidate.dtype)

        def with_binding(images: np.ndarray = images) -> None:
            bound.input(len(images), candidate.shape, candidate.dtype)[:] = images
            bound.run(len(images), candidate.shape)

        def without(images: np.ndarray = images) -> None:
            raw.run(names, {feed: images})

        with _gpu_load(provider) as load:
            rate, plain = (batch / seconds for seconds in _alternating(with_binding, without))
        told = f"{rate:.0f} frames/s, {rate / _OPTIC_RATE:.0f} optics{load}"
        results.append(Result(f"{what}, batch {batch}", told, f"{plain:.0f} frames/s, memory not bound", rate / plain))
    bound.close()
    return results


def _alternating(*works: Callable[[], None]) -> list[float]:
    """Seconds of one run of each, the median; they take turns, after one run that does not count."""
    spent: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    end = time.perf_counter() + _LEAST_SECONDS * len(works)
    while time.perf_counter() < end:
        for work, times in zip(works, spent, strict=True):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in spent]


class _Load:
    """How busy the GPU was, for people; nothing while nobody has said."""

    def __init__(self) -> None:
        self.percent: float | None = None

    def __str__(self) -> str:
        return "" if self.percent is None else f", GPU {self.percent:.0f} % busy"


@contextlib.contextmanager
def _gpu_load(provider: str) -> Iterator[_Load]:
    """Asks the driver five times a second, until the end of the block, how busy the GPU is."""
    load = _Load()
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    if provider == providers.CPU or shutil.which(command[0]) is None:
        yield load
        return
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield load
    finally:
        driver.terminate()
        said, _ = driver.communicate()
    load.percent = statistics.mean(float(line) for line in said.split()) if said.split() else None


def _say(step: str) -> None:
    print(f"bench: {step}", file=sys.stderr, flush=True)
