from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from mesh import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SERVICE = Path(__file__).with_name("service.py")


class Process:
    """The service as a child process, and what it has printed."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self.lines: list[str] = []

    async def until(self, event: str) -> dict[str, Any]:
        """Reads on until an event or a said line."""
        assert self.child.stdout is not None
        async for line in self.child.stdout:
            text = line.decode().strip()
            self.lines.append(text)
            if text == f"said {event}":
                return {}
            if text.startswith("{") and json.loads(text)["event"] == event:
                found: dict[str, Any] = json.loads(text)
                return found
        raise AssertionError(f"no {event} in {self.lines}")

    async def end(self) -> tuple[int, str]:
        """Waits for the end: exit status and standard error."""
        output, errors = await self.child.communicate()
        self.lines += output.decode().splitlines()
        assert self.child.returncode is not None
        return self.child.returncode, errors.decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def story(self) -> list[str]:
        """Events and said lines in their order."""
        return [
            json.loads(line)["event"] if line.startswith("{") else line.removeprefix("said ") for line in self.lines
        ]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    environment = testing.environment_of(testing.certificate_authority(tmp_path), "service/registry")
    running: list[asyncio.subprocess.Process] = []

    async def start(behaviour: str, *arguments: str, **settings: str | None) -> Process:
        changed = {f"ARGO_{name.upper()}": value for name, value in settings.items()}
        variables = {**os.environ, **environment, **changed, "BEHAVIOUR": behaviour}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SERVICE),
            *arguments,
            env={name: value for name, value in variables.items() if value is not None},
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        running.append(child)
        return Process(child)

    yield start
    for child in running:
        if child.returncode is None:
            child.kill()
            await child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything_in_order(run: Any, number: signal.Signals) -> None:
    service = await run("serves")
    await service.until("service.ready")
    service.child.send_signal(number)

    status, errors = await service.end()

    assert (status, errors) == (0, "")
    assert service.story == [
        "service.starting", "open pool", "open bus", "service.ready", "service.stopping", "service.draining",
        "drain streams", "drain sessions", "task cancelled", "close bus", "close pool", "service.stopped",
    ]  # fmt: skip


async def test_a_second_signal_ends_at_once(run: Any) -> None:
    service = await run("hangs", shutdown_grace_seconds="1000")
    await service.until("service.ready")
    service.child.send_signal(signal.SIGTERM)
    await service.until("drain streams")
    service.child.send_signal(signal.SIGTERM)

    status, _ = await service.end()

    assert status == 128 + signal.SIGTERM
    assert "close pool" not in service.story


async def test_a_drain_step_that_hangs_is_given_up(run: Any) -> None:
    service = await run("hangs", shutdown_grace_seconds="0.1")
    await service.until("service.ready")
    service.child.send_signal(signal.SIGTERM)

    status, _ = await service.end()

    assert status == 0
    assert service.story.count("drain.failed") == 2
    assert service.story[-2:] == ["close pool", "service.stopped"]


@pytest.mark.parametrize("behaviour", ["raises", "returns"])
async def test_a_dead_task_ends_the_process(run: Any, behaviour: str) -> None:
    service = await run(behaviour)

    status, _ = await service.end()

    died = [event for event in service.events if event["level"] == "error"]
    assert status == 1
    assert [(event["event"], event["task"]) for event in died] == [("task.died", "decoder")]
    assert service.story[-1] == "service.stopped"
    assert "drain streams" in service.story
    assert "hunter2" not in "".join(service.lines)


async def test_a_task_that_dies_while_the_service_warms_up_ends_the_process(run: Any) -> None:
    service = await run("dies_while_warming")

    status, _ = await service.end()

    assert status == 1
    assert "service.ready" not in service.story
    assert service.story[-3:] == ["close bus", "close pool", "service.stopped"]


async def test_a_signal_while_the_service_warms_up_stops_it(run: Any) -> None:
    service = await run("warms")
    await service.until("warming")
    service.child.send_signal(signal.SIGTERM)

    status, _ = await service.end()

    assert status == 0
    assert "service.ready" not in service.story
    assert "close pool" in service.story


async def test_probes_and_metrics_answer(run: Any) -> None:
    service = await run("serves", drain_delay_seconds="1000")
    ready = await service.until("service.ready")
    base = f"http://{ready['http']}"
    async with aiohttp.ClientSession() as client:

        async def get(path: str) -> tuple[int, str]:
            async with client.get(base + path) as response:
                return response.status, await response.text()

        warm = [(await get(path))[0] for path in ("/healthz", "/readyz")]
        metrics = (await get("/metrics"))[1]
        service.child.send_signal(signal.SIGTERM)
        await service.until("service.draining")
        draining = [(await get(path))[0] for path in ("/healthz", "/readyz")]

    assert warm == [200, 200]
    assert draining == [200, 503]
    assert "argo_event_loop_lag_seconds" in metrics
    assert "process_resident_memory_bytes" in metrics


@pytest.mark.parametrize("variable", ["grpc_listen", "http_listen"])
async def test_a_port_in_use_is_one_plain_line(run: Any, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        service = await run("serves", **{variable: address})
        status, errors = await service.end()

    assert status == 2
    problem = f"cannot listen on {address}: the port is in use or the address is not of this machine"
    assert errors == f"registry: {problem}: stop the other process or choose another port\n"
    assert "Traceback" not in "".join(service.lines)
    assert "service.refused" in service.story


async def test_wrong_settings_are_all_told_at_once(run: Any) -> None:
    service = await run("serves", tls_key=None, log_level="loud", grpc_lisen="x", trust_domain="hunter2")
    status, errors = await service.end()

    assert status == 2
    assert all(name in errors for name in ("ARGO_TLS_KEY", "ARGO_LOG_LEVEL", "ARGO_GRPC_LISEN"))
    assert "Traceback" not in errors
    assert "hunter2" not in errors


async def test_a_missing_certificate_is_told_plainly(run: Any) -> None:
    service = await run("serves", tls_key="/nowhere/key.pem")
    status, errors = await service.end()

    assert status == 2
    assert errors.startswith("registry: cannot read /nowhere/key.pem: No such file or directory")
    assert "Traceback" not in errors + "".join(service.lines)


async def test_a_refusal_of_the_composition_is_told_plainly(run: Any) -> None:
    service = await run("refuses")
    status, errors = await service.end()

    assert (status, errors) == (
        2,
        "registry: the model yolox has a wrong digest: fetch it again with argo models pull\n",
    )
    assert "close pool" in service.story


async def test_an_unexpected_error_at_start_is_logged_with_its_traceback(run: Any) -> None:
    service = await run("breaks")
    status, errors = await service.end()

    failed = [event for event in service.events if event["event"] == "service.failed"]
    assert (status, errors) == (1, "")
    assert failed[0]["exception"][0]["exc_value"] == "a bug"


async def test_check_config_prints_the_settings_and_ends(run: Any) -> None:
    service = await run("serves", "--check-config", environment="staging")
    status, errors = await service.end()

    assert (status, errors) == (0, "")
    assert "environment = staging" in service.lines
    assert service.events == []


async def test_a_command_gets_its_arguments_and_gives_the_status(run: Any) -> None:
    service = await run("serves", "migrate", "--phase", "pre")
    status, _ = await service.end()

    assert status == 7
    assert "said migrate local ['--phase', 'pre']" in service.lines
