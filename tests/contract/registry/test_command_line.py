"""``argo-registry`` as a process of its own against a running registry."""

from __future__ import annotations

import asyncio
import csv
import ipaddress
import json
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry.domain.network import CameraNetworks
from registry.onboarding import geojson, spreadsheet
from registry.onboarding.turin import turin_fleet
from tests.contract.registry.onvif_device import OnvifDevice
from tests.contract.registry.support import Registry, running_registry

ROOT = Path(__file__).parents[3]
PACKAGES = f"{ROOT}:{ROOT / 'protos' / 'gen'}"
NOW = datetime.now(UTC)


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Command = Callable[..., Coroutine[None, None, Ended]]


def command_for(registry: Registry, folder: Path) -> Command:
    """Runs ``argo-registry`` in a folder beside the state of a local mesh, as its administrator."""
    files = registry.authority.issue("administrator/local")
    certificates = {
        "authority": str(files.ca),
        "administrator/local": {"certificate": str(files.certificate), "key": str(files.key)},
    }
    (folder / ".argo").mkdir()
    endpoints = {"grpc": {"registry": registry.server.address}, "certificates": certificates}
    (folder / ".argo" / "endpoints.json").write_text(json.dumps(endpoints))

    async def run(*arguments: str, answer: str = "") -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "registry.onboarding.cli", *arguments, cwd=folder,
            env=os.environ | {"PYTHONPATH": PACKAGES, "COLUMNS": "200", "GRPC_VERBOSITY": "NONE"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(answer.encode())
        return Ended(process.returncode or 0, out.decode(), err.decode())

    return run


@pytest.fixture
def run(registry: Registry, tmp_path: Path) -> Command:
    return command_for(registry, tmp_path)


async def count(registry: Registry, table: str) -> int:
    async with registry.pool.acquire() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a constant of the test


@pytest.mark.parametrize("name", ["fleet.csv", "fleet.geojson"])
async def test_a_made_up_fleet_goes_in_and_comes_out_unchanged(
    run: Command, registry: Registry, tmp_path: Path, name: str
) -> None:
    assert (await run("fleet", "--size", "10", name)).status == 0
    tried = await run("import", name, "--dry-run")
    assert (tried.status, await count(registry, "sites")) == (0, 0), tried
    assert "47 would be made, 0 changed, 0 as they are; nothing was stored" in tried.out
    stored = await run("import", name, "--reason", "collaudo")
    assert (stored.status, stored.out.strip()) == (0, "47 made, 0 changed, 0 as they are")

    exported = await run("export", f"again-{name}")
    assert exported.status == 0, exported
    assert (tmp_path / f"again-{name}").stat().st_mode & 0o077 == 0
    again = await run("import", f"again-{name}", "--reason", "collaudo")
    assert (again.status, again.out.split(",")[0]) == (0, "0 made"), again
    assert "there is nothing to store" in again.out


async def test_the_report_names_every_problem_and_nothing_is_stored(
    run: Command, registry: Registry, tmp_path: Path
) -> None:
    rows = list(csv.DictReader(spreadsheet.write(turin_fleet(0, now=NOW, devices=10)).splitlines()))
    first, *_, last = (row for row in rows if row["optic"] == "optic-1")
    first |= {"device_view": "sideways", "optic_heading_degrees": "north"}
    for row in rows:
        row["device_address"] = "192.168.1.1" if row["device"] == last["device"] else row["device_address"]
    with (tmp_path / "fleet.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerows(rows)

    refused = await run("import", "fleet.csv", "--reason", "collaudo")

    assert refused.status == 1
    assert "must be one of context, observation, hybrid" in refused.out
    assert "must be a number" in refused.out
    assert "must lie inside the camera networks" in refused.out
    assert "is neither stored nor a valid row of this import" in refused.out
    assert "nothing was stored" in refused.out
    assert await count(registry, "sites") == 0
    partly = await run("import", "fleet.csv", "--reason", "collaudo", "--partial")
    assert partly.status == 1
    assert await count(registry, "sites") == 5


async def test_columns_that_a_file_does_not_have_stay_as_they_are(
    run: Command, registry: Registry, tmp_path: Path
) -> None:
    await run("fleet", "--size", "3", "--store", "--reason", "collaudo")
    (tmp_path / "few.csv").write_text(
        "device;device_firmware_version;device_view;device_mobility\nmobile-01;9.9.9;hybrid;mobile\n"
    )

    few = await run("import", "few.csv", "--reason", "aggiornamento")

    assert (few.status, few.out.strip()) == (0, "0 made, 1 changed, 0 as they are"), few
    async with registry.pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM devices WHERE name = 'devices/mobile-01'")
    assert (row["firmware_version"], row["address"]) == ("9.9.9", "10.50.0.10")
    assert row["legal_basis_sign_reference"] == "CARTELLO 0501"


async def test_storing_needs_a_reason_and_a_registry(run: Command, tmp_path: Path) -> None:
    await run("fleet", "--size", "1", "fleet.csv")
    silent = await run("import", "fleet.csv")
    elsewhere = await run("import", "fleet.csv", "--reason", "x", "--state", "nowhere")

    assert (silent.status, "--reason" in silent.err) == (2, True)
    assert (elsewhere.status, "no local mesh is known" in elsewhere.err) == (1, True)
    assert "Traceback" not in silent.err + elsewhere.err


async def test_export_writes_to_standard_output(run: Command) -> None:
    await run("fleet", "--size", "2", "--store", "--reason", "collaudo")

    as_csv, as_geojson = await run("export", "-"), await run("export", "-", "--format", "geojson")

    read = {len(spreadsheet.read(as_csv.out).rows), len(geojson.read(as_geojson.out).rows)}
    # Two devices, their site and optics, and the city itself.
    assert read == {9}, as_csv


# ---- onboard -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def near_registry(dsn: str, tmp_path: Path) -> Any:
    """A registry whose camera network is this machine."""
    networks = CameraNetworks((ipaddress.ip_network("127.0.0.0/8"),))
    async with running_registry(dsn, tmp_path, networks=networks) as running:
        yield running


async def test_a_camera_is_stored_only_when_somebody_agrees(near_registry: Registry, tmp_path: Path) -> None:
    run = command_for(near_registry, tmp_path)
    device = OnvifDevice()
    (tmp_path / "password").write_text(device.password + "\n")
    async with device.running():
        arguments = (
            "onboard", f"127.0.0.1:{device.port}", "--id", "alimonda-1", "--view", "context", "--user", "argo",
            "--password-file", "password", "--reason", "nuova telecamera",
        )  # fmt: skip
        refused = await run(*arguments, answer="n\n")
        assert await count(near_registry, "devices") == 0
        agreed = await run(*arguments, answer="y\n")

    assert (refused.status, agreed.status) == (1, 0), agreed
    assert "! its pictures travel in clear" in agreed.out
    assert "5 made, 0 changed" in agreed.out
    assert device.password not in agreed.out + agreed.err
    async with near_registry.pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM devices")
        paths = await connection.fetch("SELECT main_stream_path FROM optics ORDER BY name")
    assert (row["address"], row["model"], row["credentials"]) == ("127.0.0.1", "Panoptes Q4", "cameras/alimonda-1")
    assert [path[0] for path in paths] == [f"/Streaming/Channels/{lens}01" for lens in range(1, 5)]


async def test_a_camera_outside_the_networks_is_never_dialled(run: Command) -> None:
    device = OnvifDevice()
    async with device.running():
        refused = await run(
            "onboard", f"127.0.0.1:{device.port}", "--id", "x-1", "--view", "context", "--reason", "prova", "--yes"
        )

    assert (refused.status, device.calls) == (1, [])
    assert "must lie inside the camera networks" in refused.out
    assert "was not dialled" in refused.err
