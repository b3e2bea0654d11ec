"""What can go wrong between a card and a model that may be loaded. Every message says what to do."""

from __future__ import annotations


class CatalogueError(Exception):
    """Base of all; the message is written for the person who reads it on a terminal."""


class UnknownModelError(CatalogueError):
    """No card has this name."""


class BadCardError(CatalogueError):
    """A card that does not say what it must, or asks for what ARGO refuses."""


class MissingModelError(CatalogueError):
    """The model's file is not in the model directory."""


class WrongDigestError(CatalogueError):
    """A file is not the one that the card pins."""


class FetchError(CatalogueError):
    """The package that carries the model cannot be had."""
