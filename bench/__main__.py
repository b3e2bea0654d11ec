"""``python -m bench``: runs the measurements and prints one table."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    alarms,
    audit,
    batching,
    flows,
    gateway,
    models,
    real_time,
    redaction,
    registry_reads,
    registry_scale,
    road,
    scorecard,
    search,
    tracking,
    viewing,
)
from bench.results import Result
from bench.scripted import measuring as scripted
from mesh.local.sample import ensure_sample

REAL_TIME_SECONDS = 600.0

PARTS: Mapping[str, Callable[[Path, float | None], list[Result]]] = {
    "road": lambda video, _seconds: road.measure(video),
    "scorecard": lambda video, _seconds: scorecard.measure(video),
    "scripted": lambda _video, _seconds: scripted.results(),
    "redaction": lambda _video, _seconds: redaction.measure(),
    "registry": lambda _video, _seconds: [*registry_reads.measure(), *registry_scale.measure()],
    "batching": lambda video, seconds: batching.measure(video, seconds or batching.LOAD_SECONDS),
    "models": lambda video, _seconds: models.measure(video),
    "tracking": lambda video, _seconds: tracking.measure(video),
    "search": lambda _video, _seconds: search.measure(),
    "viewing": lambda video, _seconds: viewing.measure(video),
    "alarms": lambda _video, seconds: alarms.measure(seconds or alarms.KILLING_SECONDS),
    "flows": lambda _video, _seconds: flows.measure(),
    "audit": lambda _video, _seconds: audit.measure(),
    "gateway": lambda video, _seconds: gateway.measure(video),
    "outage": lambda video, seconds: gateway.measure_outage(video, seconds or gateway.OUTAGE_SECONDS),
    "real-time": lambda video, seconds: real_time.measure(video, seconds or REAL_TIME_SECONDS),
}
"""By name: measures a video, in real time for so many seconds; None: for the part's own time."""


def end_in_order() -> None:
    """SIGTERM ends a measurement as SIGINT does: its context managers stop the processes and remove what they left."""
    # A shell that starts it in the background has SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))


def main() -> int:
    """Runs what is asked for; the exit status is 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--video", type=Path, help="the file to measure on; default: the sample video")
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"of the real-time run (default {REAL_TIME_SECONDS:g}; memory needs 240 or more) "
        f"and of the gateway's outage (default {gateway.OUTAGE_SECONDS:g})",
    )
    parser.add_argument("--only", choices=sorted(PARTS), help="one part alone")
    arguments = parser.parse_args()
    end_in_order()
    video = (arguments.video or ensure_sample()).resolve()
    chosen = [arguments.only] if arguments.only else list(PARTS)
    try:
        results = [result for part in chosen for result in PARTS[part](video, arguments.seconds)]
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    _print(results, video)
    return 0 if all(result.holds is not False for result in results) else 1


def _print(results: list[Result], video: Path) -> None:
    table = Table(title=f"ARGO on {video.name}", title_justify="left")
    for column in ("what", "measured", "against", "ratio", "bound", ""):
        table.add_column(column)
    for result in results:
        table.add_row(*result.cells())
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    sys.exit(main())
