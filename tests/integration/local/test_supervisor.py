"""The supervisor over real child processes, each of which only this test starts and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from mesh.local.errors import ProcessError
from mesh.local.process import ChildProcess
from mesh.local.restart import RestartPolicy
from mesh.local.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def _child(folder: Path, name: str, code: str, *, grace_seconds: float = 5.0) -> ChildProcess:
    command = (sys.executable, "-I", "-S", "-c", code)
    return ChildProcess(name, command, folder / f"{name}.log", dict(os.environ), grace_seconds)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def _is_up(child: ChildProcess, times: int = 1) -> bool:
    return child.log_file.exists() and child.log_file.read_text().count("up") == times


async def test_killed_process_is_back_with_its_restart_counted(tmp_path: Path) -> None:
    child = _child(tmp_path, "sleeper", SLEEPER)
    async with Supervisor() as supervisor:
        await supervisor.start(child)
        await _until(lambda: _is_up(child))
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await _until(lambda: _is_up(child, 2))

        assert child.pid not in {None, first}
        assert supervisor.restarts == {"sleeper": 1}
    assert child.pid is None


async def test_crash_loop_slows_down(tmp_path: Path) -> None:
    child = _child(tmp_path, "crasher", "print('up', flush=True)")
    policy = RestartPolicy(first_delay=0.01, longest_delay=600.0, healthy_after=600.0)
    async with Supervisor(policy) as supervisor:
        await supervisor.start(child)
        await _until(lambda: supervisor.restarts["crasher"] >= 3)
    # 0.01 s, 0.02 s, 0.04 s, ...: without the growing delay the log would hold hundreds of starts.
    assert child.log_file.read_text().count("up") < 15


async def test_stop_is_in_the_reverse_order_of_the_start(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    with open({order!r}, 'a') as file: file.write('{name} ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)\n"
    )
    children = [_child(tmp_path, name, code.format(order=str(order), name=name)) for name in ("one", "two", "three")]
    async with Supervisor() as supervisor:
        for child in children:
            await supervisor.start(child)
        await _until(lambda: all(_is_up(child) for child in children))

    assert order.read_text().split() == ["three", "two", "one"]


async def test_process_that_ignores_the_signal_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = _child(tmp_path, "stubborn", STUBBORN, grace_seconds=0.3)
    async with Supervisor() as supervisor:
        await supervisor.start(child)
        await _until(lambda: _is_up(child))

    assert await child.wait() == -signal.SIGKILL


async def test_children_die_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    code = (
        "import asyncio, os, pathlib, sys\n"
        "from mesh.local.process import ChildProcess\n"
        "async def main():\n"
        f"    command = (sys.executable, '-I', '-S', '-c', {SLEEPER!r})\n"
        f"    child = ChildProcess('child', command, pathlib.Path({str(log)!r}), dict(os.environ))\n"
        "    await child.start(); print(child.pid, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    runner = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert runner.stdout is not None
    child = psutil.Process(int(await runner.stdout.readline()))
    await _until(lambda: log.exists() and "up" in log.read_text())
    runner.kill()
    await runner.wait()

    await _until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_log_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    child = ChildProcess("service", (sys.executable, "-c", ""), tmp_path / "file" / "service.log")
    with pytest.raises(ProcessError, match="service cannot be started"):
        await child.start()
