"""The registry as a process of its own, as the cluster and the local mode start it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedPostgres
from mesh.rpc.channel import open_channel
from mesh.testing import environment_of, settings_of
from tests.contract.registry.support import Administrator, Gateway, TestSettings

ROOT = Path(__file__).parents[3]


def environment(authority: CertificateAuthority, dsn: str, **more: str) -> dict[str, str]:
    values = {"postgres_dsn": dsn, "camera_networks": "10.0.0.0/8,fd00:a::/32", "shutdown_grace_seconds": "2", **more}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
        **environment_of(authority, "service/registry", **values),
    }


async def run(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "registry", *arguments,
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@contextlib.asynccontextmanager
async def served(env: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any], list[str]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "registry", env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(60):
            while not lines or "service.ready" not in lines[-1]:
                line = (await process.stdout.readline()).decode()
                assert line, "".join(lines)
                lines.append(line)
        yield process, json.loads(lines[-1]), lines
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
        lines += rest.decode().splitlines()


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "authority")


@pytest.fixture
async def service_dsn(postgres_server: EmbeddedPostgres, empty_dsn: str) -> str:
    """A database of its own, and the role that owns nothing in it but its schema."""
    role_dsn = await postgres_server.ensure_service("registry")
    connection = await asyncpg.connect(empty_dsn)
    try:
        await connection.execute("CREATE SCHEMA registry AUTHORIZATION registry")
    finally:
        await connection.close()
    return role_dsn.rpartition("/")[0] + "/" + empty_dsn.rpartition("/")[2]


async def test_it_serves_after_migrating_by_itself(authority: CertificateAuthority, service_dsn: str) -> None:
    env = environment(authority, service_dsn, migrate_on_start="true")
    async with served(env) as (process, ready, lines):
        settings = settings_of(authority, "administrator/mrossi", TestSettings)
        async with open_channel(ready["grpc"], settings, peer="service/registry") as channel:
            await Administrator(channel).build()
        settings = settings_of(authority, "service/camera-gateway", TestSettings)
        async with (
            open_channel(ready["grpc"], settings, peer="service/registry") as channel,
            Gateway(channel, "gw-1") as gateway,
        ):
            await gateway.until(lambda: gateway.held)
            process.send_signal(signal.SIGTERM)
            await gateway.until(lambda: gateway.error)
        assert await process.wait() == 0

    assert gateway.error is not None
    assert gateway.error.reason == "DRAINING"
    logged = "".join(lines)
    assert '"optic.admitted"' in logged
    assert '"level": "error"' not in logged
    assert "Traceback" not in logged
    assert service_dsn.split("@", maxsplit=1)[0].rpartition(":")[2] not in logged


async def test_migrations_by_command(authority: CertificateAuthority, service_dsn: str) -> None:
    env = environment(authority, service_dsn)
    for phase in ("pre", "post", "pre"):
        status, output = await run(env, "migrate", "--phase", phase)
        assert status == 0, output
    connection = await asyncpg.connect(service_dsn)
    try:
        applied = await connection.fetch("SELECT service, name FROM registry.argo_migrations")
    finally:
        await connection.close()

    files = {
        (service, file.name)
        for service, folder in (("registry", "registry"), ("audit", "mesh"))
        for file in (ROOT / folder / "sql" / "migrations").glob("*.sql")
    }
    assert {(row["service"], row["name"]) for row in applied} == files
    assert len(applied) == len(files)


async def test_a_wrong_environment_is_explained(authority: CertificateAuthority) -> None:
    env = environment(authority, "postgresql://x", camera_networks="10.0.0.1/8", lease_seconds="0")
    status, output = await run({**env, "ARGO_TYPO": "x"}, "--check-config")

    assert status == 2
    for name in ("ARGO_CAMERA_NETWORKS", "ARGO_LEASE_SECONDS", "ARGO_TYPO"):
        assert name in output
