"""What is remembered of a scene from frame to frame, once for all its rules and counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from detector.domain.texture import Texture
from detector.domain.trails import Trails

if TYPE_CHECKING:
    from detector.domain.calibration import Calibration
    from detector.domain.scene import Scene


class SceneMemory:
    """The trails and the texture of one optic.

    Args:
        calibration: of the optic; None: it has none, and there are no trails.
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self._trails = None if calibration is None else Trails(calibration)
        self._texture = Texture()

    def enter(self, scene: Scene) -> Scene:
        """Take one analysed frame; the scene with what is remembered of it."""
        if self._trails:
            self._trails.step(scene)
        return replace(scene, trails=self._trails, texture=self._texture)
