"""The progress bar of the commands that work through a file."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mesh.local.terminal import MESSAGES


class _FramesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed else "")


def frame_progress() -> Progress:
    """Frames done, a bar, frames a second, time left; on standard error, and only where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _FramesPerSecond(),
        TimeRemainingColumn(),
        console=MESSAGES,
        disable=not MESSAGES.is_terminal,
    )
