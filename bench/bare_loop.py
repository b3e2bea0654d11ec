"""The same work as `argo redact` in one process, one loop, nothing between: decode, inference, masking, encode.

Prints frames and seconds. It runs as a process of its own, so that neither side inherits warm caches from the other.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import av
import numpy as np

from anonymizer.domain.frame import Frame, Planes, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import Verdict
from anonymizer.encoder import Encoder
from camera_gateway.decoding import to_i420
from detector import model
from detector.catalogue.cards import DEFAULT_MODEL
from detector.domain.detections import Detections
from detector.domain.preprocessing import Planes as DetectorPlanes


def main() -> None:
    """``python -m bench.bare_loop VIDEO MODEL_DIRECTORY THREADS``."""
    video, directory, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    network = model.load(DEFAULT_MODEL, directory, threads=threads)
    redactor = Redactor()
    encoder: Encoder | None = None
    network.look([DetectorPlanes.unpack(768, 576, bytes(768 * 576 * 3 // 2))])
    started, frames = time.perf_counter(), 0
    with av.open(video) as container:
        container.streams.video[0].thread_count = 1
        for frames, picture in enumerate(container.decode(video=0), 1):
            width, height = picture.width, picture.height
            i420 = to_i420(picture, width, height)
            detections = network.look([DetectorPlanes.unpack(width, height, i420)])[0]
            size = Size(width, height)
            frame = Frame(frames, float(picture.time or 0.0), Planes.from_bytes(i420, size))
            masked = redactor.redact(frame, _verdict(frames, detections, size))
            encoder = encoder or Encoder(size)
            encoder.encode(masked)
    print(frames, time.perf_counter() - started)


def _verdict(sequence: int, detections: Detections, size: Size) -> Verdict:
    scale = np.array([size.width, size.height] * 2, np.float32)
    return Verdict(
        sequence,
        (detections.boxes / scale).astype(np.float32),
        np.array([int(each) for each in detections.classes], np.int16),
        detections.scores.astype(np.float32),
    )


if __name__ == "__main__":
    main()
