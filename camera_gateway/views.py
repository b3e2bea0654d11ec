"""The optics that look at one stream: each has its own part of the picture, its own rate and its own motion gate."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING

from camera_gateway.decoding import Planes, Sampler
from camera_gateway.domain.sharing import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from av.video.frame import VideoFrame

    from camera_gateway.domain.clock import CaptureTime
    from camera_gateway.sources import Outcome


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """How one optic looks at its stream.

    Attributes:
        rate: analysed pictures per second that are wanted at most.
        make_sampler: makes the sampler of a session.
        allowance: that the optic has while there is not enough computing power for all.
    """

    rate: float
    make_sampler: Callable[[], Sampler]
    allowance: Allowance = dataclasses.field(default_factory=Allowance)


class Views:
    """The views of one stream. Pool threads read them: the table is replaced, never altered."""

    def __init__(self) -> None:
        self.table: Mapping[str, View] = MappingProxyType({})

    @property
    def rate(self) -> float:
        """Decoded pictures per second that are wanted at most."""
        return max((min(view.rate, view.allowance.rate) for view in self.table.values()), default=0.0)

    def put(self, optic: str, view: View) -> None:
        """``optic`` looks at the stream through ``view`` from now on."""
        self.table = MappingProxyType({**self.table, optic: view})

    def remove(self, optic: str) -> None:
        """``optic`` no longer looks."""
        self.table = MappingProxyType({name: view for name, view in self.table.items() if name != optic})


class Samplers:
    """The samplers of one session; follows its views. One thread at a time may use it."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._table: Mapping[str, View] | None = None
        self._samplers: dict[str, tuple[View, Sampler]] = {}

    def sample(self, frame: VideoFrame, capture_time: CaptureTime, arrival: float, outcome: Outcome) -> None:
        """Count the frame in ``outcome``, and put it there as the picture of every optic that wants it."""
        outcome.decoded += 1
        outcome.width, outcome.height = frame.width, frame.height
        if (table := self._views.table) is not self._table:
            self._follow(table)
        planes = Planes(frame)
        for _, sampler in self._samplers.values():
            sampler.sample(planes, capture_time, arrival, outcome)

    def _follow(self, table: Mapping[str, View]) -> None:
        self._table, held = table, self._samplers
        self._samplers = {
            name: held[name] if name in held and held[name][0] is view else (view, view.make_sampler())
            for name, view in table.items()
        }
