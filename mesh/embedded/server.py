"""A server as a child process with a data folder, whatever it serves.

It listens on 127.0.0.1 only. Its data stays in the folder between runs. A server whose parent was killed is found
again by its process file and stopped before a new one starts; a folder that another living process uses is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from typing import IO, TYPE_CHECKING, Self

import psutil

from mesh.errors import StartupError

if TYPE_CHECKING:
    import signal
    from pathlib import Path
    from types import TracebackType


LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.05


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class EmbeddedServer(ABC):
    """A server as a child process with a folder of its own. Use as an async context manager, or call start and stop."""

    kind: str
    stop_signal: signal.Signals

    def __init__(self, folder: Path, *, port: int | None = None, start_timeout: float = 60.0) -> None:
        """Prepares a server; nothing runs yet.

        Args:
            folder: of this server alone; is made if it does not exist.
            port: of 127.0.0.1; a free one is chosen if none is given, and kept over a restart.
            start_timeout: seconds after which a server that does not answer counts as failed.
        """
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.log_file = self.folder / f"{self.kind}.log"
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Starts the server and returns when it answers; does nothing if it runs.

        Raises:
            StartupError: the folder is in use or cannot be written, the program is missing, or it does not come up.
        """
        if self.is_running:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._acquire()
            await self._stop_orphan()
            await self._prepare()
            self._process = await asyncio.to_thread(self._launch)
            self._remember_process(self._process.pid)
            await self._wait_until_ready()
        except OSError as error:
            await self.stop()
            raise StartupError(f"cannot start {self.kind} in {self.folder}: {error}", self._remedy(error)) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops the server in good order, or by force after ten seconds; the data stays."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(self.stop_signal)
            try:
                await asyncio.to_thread(self._process.wait, 10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        if self._lock is not None:
            (self.folder / "process.json").unlink(missing_ok=True)
            self._release()

    def kill(self) -> None:
        """Kills the process and its children at once (SIGKILL), as when its machine fails; ``start`` brings it back.

        PostgreSQL's sessions are processes of their own, which would serve a last request after the server's death.
        """
        if self._process is None:
            return
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait()
        psutil.wait_procs(children)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def _prepare(self) -> None: ...

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    async def _answers(self) -> bool: ...

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a program of an installed package, arguments of our own
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _acquire(self) -> None:
        # The lock is the kernel's and ends with this process, however it ends; the child does not inherit it.
        if self._lock is not None:
            return
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StartupError(
                f"the folder {self.folder} is in use by another running ARGO", "stop that one, or choose another folder"
            ) from None
        self._lock = lock

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _remember_process(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error):
            content = {"pid": pid, "created": psutil.Process(pid).create_time()}
            (self.folder / "process.json").write_text(json.dumps(content))

    async def _stop_orphan(self) -> None:
        """Ends the server that an earlier, killed parent left behind on this folder (we hold the folder's lock)."""
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            remembered = json.loads((self.folder / "process.json").read_text())
            orphan = psutil.Process(remembered["pid"])
            # A process id is used again after a while; together with the start time it is not.
            if orphan.create_time() == remembered["created"]:
                orphan.send_signal(self.stop_signal)
                await asyncio.to_thread(orphan.wait, 10)

    async def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + self._start_timeout
        while not await self._answers():
            if not self.is_running or time.monotonic() > give_up_at:
                raise StartupError(
                    f"{self.kind} did not start: {_last_line(self.log_file)}",
                    f"see {self.log_file} for the whole story",
                )
            await asyncio.sleep(_POLL_SECONDS)

    def _remedy(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            return "install ARGO's requirements again (make setup)"
        return "check that the folder is writable and its disk is not full"


def _last_line(log: Path) -> str:
    try:
        return last_sentence(log.read_text(errors="replace"))
    except OSError:
        return "it left no log"


def last_sentence(text: str) -> str:
    """The last line that says something, at most 300 characters: mostly the reason of a failure."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
