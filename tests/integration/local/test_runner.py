"""The runner with the real registry and the real embedded servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import grpc
import psutil
import pytest

from argo.registry.v1 import registry_service_pb2 as api
from argo.registry.v1 import registry_service_pb2_grpc, scene_pb2
from mesh.local.demo.registration import CameraRecord, open_registrar
from mesh.local.demo.scene import GENERIC_SCENE
from mesh.local.environment import MeshOptions
from mesh.local.errors import ProcessError
from mesh.local.runner import LocalMesh, last_words
from mesh.local.state import StateFolder
from mesh.rpc.channel import open_channel

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY_ALONE = MeshOptions(services=("registry",))


def _camera(number: int, *, port: int = 8554) -> CameraRecord:
    return CameraRecord(f"demo-camera-{number}", f"street {number}", f"127.0.0.1:{port}", "/stream", "", GENERIC_SCENE)


async def _register(mesh: LocalMesh, *cameras: CameraRecord) -> dict[str, str]:
    """Register, and read back: device name to address."""
    settings = mesh.settings_of("administrator/local")
    async with open_registrar(mesh.environments.target("registry"), mesh.settings_of) as registrar:
        await registrar.register(list(cameras))
    async with open_channel(mesh.environments.target("registry"), settings, peer="service/registry") as channel:
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
        devices = (await stub.ListDevices(api.ListDevicesRequest())).devices
        for device in devices:
            assert not device.refusals, device.refusals
            rules = await stub.ListRules(api.ListRulesRequest(parent=f"{device.name}/optics/main"))
            assert sorted(rule.name.rsplit("/", 1)[1] for rule in rules.rules) == ["crossing", "intrusion"]
            assert {rule.mode for rule in rules.rules} == {scene_pb2.Rule.MODE_LIVE}
    return {device.name: device.address for device in devices}


async def test_records_are_made_updated_removed_and_found_again_by_the_next_run(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as state:
        async with LocalMesh(state, REGISTRY_ALONE) as mesh:
            await mesh.start_services()
            assert await _register(mesh, _camera(1), _camera(2, port=8555)) == {
                "devices/demo-camera-1": "127.0.0.1:8554",
                "devices/demo-camera-2": "127.0.0.1:8555",
            }
            target = mesh.environments.target("registry")
            processes = [psutil.Process(pid) for pid in mesh.supervisor.pids.values() if pid]
    assert len(processes) == 3
    assert not any(process.is_running() for process in processes)

    with StateFolder(tmp_path / "state") as state:
        async with LocalMesh(state, REGISTRY_ALONE) as mesh:
            await mesh.start_services()
            assert mesh.environments.target("registry") == target
            assert await _register(mesh, _camera(1, port=8600)) == {"devices/demo-camera-1": "127.0.0.1:8600"}


@pytest.mark.parametrize("victim", ["registry", "nats", "postgres"])
async def test_killed_process_comes_back_and_serves(tmp_path: Path, victim: str) -> None:
    with StateFolder(tmp_path / "state") as state:
        async with LocalMesh(state, REGISTRY_ALONE) as mesh:
            await mesh.start_services()
            await _register(mesh, _camera(1))
            pid = mesh.supervisor.pids[victim]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(60):
                while mesh.supervisor.restarts[victim] == 0 or mesh.supervisor.pids[victim] in {None, pid}:
                    await asyncio.sleep(0.05)
                while True:
                    try:
                        assert await _register(mesh, _camera(1, port=8601)) == {
                            "devices/demo-camera-1": "127.0.0.1:8601"
                        }
                    except grpc.aio.AioRpcError:
                        await asyncio.sleep(0.2)
                    else:
                        break


async def test_two_meshes_run_side_by_side(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "one") as one, StateFolder(tmp_path / "two") as two:
        async with LocalMesh(one, REGISTRY_ALONE) as first, LocalMesh(two, REGISTRY_ALONE) as second:
            await asyncio.gather(first.start_services(), second.start_services())
            assert await _register(first, _camera(1)) == {"devices/demo-camera-1": "127.0.0.1:8554"}
            assert await _register(second, _camera(2)) == {"devices/demo-camera-2": "127.0.0.1:8554"}


async def test_addresses_are_written_for_other_clients(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as state:
        async with LocalMesh(state, REGISTRY_ALONE) as mesh:
            await mesh.start_services()
            endpoints = json.loads((state.path / "endpoints.json").read_text())
            assert endpoints["grpc"] == {"registry": mesh.environments.target("registry")}
            for identity in ("administrator/local", "operator/local", "authority/polizia-locale"):
                assert os.access(endpoints["certificates"][identity]["key"], os.R_OK)


async def test_service_that_refuses_to_start_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    options = MeshOptions(services=("registry",), settings={"registry": {"ARGO_LEASE_SECONDS": "never"}})
    before = set(psutil.Process().children(recursive=True))
    with StateFolder(tmp_path / "state") as state, pytest.raises(ProcessError) as caught:
        async with LocalMesh(state, options) as mesh:
            await mesh.start_services()

    assert "registry does not start" in caught.value.problem
    assert "ARGO_LEASE_SECONDS" in caught.value.problem
    started = set(psutil.Process().children(recursive=True)) - before
    # A server that other tests share starts processes of its own at any time.
    assert [process for process in started if before.isdisjoint(process.parents())] == []


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "it said nothing"),
        ("Traceback\nValueError: x\n", "ValueError: x"),
        ('{"event": "a", "problem": "no model"}\n{"event": "b"}\n', "no model"),
    ],
)
def test_last_words_are_the_problem_that_was_named(tmp_path: Path, log: str, words: str) -> None:
    (tmp_path / "x.log").write_text(log)

    assert last_words(tmp_path / "x.log") == words
