"""The life of a service process: settings, logs, resources, server; then signals, drain and an orderly end.

Exit status: 0 after a stop by signal, 1 when something broke while it ran, 2 when it could not start and a person can
put it right.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from mesh import http, logging, tracing
from mesh.errors import ArgoError, StartupError
from mesh.rpc.server import GrpcServer
from mesh.settings import S, SettingsError, describe, load

if TYPE_CHECKING:
    from aiohttp import web

log = structlog.get_logger()

T = TypeVar("T")
Command = Callable[[S, list[str]], Awaitable[int]]

_OK, _BROKEN, _CANNOT_START = 0, 1, 2


class Application(Generic[S]):
    """What a composition root works with.

    Attributes:
        name: of the service, for example ``"camera-gateway"``.
        settings: of the service.
        metrics: the registry that ``/metrics`` shows.
        grpc: the server; add servicers and policies to it.
        http: the application with metrics and health; it is already being served, so it takes no more routes.
        stopping: set when the process begins to stop.
    """

    def __init__(self, name: str, settings: S) -> None:
        """Prepares an application; nothing runs yet.

        Raises:
            StartupError: the certificate files cannot be read.
        """
        self.name = name
        self.settings = settings
        self.metrics = http.new_registry()
        self.grpc = GrpcServer(settings, self.metrics)
        self.stopping = asyncio.Event()
        self.http: web.Application = http.health_application(self.metrics, lambda: self._ready)
        self._ready = False
        self._failed_task: str | None = None
        self._resources = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drains: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Opens a resource that is closed when everything else has ended, in reverse order."""
        return await self._resources.enter_async_context(resource)

    def spawn(self, name: str, task: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a background task that must live as long as the process, which otherwise ends with status 1."""
        running = asyncio.create_task(self._supervise(name, task), name=name)
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)
        return running

    def on_drain(self, name: str, callback: Callable[[], Awaitable[None]]) -> None:
        """Has ``callback`` run at the stop, in order: after health says NOT_SERVING, before the gRPC server stops."""
        self._drains.append((name, callback))

    async def _supervise(self, name: str, task: Coroutine[Any, Any, None]) -> None:
        try:
            await task
            if self.stopping.is_set():
                return
            log.error("task.died", task=name, problem="it returned before the service was stopped")
        except asyncio.CancelledError:
            raise
        except Exception:
            if self.stopping.is_set():
                log.warning("task.failed_while_stopping", task=name, exc_info=True)
                return
            log.exception("task.died", task=name, problem="it raised an exception")
        self._failed_task = name
        self.stopping.set()

    async def run(self, compose: Callable[[Application[S]], Awaitable[None]]) -> int:
        """Runs from composition to the end.

        Returns:
            The exit status.

        Raises:
            StartupError, ArgoError, OSError: it cannot start.
        """
        started = time.monotonic()
        async with self._resources:
            try:
                address = await self.enter(http.serve_web(self.http, self.settings.http_listen))
                self.spawn("loop-lag", http.watch_loop_lag(self.metrics))
                if await self._compose(compose):
                    await self.grpc.start()
                    await self.grpc.serving()
                    # What was loaded until now stays: the collector would walk it again and again, all threads waiting.
                    gc.collect()
                    gc.freeze()
                    self._ready = True
                    log.info(
                        "service.ready",
                        grpc=self.grpc.address,
                        http=address,
                        warm_up_seconds=round(time.monotonic() - started, 3),
                    )
                    await self.stopping.wait()
                    await self._drain()
            finally:
                self.stopping.set()
                await self._cancel_tasks()
        log.info("service.stopped", failed_task=self._failed_task)
        return _OK if self._failed_task is None else _BROKEN

    async def _compose(self, compose: Callable[[Application[S]], Awaitable[None]]) -> bool:
        """Composes and warms up; false if the stop came first."""
        composing = asyncio.ensure_future(compose(self))
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({composing, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not composing.done():
                return False
            await composing
            return not self.stopping.is_set()
        finally:
            stop.cancel()
            composing.cancel()
            await asyncio.gather(stop, composing, return_exceptions=True)

    async def _drain(self) -> None:
        settings = self.settings
        self._ready = False
        log.info("service.draining", failed_task=self._failed_task, grace_seconds=settings.shutdown_grace_seconds)
        await self.grpc.drain()
        await asyncio.sleep(settings.drain_delay_seconds)
        for name, callback in self._drains:
            try:
                async with asyncio.timeout(settings.shutdown_grace_seconds):
                    await callback()
            except Exception:
                log.warning("drain.failed", step=name, exc_info=True)
        await self.grpc.stop(settings.shutdown_grace_seconds)

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=self.settings.shutdown_grace_seconds)
            for task in stuck:
                log.warning("task.stuck", task=task.get_name())


def main(
    name: str,
    settings_type: type[S],
    compose: Callable[[Application[S]], Awaitable[None]],
    *,
    commands: Mapping[str, Command[S]] | None = None,
) -> int:
    """The whole of a service's ``__main__``: reads the environment and the arguments, and serves until a signal.

    Args:
        name: of the service.
        settings_type: its settings.
        compose: opens resources, adds servicers, spawns tasks, warms up; when it returns, the service is ready.
        commands: other things that this program can do (``migrate``), by name; they get the rest of the arguments and
            return the exit status.

    Returns:
        The exit status, see the module.
    """
    commands = commands or {}
    arguments = _parse(name, sorted(commands))
    try:
        settings = load(settings_type, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return _CANNOT_START
    if arguments.check_config:
        return _check(name, settings)
    logging.configure(name, settings)
    if arguments.command is not None:
        return _run(name, _run_command(commands[arguments.command], settings, arguments.arguments))
    return _run(name, _serve(name, settings, compose))


def _run(name: str, work: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(work)
    except (StartupError, ArgoError, OSError) as error:
        return _refuse(name, error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception:
        log.exception("service.failed", problem="unexpected error")
        return _BROKEN
    finally:
        tracing.shutdown()


def _parse(name: str, commands: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=name, description="Serves until SIGTERM or SIGINT when no command is given.")
    parser.add_argument(
        "--check-config", action="store_true", help="check the environment, print the settings, and end"
    )
    parser.add_argument("command", nargs="?", choices=commands or None, help="something else to do instead of serving")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the command")
    return parser.parse_args()


def _check(name: str, settings: S) -> int:
    try:
        settings.tls.read()
    except StartupError as error:
        return _refuse(name, error)
    for field, value in describe(settings).items():
        sys.stdout.write(f"{field} = {value}\n")
    return _OK


async def _run_command(command: Command[S], settings: S, arguments: list[str]) -> int:
    return await command(settings, arguments)


async def _serve(name: str, settings: S, compose: Callable[[Application[S]], Awaitable[None]]) -> int:
    log.info("service.starting", settings=describe(settings), python=sys.version.split()[0])
    tracing.configure(name, settings)
    application = Application(name, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, number, application.stopping)
    return await application.run(compose)


def _on_signal(number: signal.Signals, stopping: asyncio.Event) -> None:
    if stopping.is_set():
        log.warning("service.aborted", signal=number.name)
        os._exit(128 + number)
    log.info("service.stopping", signal=number.name)
    stopping.set()


def _refuse(name: str, error: StartupError | ArgoError | OSError) -> int:
    """Tells in one plain line why the service cannot start; nobody needs the traceback of a port in use."""
    log.error("service.refused", problem=str(error), remedy=getattr(error, "remedy", None))
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{name}: {error}\n")
    return _CANNOT_START
