"""A measurement that is stopped cleans up behind itself."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

MEASUREMENT = """
import asyncio, contextlib, signal, sys, time
from bench import __main__ as bench

@contextlib.asynccontextmanager
async def world():
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("processes stopped", flush=True)

async def with_a_loop():
    async with world():
        print("running", flush=True)
        await asyncio.Event().wait()

def without_a_loop():
    try:
        print("running", flush=True)
        while True:
            time.sleep(60)
    finally:
        print("processes stopped", flush=True)

work = {"loop": lambda: asyncio.run(with_a_loop()), "no loop": without_a_loop}[sys.argv[1]]
bench.PARTS = {"endless": lambda video, seconds: work()}
sys.argv[1:] = ["--video", "none", "--only", "endless"]
# As in the background of a shell.
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(bench.main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["loop", "no loop"])
def test_a_signal_ends_a_measurement_in_order(kind: str, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", MEASUREMENT, kind], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"

        process.send_signal(number)

        assert process.stdout.read() == "processes stopped\n"
    assert process.returncode == 128 + signal.SIGINT
