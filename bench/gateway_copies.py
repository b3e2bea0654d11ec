"""How many bytes the gateway copies for each frame, and where: counted where the C library is asked to copy.

``python -m bench.gateway_copies FILM`` prints the counts; it must run with the counter in front of the C library.
Copies inside gRPC's core, TLS and the kernel are not in it: they happen to every message of that size.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from argo.detector.v1 import detection_service_pb2 as detection
from bench.gateway_films import SUB, units_of
from bench.results import Result
from camera_gateway import packing
from camera_gateway.decoding import VideoDecoder, to_i420
from camera_gateway.domain.clock import CaptureTime, TimeSource
from camera_gateway.sources import Picture

T = TypeVar("T")

WHAT = f"gateway: bytes copied for a frame of {SUB.size[0]}x{SUB.size[1]}"
PLANES = SUB.size[0] * SUB.size[1] * 3 // 2


def measure(film: Path) -> list[Result]:
    """The bytes to the detector's stream and to the anonymizer's; not judged where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return [Result(WHAT, "not counted: there is no C compiler")]
    with tempfile.TemporaryDirectory() as folder:
        counter = Path(folder) / "counter.so"
        source = Path(__file__).with_name("memcpy_counter.c")
        subprocess.run(
            [compiler, "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", str(counter), str(source), "-ldl"], check=True
        )
        command = [sys.executable, "-m", "bench.gateway_copies", str(film)]
        output = subprocess.run(
            command, env={**os.environ, "LD_PRELOAD": str(counter)}, check=True, capture_output=True, text=True
        ).stdout
    counted: dict[str, int] = json.loads(output)
    times = ", ".join(f"{name} {copied / PLANES:.0f}" for name, copied in counted.items())
    return [Result(WHAT, f"{sum(counted.values())}", f"times its {PLANES} bytes: {times}")]


def main() -> None:
    """Count, and print the bytes by place."""
    film = Path(sys.argv[1])
    counter = ctypes.CDLL(None).copied_bytes
    counter.restype = ctypes.c_ulonglong
    counted: dict[str, int] = {}

    def count(place: str, step: Callable[[], T]) -> T:
        step()  # what is made once is not a frame's
        before = counter()
        made = step()
        counted[place] = counter() - before
        return made

    decoder = VideoDecoder("h264")
    frame = [frame for unit in units_of(film)[:2] for frame in decoder.decode(unit.data)][-1]
    planes = count("decoded picture to I420", lambda: to_i420(frame, *SUB.size))
    picture = Picture(lambda: planes, *SUB.size, CaptureTime(0.0, 0.0, TimeSource.ARRIVAL), 0.0)
    message = count("to a message", lambda: packing.frame(picture, 1))
    verdict = detection.Verdict(sequence=1)
    for peer, request in (
        ("detector", lambda: packing.analyze_request(message)),
        ("anonymizer", lambda: packing.redact_request(message, verdict)),
    ):
        made = count(f"to the {peer}'s request", request)
        count(f"{peer}'s request to bytes", made.SerializeToString)
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
