"""The service as a process: how it starts, says what is wrong, ends, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from mesh.authority import CertificateAuthority
from mesh.bus import Bus, StreamSpec
from mesh.embedded import EmbeddedPostgres, free_port
from mesh.rpc.channel import open_channel
from mesh.settings import ServiceSettings
from mesh.testing import embedded_nats, embedded_postgres, environment_of, settings_of
from tests.integration.alerting.support import batch, event

ROOT = Path(__file__).parents[3]
EVENTS = StreamSpec("ARGO_EVENTS", ("argo.v1.event.>",))


def environment(authority: CertificateAuthority, **values: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ARGO_")}
    nowhere = "127.0.0.1:1"
    defaults = {"registry": nowhere, "camera_gateway": nowhere, "anonymizer": nowhere, "nats_url": "nats://127.0.0.1:1"}
    path = os.pathsep.join([str(ROOT), str(ROOT / "protos/gen")])
    return inherited | {"PYTHONPATH": path} | environment_of(authority, "service/alerting", **{**defaults, **values})


async def finished(environ: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Runs the service to its end: status, what it printed, what it logged and complained of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alerting", *arguments, env=dict(environ), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


class Running:
    """A running service and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, name: str) -> dict[str, Any]:
        """Reads the log up to an event; the test's timeout is the limit."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                entry: dict[str, Any] = json.loads(line)
                if entry.get("event") == name:
                    return entry
        raise AssertionError(f"the service ended without {name}")


@asynccontextmanager
async def running(environ: Mapping[str, str]) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alerting",
        env=dict(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with embedded_postgres(tmp_path / "postgres") as server:
        yield server


async def test_without_its_tables_it_says_what_to_do_and_with_them_it_ends_in_good_order(
    authority: CertificateAuthority, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    environ = environment(authority, postgres_dsn=await postgres.ensure_service("alerting"))

    status, _, complaint = await finished(environ)
    assert status == 2
    assert "alerting migrate --phase pre" in complaint
    assert "Traceback" not in complaint

    status, printed, _ = await finished(environ, "migrate", "--phase", "pre")
    pre = len(list((ROOT / "alerting/sql/migrations").glob("*_pre_*.sql")))
    audit = len(list((ROOT / "mesh/sql/migrations").glob("*_pre_*.sql")))
    assert (status, f"{pre + audit} migrations applied" in printed) == (0, True)
    assert (await finished(environ, "migrate", "--phase", "post"))[0] == 0
    export = ("export-flows", "--output", str(tmp_path / "flows"), "--format")
    assert (await finished(environ, *export, "ngsi-ld"))[0] == 0
    assert (tmp_path / "flows").read_text() == "[]"
    status, _, complaint = await finished(environ, *export, "datex2", "--site", "sites/nowhere")
    assert (status, complaint.strip()) == (2, "export-flows: nothing is counted at sites/nowhere")

    async with running(environ) as service:
        await service.until("service.ready")
        service.process.terminate()
        await service.until("service.stopped")
        assert await service.process.wait() == 0


async def test_a_wrong_environment_is_told_at_once_and_whole(authority: CertificateAuthority) -> None:
    environ = environment(authority, postgres_dsn="x", group_seconds="often", console_token="short", colour="red")

    status, _, complaint = await finished(environ, "--check-config")
    assert status == 2
    for name in ("ARGO_GROUP_SECONDS", "ARGO_CONSOLE_TOKEN", "ARGO_COLOUR"):
        assert name in complaint
    assert "short" not in complaint


async def test_killed_and_started_again_it_has_every_alert_once(
    tmp_path: Path, authority: CertificateAuthority, postgres: EmbeddedPostgres
) -> None:
    async with (
        embedded_nats(tmp_path / "nats", authority) as nats,
        Bus.connect(nats.url, name="detector", tls=authority.issue("service/detector")) as bus,
    ):
        await bus.wait_connected(10)
        await bus.declare(EVENTS)
        target = f"127.0.0.1:{free_port()}"
        environ = environment(
            authority, postgres_dsn=await postgres.ensure_service("alerting"), nats_url=nats.url, grpc_listen=target,
            migrate_on_start="true",
        )  # fmt: skip
        names: list[str] = []
        for _ in range(3):
            async with running(environ) as service:
                await service.until("service.ready")
                message = event(rule=f"rule-{len(names)}")
                names.append(f"alerts/a-{message.event_id}")
                await bus.publish("argo.v1.event.alimonda.north", batch(message), message_id=message.event_id)
                # Leaving the block kills it, before or after it has dealt with the event.

        async with (
            running(environ) as service,
            open_channel(
                target, settings_of(authority, "operator/rossi", ServiceSettings), peer="service/alerting"
            ) as channel,
        ):
            await service.until("service.ready")
            stub = AlertServiceStub(channel)
            seen: dict[str, int] = {}
            async for change in stub.WatchAlerts(v1.WatchAlertsRequest(reason="test")):
                if change.HasField("updated"):
                    seen[change.updated.name] = change.updated.event_count
                if len(seen) == len(names):
                    break
        assert seen == dict.fromkeys(names, 1)
