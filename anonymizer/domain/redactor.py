"""The redactor of one optic: a raw frame and what is known about it in, a picture that may be seen out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from anonymizer.domain import privacy, silhouette, veil
from anonymizer.domain.annotation import Annotator
from anonymizer.domain.coasting import Areas, Coasting, CoastingRules
from anonymizer.domain.comparison import Look
from anonymizer.domain.credibility import Credibility, CredibilityRules
from anonymizer.domain.evidence import LearningRules
from anonymizer.domain.frame import Basis, Frame, MaskedFrame, Planes, Size
from anonymizer.domain.grid import Cells, Grid, grown, opened
from anonymizer.domain.occupancy import occupancy_of
from anonymizer.domain.plate import Motion, Plate
from anonymizer.domain.privacy import Polygon
from anonymizer.domain.sight import Sight, SightRules
from anonymizer.domain.stability import Stability, StabilityRules, State
from anonymizer.domain.verdict import Verdict

UNEXPLAINED_GROWTH: Final = 2
"""Cells by which changes are grown that no detection explains: nobody has said how far a person reaches there."""
LEAST_UNEXPLAINED: Final = 2
"""Cells on a side of the smallest such change; below it is noise, and masked as it is."""


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """All that can be set about masking; the defaults are those that the tests hold to."""

    learning: LearningRules = field(default_factory=LearningRules)
    coasting: CoastingRules = field(default_factory=CoastingRules)
    stability: StabilityRules = field(default_factory=StabilityRules)
    credibility: CredibilityRules = field(default_factory=CredibilityRules)
    sight: SightRules = field(default_factory=SightRules)


class Redactor:
    """Masks the frames of one optic, in order. Not safe for use from two threads at once.

    Only empty street is ever shown: the output consists of the plate's pixels and solid fill, never of the frame's.

    Attributes:
        rules: of masking.
        boxes: detections are hidden by rectangles of one colour instead of silhouettes.
        annotator: writes over the pictures; None: nothing is written.
    """

    def __init__(self, rules: RedactionRules | None = None) -> None:
        self.rules = rules or RedactionRules()
        self.boxes = False
        self.annotator: Annotator | None = None
        self._polygons: tuple[Polygon, ...] = ()
        self._coasting = Coasting(self.rules.coasting)
        self._credibility = Credibility(self.rules.credibility)
        self._stability = Stability(self.rules.stability)
        self._plate: Plate | None = None
        self._privacy: Cells | None = None
        self._withheld = False

    def withhold(self, *, whole_picture: bool) -> None:
        """Masks the whole picture from the next frame on, or no longer.

        What was learned before is forgotten: whoever says so does not know what the picture shows.
        """
        if whole_picture:
            self._plate = None
        self._withheld = whole_picture

    def protect(self, polygons: Sequence[Polygon]) -> None:
        """Sets the static privacy masks from the next frame on.

        Raises:
            ValueError: a polygon is none, see `privacy.cells_under`; the masks before stay in force.
        """
        privacy.cells_under(Grid(Size(64, 64)), polygons)
        self._polygons = tuple(polygons)
        self._privacy = None

    @property
    def known_fraction(self) -> float:
        """The share of the picture that the plate knows, 0..1."""
        return 0.0 if self._plate is None else float(self._plate.known.mean())

    def redact(self, frame: Frame, verdict: Verdict | None) -> MaskedFrame:
        """Masks one frame.

        Args:
            frame: the picture; its capture time is the only clock.
            verdict: what the detector said of it. One for another frame, or one with boxes that are none, counts as
                none, and so does that of a detector that guesses (`Credibility`). That of one that does not see what
                moves (`Sight`) is masked and teaches nothing.
        """
        if self._withheld:
            return MaskedFrame.blank(frame.sequence, frame.captured, frame.planes.size)
        plate = self._plate_for(frame.planes.size)
        bound = self._usable(frame, verdict)
        live = Look.at(plate.grid, plate.grid.padded(frame.planes))
        changed = plate.changed(live)
        areas = self._coasting.update(bound, frame.captured)
        state = self._stability.update(plate.known, changed, frame.captured)
        if state is State.LOST:
            plate.forget()
        motion = Motion(changed, plate.moving(live, frame.captured))
        shapes = changed | (motion.moving & ~plate.known)
        occupancy = None if bound is None else occupancy_of(plate.grid, bound, shapes)
        unexplained = shapes if occupancy is None else opened(shapes & ~occupancy.explained, LEAST_UNEXPLAINED)
        is_settled = state is State.SETTLED
        if is_settled and occupancy and not self._sight.update(shapes, unexplained, occupancy, frame.captured):
            occupancy, unexplained = None, shapes
        if is_settled or state is State.LOST:
            plate.observe(live, frame.captured, motion, occupancy)
        hidden = shapes | grown(unexplained, UNEXPLAINED_GROWTH)
        veiled = _veil(plate, live, changed if occupancy is None else changed & ~occupancy.explained)
        painted = self._paint(plate, hidden, veiled, areas)
        return self._finish(frame, bound, *painted)

    def _usable(self, frame: Frame, verdict: Verdict | None) -> Verdict | None:
        if verdict is None or not verdict.binds(frame.sequence):
            return None
        return verdict if self._credibility.update(verdict, frame.captured) else None

    def _paint(self, plate: Plate, hidden: Cells, veiled: Cells, areas: Areas) -> tuple[Planes, float]:
        """The picture, and the share of it that is filled."""
        settled = self._stability.state is State.SETTLED
        known = plate.known if settled else np.zeros_like(plate.known)
        fill = silhouette.draw(
            plate.grid, known, hidden, veiled, areas, self._privacy_for(plate.grid), boxes=self.boxes
        )
        return plate.grid.cropped(silhouette.paint(plate.planes, fill)), float(np.count_nonzero(fill)) / fill.size

    def _finish(self, frame: Frame, verdict: Verdict | None, painted: Planes, masked: float) -> MaskedFrame:
        if self.annotator is not None:
            followed = () if verdict is None else verdict.followed
            self.annotator.annotate(painted, followed, frame.captured, verdicted=verdict is not None)
        return MaskedFrame.compose(frame, painted, masked, Basis.UNVERDICTED if verdict is None else Basis.VERDICT)

    def _plate_for(self, size: Size) -> Plate:
        if self._plate is None or self._plate.grid.size != size:
            self._plate = Plate(Grid(size), self.rules.learning)
            self._privacy = None
            self._stability = Stability(self.rules.stability)
            self._coasting.forget()
            self._credibility = Credibility(self.rules.credibility)
            self._sight = Sight(self._plate.grid, self.rules.sight)
        return self._plate

    def _privacy_for(self, grid: Grid) -> Cells:
        if self._privacy is None:
            self._privacy = privacy.cells_under(grid, self._polygons)
        return self._privacy


def _veil(plate: Plate, live: Look, unexplained: Cells) -> Cells:
    """Cells under smoke or light."""
    if not veil.is_wide(unexplained):
        return np.zeros_like(unexplained)
    return veil.veiled(unexplained, plate.evenly_lit(live))
