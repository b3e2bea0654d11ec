"""How the demonstration shows itself: a live table on a terminal, a line now and then elsewhere, a summary."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from mesh.local.demo.tally import percentile
from mesh.local.terminal import OUT, say

if TYPE_CHECKING:
    from mesh.local.demo.tally import OpticTally, Tally
    from mesh.local.supervisor import Supervisor

_TABLE_SECONDS: Final = 0.5
_LINE_SECONDS: Final = 5.0


async def show(tally: Tally, supervisor: Supervisor, *, seconds: float | None) -> None:
    """Show the tally until the time is over; for ever if there is none."""
    end = None if seconds is None else time.monotonic() + seconds
    if not OUT.is_terminal:
        await _show_lines(tally, end)
        return
    with Live(table(tally, supervisor), console=OUT, refresh_per_second=4, transient=True) as live:
        while (pause := _pause(_TABLE_SECONDS, end)) > 0:
            await asyncio.sleep(pause)
            live.update(table(tally, supervisor))


async def _show_lines(tally: Tally, end: float | None) -> None:
    while (pause := _pause(_LINE_SECONDS, end)) > 0:
        await asyncio.sleep(pause)
        for name, optic in tally.optics.items():
            say(f"{name} {optic.state} " + ", ".join(f"{title} {cell}" for title, cell in _cells(optic).items()))


def _pause(period: float, end: float | None) -> float:
    return period if end is None else min(period, end - time.monotonic())


def table(tally: Tally, supervisor: Supervisor) -> Table:
    """One row per optic, and below what is wrong with any; fits 80 columns."""
    shown = Table(box=None, padding=(0, 1, 0, 0), caption=_caption(tally, supervisor), caption_justify="left")
    rows = [(_heading(name, optic), _cells(optic)) for name, optic in tally.optics.items()]
    shown.add_column("optic", overflow="fold")
    for title in rows[0][1]:
        shown.add_column(title, justify="right", no_wrap=True)
    for heading, cells in rows:
        shown.add_row(heading, *cells.values())
    return shown


def _caption(tally: Tally, supervisor: Supervisor) -> str:
    lines = [f"p50/p95: from capture to alert; restarts: {sum(supervisor.restarts.values())}"]
    lines += [
        f"{_short(name)}: {escape(optic.detail)}"
        for name, optic in tally.optics.items()
        if optic.detail and optic.state != "STREAMING"
    ]
    return "\n".join(lines)


def _short(name: str) -> str:
    return name.removeprefix("devices/").replace("/optics/main", "")


def _heading(name: str, optic: OpticTally) -> str:
    return f"[bold]{_short(name)}[/bold]\n{escape(optic.source)}\n{optic.state}"


def _cells(optic: OpticTally) -> dict[str, str]:
    return {
        "received": f"{optic.total('frames_received'):.0f}",
        "analysed": f"{optic.total('frames_analysed'):.0f}",
        "masked": f"{optic.total('frames_masked'):.0f}",
        "unmasked": f"{optic.total('unmasked_frames_out'):.0f}",
        "tracks": f"{optic.total('tracks'):.0f}",
        "alerts": str(optic.alerts),
        "p50/p95": _latency(optic),
    }


def _latency(optic: OpticTally) -> str:
    p50, p95 = percentile(optic.latencies, 0.5), percentile(optic.latencies, 0.95)
    return "-" if p50 is None or p95 is None else f"{p50:.2f}/{p95:.2f} s"


def summarise(tally: Tally, supervisor: Supervisor) -> None:
    """Print the last table and what it comes to."""
    OUT.print(table(tally, supervisor))
    OUT.print(f"unmasked frames out: {tally.unmasked_frames_out}, alerts: {tally.alerts}")
