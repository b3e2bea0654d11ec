"""Model files in their directory. A file is handed out only when its digest is the card's."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from detector.catalogue.cards import NpmSource
from detector.catalogue.errors import CatalogueError, MissingModelError, WrongDigestError

if TYPE_CHECKING:
    from detector.catalogue.cards import Card


def read_model(card: Card, directory: Path) -> bytes:
    """The bytes of a model, checked: load these, not the file, which may have changed since.

    Raises:
        MissingModelError: the file is not there.
        WrongDigestError: it is another file than the card pins.
        CatalogueError: it cannot be read.
    """
    path = directory / card.file.name
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingModelError(f"model {card.name} is not in {directory}: {_advice(card)}") from error
    except OSError as error:
        raise CatalogueError(f"model file {path} cannot be read: {error.strerror}") from error
    check(card, data, what=str(path), advice=f"delete it and {_advice(card)}")
    return data


def check(card: Card, data: bytes, *, what: str, advice: str) -> None:
    """Raise WrongDigestError unless `data` is the file that the card pins; `what` and `advice` go into the message."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.file.sha256:
        raise WrongDigestError(
            f"{what} has SHA-256 {digest}, the card of {card.name} pins {card.file.sha256}: "
            f"it will not be loaded; {advice}"
        )


def write_model(card: Card, directory: Path, data: bytes) -> Path:
    """Put a checked file in its place, whole or not at all.

    Raises:
        WrongDigestError: it is not the card's file.
        CatalogueError: the directory cannot be written, or the disk is full.
    """
    check(card, data, what="the converted model", advice="install the locked versions of ARGO's dependencies")
    path = directory / card.file.name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{path.name}.", delete=False) as part:
            try:
                part.write(data)
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).chmod(0o644)
                Path(part.name).replace(path)
            except BaseException:
                Path(part.name).unlink()
                raise
    except OSError as error:
        raise CatalogueError(f"model file {path} cannot be written: {error.strerror}") from error
    return path


def _advice(card: Card) -> str:
    return "run `argo models pull`" if isinstance(card.source, NpmSource) else f"put {card.file.name} there"
