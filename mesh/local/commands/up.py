"""``argo up``: the whole mesh, until Ctrl-C."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table

from mesh.local.environment import MeshOptions
from mesh.local.runner import LocalMesh
from mesh.local.state import StateFolder
from mesh.local.terminal import OUT, log_to, run, say, state_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@state_option
@click.option(
    "--camera-network",
    "networks",
    multiple=True,
    default=("127.0.0.0/8",),
    show_default=True,
    help="Network in which cameras may be dialled, as CIDR; may be repeated.",
)
def up(state: Path, networks: tuple[str, ...]) -> None:
    """Run NATS, PostgreSQL and the five services here, and print where they are. Ctrl-C stops everything."""
    run(lambda: _up(state, networks))


async def _up(path: Path, networks: tuple[str, ...]) -> None:
    with StateFolder(path) as state:
        log_to(state.logs)
        async with LocalMesh(state, MeshOptions(camera_networks=networks), say) as mesh:
            await mesh.start_services()
            print_endpoints(mesh)
            say("running; Ctrl-C stops everything")
            await asyncio.Event().wait()


def print_endpoints(mesh: LocalMesh) -> None:
    """Print where everything is, the console's secret link included: this is its owner's terminal."""
    table = Table("service", "gRPC (mutual TLS)", "metrics and health", box=box.SIMPLE_HEAD)
    for service in mesh.options.services:
        health = mesh.environments.health(service)
        table.add_row(service, mesh.environments.target(service), f"http://{health}/metrics")
    OUT.print(table)
    OUT.print(f"console       {mesh.console_url}", soft_wrap=True)
    OUT.print(f"register      http://{mesh.environments.web('registry')}/", soft_wrap=True)
    OUT.print(f"certificates  {mesh.state.path / 'certificates'}", soft_wrap=True)
    OUT.print(f"addresses     {mesh.state.path / 'endpoints.json'}", soft_wrap=True)
    OUT.print(f"logs          {mesh.state.logs}", soft_wrap=True)
