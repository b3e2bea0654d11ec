"""``argo models``: the model catalogue, which belongs to the detector and is run from there."""

from __future__ import annotations

import subprocess

import click

from mesh.local.environment import python_module


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def models(arguments: tuple[str, ...]) -> None:
    """Pull, list or verify the models: argo models pull | list | verify."""
    # ARGO_MODEL_DIRECTORY is meant for it, so it gets the whole environment.
    result = subprocess.run(python_module("detector.catalogue", *(arguments or ("--help",))), check=False)
    raise click.exceptions.Exit(result.returncode)
