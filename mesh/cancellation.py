"""Cancellations that get lost on their way."""

from __future__ import annotations

import asyncio


def stay_cancelled() -> None:
    """Ends the current task if it was cancelled, for loops around a client that forgets that.

    nats-py's ``close`` takes a cancellation of its caller for one of its own tasks, and before Python 3.12 ``wait_for``
    loses one that comes just when its work is done.

    Raises:
        CancelledError: the task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
