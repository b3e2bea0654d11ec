"""``python -m bench``: runs the measurements and prints one table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import real_time, road
from bench.results import Result
from mesh.local.sample import ensure_sample

REAL_TIME_SECONDS = 600.0


def main() -> int:
    """Runs what is asked for; the exit status is 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--video", type=Path, help="the file to measure on; default: the sample video")
    parser.add_argument(
        "--seconds", type=float, default=REAL_TIME_SECONDS, help="of the real-time run; memory needs 240 or more"
    )
    parser.add_argument("--only", choices=["road", "real-time"], help="one part alone")
    arguments = parser.parse_args()
    video = (arguments.video or ensure_sample()).resolve()
    results: list[Result] = []
    if arguments.only != "real-time":
        results += road.measure(video)
    if arguments.only != "road":
        results += real_time.measure(video, arguments.seconds)
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
