"""`python -m detector.catalogue pull | list | verify | calibrate`: what `argo models` runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from detector.catalogue import calibration, cards, pull, store
from detector.catalogue.errors import CatalogueError, MissingModelError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when every named model is in order, 1 when one is not, 2 for a wrong command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "calibrate" and (len(options.models) != 1 or options.pictures is None):
        parser.error("calibrate takes one MODEL and --pictures")
    console = Console(highlight=False, soft_wrap=True)
    try:
        catalogue = cards.all_cards(options.directory)
        chosen = [cards.find_card(name, options.directory) for name in options.models or catalogue]
        match options.command:
            case "list":
                console.print(_table(chosen, options.directory))
                return 0
            case "pull":
                return _pull(chosen, options.directory, console)
            case "calibrate":
                print(calibration.ranges_of(chosen[0], options.directory, options.pictures, options.float32), end="")
                return 0
            case _:
                return _verify(chosen, options.directory, console)
    except CatalogueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="argo models", description="The model catalogue.")
    parser.add_argument("command", choices=("pull", "list", "verify", "calibrate"))
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names of models; all when none is given")
    parser.add_argument("--pictures", type=Path, help="calibrate: a folder of pictures like those of the cameras")
    parser.add_argument(
        "--float32",
        action="append",
        default=[],
        metavar="PART",
        help="calibrate: convolutions with this in their name stay float32; may be repeated",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(os.environ.get("ARGO_MODEL_DIRECTORY", "models")),
        help="where model files lie (default: $ARGO_MODEL_DIRECTORY, or models)",
    )
    return parser


def _pull(chosen: Sequence[cards.Card], directory: Path, console: Console) -> int:
    for card in chosen:
        path = pull.pull(card, directory, lambda line: console.print(line, markup=False))
        console.print(f"{card.name} is in {path}", markup=False)
    return 0


def _verify(chosen: Sequence[cards.Card], directory: Path, console: Console) -> int:
    status = 0
    for card in chosen:
        try:
            store.read_model(card, directory)
        except CatalogueError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
        else:
            console.print(f"{card.name}: the digest matches", markup=False)
    return status


def _table(chosen: Sequence[cards.Card], directory: Path) -> Table:
    table = Table("model", "licence", "source", "head", "classes", "masking", "events", "state")
    for card in chosen:
        table.add_row(
            card.name,
            card.licence,
            card.source.label,
            card.output.head,
            ", ".join(card.output.classes),
            str(card.thresholds.masking),
            str(card.thresholds.events),
            _state(card, directory),
        )
    return table


def _state(card: cards.Card, directory: Path) -> str:
    try:
        store.read_model(card, directory)
    except MissingModelError:
        return "not pulled"
    except CatalogueError:
        return "refused"
    return "ready"


if __name__ == "__main__":
    sys.exit(main())
