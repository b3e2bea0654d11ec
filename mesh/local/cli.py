"""``argo``: the command line of a local mesh."""

from __future__ import annotations

import importlib.metadata
import sys

import click

from mesh.local.commands.audit import audit_group
from mesh.local.commands.demo import demo
from mesh.local.commands.models import models
from mesh.local.commands.redact import redact
from mesh.local.commands.score import score_command
from mesh.local.commands.token import token
from mesh.local.commands.track import track
from mesh.local.commands.up import up


def _version() -> str:
    try:
        return importlib.metadata.version("argo")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="argo")
def main() -> None:
    """ARGO on this machine: the real services as processes, every picture masked before anyone sees it."""


for command in (up, demo, redact, track, score_command, models, audit_group, token):
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
