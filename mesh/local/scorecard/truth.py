"""Labels: what truly happened in a video, written down by people or made from annotated boxes (docs/scorecard.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from google.protobuf import json_format

from argo.registry.v1 import lease_service_pb2
from mesh.local.errors import SourceError

Seconds = Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]


class _Label(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Episode(_Label):
    """Something that a rule ought to tell, once. Times are seconds from the first frame.

    Attributes:
        rule: name of the rule.
        start: when it began.
        due: the defined moment, from which the rule can know; the time to detect counts from here.
        end: when it was over.
        note: for people.
    """

    rule: str
    start: Seconds
    due: Seconds
    end: Seconds
    note: str = ""

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.start <= self.due <= self.end:
            raise ValueError("start, due and end must be in this order")
        return self


class Unjudged(_Label):
    """A time for which nobody can say whether a rule ought to have told something."""

    rule: str
    start: Seconds
    end: Seconds
    note: str = ""


class Crossings(_Label):
    """How many objects of a class truly crossed a line in the whole video."""

    line: str
    object_class: str
    left_to_right: Annotated[int, pydantic.Field(ge=0)] = 0
    right_to_left: Annotated[int, pydantic.Field(ge=0)] = 0


class Occupancy(_Label):
    """How many objects of a class truly were in a zone, frame by frame."""

    zone: str
    object_class: str
    present: tuple[Annotated[int, pydantic.Field(ge=0)], ...]


class Truth(_Label):
    """The labels of one video.

    Attributes:
        configuration: an argo.registry.v1.OpticConfiguration in its JSON form: zones, lines, lanes, rules, calibration.
        frame_rate: of the video, where its container says it wrongly; None: as the container says.
        episodes: everything that a rule of the configuration ought to tell.
        unjudged: times in which the labels cannot say.
        crossings: true counts over lines.
        occupancy: true numbers in zones.
    """

    configuration: dict[str, Any]
    frame_rate: Annotated[float, pydantic.Field(gt=0.0, le=240.0)] | None = None
    episodes: tuple[Episode, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    crossings: tuple[Crossings, ...] = ()
    occupancy: tuple[Occupancy, ...] = ()

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        rules = {rule.name for rule in self.scene().rules}
        named = {episode.rule for episode in self.episodes} | {label.rule for label in self.unjudged}
        unknown = sorted(named - rules)
        if unknown:
            raise ValueError(f"the configuration has no rule {', '.join(unknown)}")
        return self

    def scene(self) -> lease_service_pb2.OpticConfiguration:
        """The configuration as a message.

        Raises:
            ValueError: it is none.
        """
        try:
            return json_format.ParseDict(self.configuration, lease_service_pb2.OpticConfiguration())
        except json_format.ParseError as error:
            raise ValueError(f"the configuration cannot be read: {error}") from None

    @classmethod
    def read(cls, path: Path) -> Truth:
        """The labels in a JSON file.

        Raises:
            SourceError: it cannot be read, or is wrong; with everything that is wrong.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}", "give the path of a file of labels") from None
        except pydantic.ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in each['loc']) or 'labels'}: {each['msg']}" for each in error.errors()
            )
            raise SourceError(f"{path} holds no labels: {wrong}", "see docs/scorecard.md") from None
