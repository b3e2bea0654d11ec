"""``argo token``: a token of the local mesh for somebody, to call it with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from mesh.access import matrix
from mesh.local.issuer import LocalIssuer
from mesh.local.state import ISSUER_FOLDER
from mesh.local.terminal import state_option


@click.command()
@state_option
@click.option("--name", required=True, help="Who it is, e.g. rossi.")
@click.option(
    "--role", "roles", multiple=True, required=True, type=click.Choice(sorted(matrix().roles)), help="May be repeated."
)
@click.option("--tenant", help="Whose; without it the city's.")
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    type=click.Choice(sorted(matrix().purposes)),
    help="May be repeated; without it as the roles bring.",
)
@click.option(
    "--right",
    "rights",
    multiple=True,
    type=click.Choice(sorted(matrix().rights)),
    help="May be repeated; without it as the roles bring.",
)
@click.option("--minutes", type=click.IntRange(1, 1440), default=60, show_default=True, help="How long it is good.")
def token(state: Path, name: str, roles: tuple[str, ...], tenant: str | None, minutes: int, **chosen: Any) -> None:
    """Print a token of the local mesh, to be sent as `authorization: Bearer …` by who has a system's certificate."""
    issuer = LocalIssuer(state.resolve() / ISSUER_FOLDER)
    claims = {claim: list(values) or None for claim, values in chosen.items()}
    lifetime = timedelta(minutes=minutes)
    print(issuer.issue(name, roles, datetime.now(UTC), lifetime=lifetime, tenant=tenant, **claims))
