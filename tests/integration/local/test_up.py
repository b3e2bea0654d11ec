"""``argo up`` from start to Ctrl-C, with all five services and the real model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from mesh.local.environment import SERVICES, inherited

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = Path("models").resolve()

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not any(MODELS.glob("*.onnx")), reason="needs the default model: run argo models pull"),
]


@contextmanager
def _up(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A running `argo up` and its children; it is told to stop when the block ends."""
    environment = inherited() | {"ARGO_MODEL_DIRECTORY": str(MODELS)}
    command = [sys.executable, "-m", "mesh.local.cli", "up", "--state", str(folder / "state")]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as runner:
        try:
            assert runner.stderr is not None
            said = []
            for line in runner.stderr:
                said.append(line)
                if "running" in line:
                    break
            assert runner.poll() is None, "".join(said)
            yield runner, psutil.Process(runner.pid).children(recursive=True)
        finally:
            if runner.poll() is None:
                runner.send_signal(signal.SIGINT)
            runner.wait(60)


def test_up_serves_stops_cleanly_and_finds_its_addresses_again(tmp_path: Path) -> None:
    addresses = []
    for _ in range(2):
        with _up(tmp_path) as (runner, children):
            endpoints = json.loads((tmp_path / "state" / "endpoints.json").read_text())
            assert set(endpoints["grpc"]) == set(SERVICES)
            addresses.append(endpoints["grpc"])
            assert len(children) >= len(SERVICES) + 2

        assert runner.returncode == 0
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert addresses[0] == addresses[1]


@pytest.mark.slow
def test_two_run_side_by_side_and_a_third_on_a_taken_folder_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with _up(one), _up(two):
        third = subprocess.run(
            [sys.executable, "-m", "mesh.local.cli", "up", "--state", str(one / "state")],
            env=inherited(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert third.returncode == 1
    assert "in use by another argo" in third.stderr


def test_services_end_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    with _up(tmp_path) as (runner, children):
        services = [child for child in children if "python" in child.name()]
        runner.kill()
        _, alive = psutil.wait_procs(services, timeout=20)

        assert len(services) == len(SERVICES)
        assert not alive
    # Its servers are found by the next run, which stops them before it starts its own.
    with _up(tmp_path) as (again, _):
        pass
    assert again.returncode == 0
