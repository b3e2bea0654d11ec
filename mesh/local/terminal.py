"""What the commands share: plain messages, signals, the state folder's option."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import grpc
import structlog
from rich.console import Console

from mesh.errors import ArgoError, StartupError
from mesh.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

OUT: Final = Console(highlight=False)
"""Standard output: results."""

MESSAGES: Final = Console(stderr=True, highlight=False)
"""Standard error: progress and problems."""

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".argo"),
    show_default=True,
    help="Folder of data, certificates and logs.",
)


def say(step: str) -> None:
    """Tell about a step, on standard error."""
    MESSAGES.print(f"[dim]argo:[/dim] {step}", soft_wrap=True)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """Run a command's coroutine; SIGINT or SIGTERM cancels it, and its context managers stop everything in order.

    A second signal ends this process at once; its children end with it.

    Returns:
        What the coroutine returned; None if it was stopped by a signal.

    Raises:
        click.ClickException: with a plain message, for every error that a person can put right.
    """
    try:
        return asyncio.run(_with_signals(work()))
    except asyncio.CancelledError:
        return None
    except StartupError as error:
        raise failure(error.problem, error.remedy) from None
    except ArgoError as error:
        raise failure(str(error)) from None
    except grpc.aio.AioRpcError as error:
        raise failure(*explain(error)) from None
    except OSError as error:
        raise failure(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")) from None


def log_to(folder: Path) -> None:
    """Send the runner's own log to a file among those of the services: the terminal is for people."""
    file = (folder / "runner.log").open("a", buffering=1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file),
    )


def failure(problem: str, remedy: str = "") -> click.ClickException:
    """An exception that ends the command with a plain message and status 1."""
    return click.ClickException(f"{problem}\n       {remedy}" if remedy else problem)


def explain(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """What to say, and to advise, about a call that a service refused."""
    known = from_rpc_error(error)
    wrong = "; ".join(f"{violation.field}: {violation.description}" for violation in known.violations)
    remedy = "see the services' logs in the state folder" if known.code in {"UNAVAILABLE", "UNKNOWN"} else ""
    return f"{known.message} ({known.reason})" + (f": {wrong}" if wrong else ""), remedy


async def _with_signals(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work, name="command")
    stopping = False

    def stop(number: int) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        say("stopping")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    return await task
