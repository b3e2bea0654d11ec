"""Two cameras in real time: how long an alert takes from the capture of its picture, and whether memory stays flat."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from bench.results import Result

LATENCY_BOUND_SECONDS = 1.0
MEMORY_BOUND = 0.05
SERVICES = ("registry", "camera_gateway", "detector", "anonymizer", "alerting")
MEMORY_MINUTES = 4


def measure(video: Path, seconds: float) -> list[Result]:
    """Runs `argo demo` with two cameras for that long."""
    print(f"bench: two cameras in real time, {seconds:g} s", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "mesh.local.cli", "demo", "--state", str(Path(folder) / "state")]
        command += ["--source", str(video)] * 2 + ["--for", str(seconds), "--report", str(report)]
        with (Path(folder) / "log").open("wb") as log:
            demo = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ)
            memory = _watch_memory(demo)
        if demo.returncode:
            raise SystemExit((Path(folder) / "log").read_text())
        result = json.loads(report.read_text())
    return [_latency(result), _unmasked(result), *(_flat(name, memory[name]) for name in SERVICES)]


def _watch_memory(demo: subprocess.Popen[bytes]) -> dict[str, list[tuple[float, int]]]:
    """Resident bytes of each service, once a second, with the time since the first sight of all five."""
    samples: dict[str, list[tuple[float, int]]] = defaultdict(list)
    root, started = psutil.Process(demo.pid), None
    while demo.poll() is None:
        seen = {}
        for process in _children(root):
            name = _service(process)
            if name:
                seen[name] = process.memory_info().rss
        if len(seen) == len(SERVICES):
            started = started or time.monotonic()
            for name, size in seen.items():
                samples[name].append((time.monotonic() - started, size))
        time.sleep(1)
    return samples


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _service(process: psutil.Process) -> str | None:
    try:
        command = process.cmdline()
    except psutil.Error:
        return None
    return next((name for name in SERVICES if command[-2:] == ["-m", name]), None)


def _latency(report: dict[str, dict[str, float | None]]) -> Result:
    latency = report["capture_to_alert_seconds"]
    return Result(
        "two cameras: capture to alert, p95",
        f"{latency['p95']} s (p50 {latency['p50']} s, {latency['count']} alerts)",
        bound="< 1 s",
        holds=latency["p95"] is not None and latency["p95"] < LATENCY_BOUND_SECONDS,
    )


def _unmasked(report: dict[str, int]) -> Result:
    count = report["unmasked_frames_out"]
    return Result("two cameras: unmasked frames out", str(count), bound="0", holds=count == 0)


def _flat(name: str, samples: list[tuple[float, int]]) -> Result:
    """The last minute beside the third one."""
    what = f"{name}: resident memory, last minute beside the third"
    third = [size for moment, size in samples if 120 <= moment < 180]
    end = samples[-1][0] if samples else 0.0
    last = [size for moment, size in samples if moment >= end - 60]
    if end < MEMORY_MINUTES * 60:
        return Result(what, f"ran for {end:.0f} s only", bound="within 5 %")
    before, after = statistics.median(third), statistics.median(last)
    return Result(
        what,
        f"{after / 2**20:.0f} MiB",
        f"{before / 2**20:.0f} MiB",
        after / before,
        "within 5 %",
        abs(after / before - 1) <= MEMORY_BOUND,
    )
