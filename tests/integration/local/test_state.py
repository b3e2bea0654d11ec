from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mesh.local import state
from mesh.local.errors import StateError
from mesh.local.ports import LOOPBACK, PortReservations
from mesh.local.state import StateFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_second_runner_on_the_same_folder_is_refused_and_told_whose_it_is(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state"):
        code = (
            "import pathlib, sys\n"
            "from mesh.local.state import StateFolder\n"
            "StateFolder(pathlib.Path(sys.argv[1])).__enter__()\n"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "state")], capture_output=True, text=True, check=False
        )

    assert other.returncode != 0
    assert f"in use by another argo (process {os.getpid()})" in other.stderr


def test_folder_is_free_again_after_its_runner(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        with StateFolder(tmp_path / "state") as folder:
            keys.add(folder.recording_key.read_text())

    assert len(keys) == 1


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as folder:
        files = folder.certificate("service/registry")
        for secret in (folder.recording_key, files.key):
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert len(bytes.fromhex(folder.recording_key.read_text())) == 32


def test_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(state, "MIN_FREE_BYTES", usage.total + 1)
    with pytest.raises(StateError, match="is full"), StateFolder(tmp_path / "state"):
        pass


def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="cannot be used"), StateFolder(tmp_path / "file" / "state"):
        pass


def test_reserved_port_is_kept_over_runs_and_can_be_listened_on(tmp_path: Path) -> None:
    with PortReservations(tmp_path / "ports.json") as ports:
        first = ports.reserve("registry")
        assert ports.reserve("registry") == first
        with socket.create_server((LOOPBACK, first)):
            pass
    with PortReservations(tmp_path / "ports.json") as ports:
        assert ports.reserve("registry") == first


def test_two_runners_never_share_a_port(tmp_path: Path) -> None:
    with PortReservations(tmp_path / "one.json") as one:
        port = one.reserve("console")
        (tmp_path / "two.json").write_text(json.dumps({"console": port}))
        with PortReservations(tmp_path / "two.json") as two:
            assert two.reserve("console") != port


def test_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"registry": taken}))
        with PortReservations(tmp_path / "ports.json") as ports:
            assert ports.reserve("registry") != taken


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"registry": "x"}', '{"registry": 70000}'])
def test_damaged_port_file_is_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)
    with PortReservations(tmp_path / "ports.json") as ports:
        port = ports.reserve("registry")
    assert json.loads((tmp_path / "ports.json").read_text()) == {"registry": port}
