"""The options with which every command of ``argo-registry`` is told where the registry is, and who calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mesh.errors import StartupError
from mesh.local.terminal import failure, state_option
from registry.onboarding.client import Access

_PARTS = ("registry", "certificate", "key", "authority")

reason_option = click.option("--reason", default="", help="Why; it goes on record with every change.")


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; ``access_of`` takes their values out of the command's."""
    file = click.Path(path_type=Path, dir_okay=False, exists=True)
    for option in (
        click.option("--authority", type=file, help="PEM file of the trusted authorities."),
        click.option("--key", type=file, help="PEM file of the key."),
        click.option("--certificate", type=file, help="PEM file of your certificate."),
        click.option("--registry", metavar="HOST:PORT", help="Another registry than that of the local mesh."),
        state_option,
    ):
        command = option(command)
    return command


def access_of(options: dict[str, Any]) -> Access:
    """Where the registry is, and as whom to call it.

    Args:
        options: the values of ``access_options``; they are taken out.

    Raises:
        UsageError: only some of those that go together were given.
        ClickException: no local mesh is known.
    """
    target, *files = (options.pop(part) for part in _PARTS)
    state: Path = options.pop("state")
    if target is None and not any(files):
        try:
            return Access.to_local_mesh(state)
        except StartupError as error:
            raise failure(error.problem, error.remedy) from None
    if target is None or not all(files):
        raise click.UsageError("--registry, --certificate, --key and --authority go together")
    return Access(target, *files)


def require_reason(reason: str) -> None:
    """Nothing is stored without one.

    Raises:
        UsageError: it is empty.
    """
    if not reason.strip():
        raise click.UsageError("say why with --reason; it goes on record with every change")
