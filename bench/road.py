"""The road as fast as it goes: `argo redact` against a bare loop and against deface, on the same file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.results import Result

MODELS = Path(os.environ.get("ARGO_MODEL_DIRECTORY", "models"))
BENCH_PYTHON = os.environ.get("BENCH_PYTHON", ".venv-bench/bin/python")
EFFICIENCY_BOUND = 0.7
DEFACE_BOUND = 4.0


def measure(video: Path) -> list[Result]:
    """Road efficiency, and deface if it is installed."""
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare_loop(video, threads)
        report = _redact(video, Path(folder))
        rate = float(report["frames_per_second"])
        own = int(report["verdicted"]) == int(report["frames"]) > 0
        return [
            Result.at_least(
                "argo redact: road efficiency",
                (rate, "frames/s"),
                (bare, f"frames/s, bare loop, {threads} inference threads"),
                EFFICIENCY_BOUND,
            ),
            Result(
                "argo redact: frames masked by their own verdict",
                f"{report['verdicted']} of {report['frames']}",
                bound="all",
                holds=own,
            ),
            _faces(video, Path(folder)),
            _against_deface(video, rate, Path(folder)),
        ]


def _bare_loop(video: Path, threads: int) -> float:
    _say("bare loop")
    command = [sys.executable, "-m", "bench.bare_loop", str(video), str(MODELS), str(threads)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    frames, seconds = output.splitlines()[-1].split()
    return int(frames) / float(seconds)


def _redact(video: Path, folder: Path) -> dict[str, float]:
    _say("argo redact")
    report = folder / "report.json"
    command = [sys.executable, "-m", "mesh.local.cli", "redact", str(video), str(folder / "out.mp4")]
    subprocess.run([*command, "--report", str(report)], check=True, capture_output=True)
    loaded: dict[str, float] = json.loads(report.read_text())
    return loaded


def _faces(video: Path, folder: Path) -> Result:
    what = "argo redact: faces that CenterFace finds before and after"
    if not Path(BENCH_PYTHON).exists():
        return Result(what, "", "its environment is not there: make bench makes it", bound="none after")
    _say("faces")
    script = Path(__file__).with_name("faces.py")
    command = [BENCH_PYTHON, str(script), str(video), str(folder / "out.mp4")]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(output)
    return Result(
        what,
        f"{found['shown']} of {found['faces']}",
        f"{found['frames']} frames looked at",
        bound="none after",
        holds=found["shown"] == 0 if found["faces"] else None,
    )


def _against_deface(video: Path, rate: float, folder: Path) -> Result:
    what = "argo redact: speed beside deface 1.5"
    deface = Path(BENCH_PYTHON).with_name("deface")
    if not deface.exists():
        return Result(what, f"{rate:.1f} frames/s", "deface is not installed: make bench does it", bound=">= 4")
    _say("deface")
    started = time.perf_counter()
    command = [str(deface), str(video), "--output", str(folder / "deface.mp4"), "--backend", "onnxrt"]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    return Result.at_least(what, (rate, "frames/s"), (_frame_count(video) / seconds, "frames/s, deface"), DEFACE_BOUND)


def _frame_count(video: Path) -> int:
    import av

    with av.open(video) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def _say(step: str) -> None:
    print(f"bench: {step}", file=sys.stderr, flush=True)
