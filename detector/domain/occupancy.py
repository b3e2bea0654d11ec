"""Who stands in which zone, found once a frame for everything that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.domain import geometry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.geometry import Point
    from detector.domain.scene import Presence, Scene


def occupants(scene: Scene, zones: Mapping[str, tuple[Point, ...]]) -> dict[str, tuple[Presence, ...]]:
    """Resource name of a zone -> those whose foot is in it; an empty zone is there too.

    Args:
        scene: one analysed frame.
        zones: resource name -> corners, normalised.
    """
    found = {}
    for name, corners in zones.items():
        zone = geometry.scaled(corners, scene.width, scene.height)
        left, right = min(x for x, _ in zone), max(x for x, _ in zone)
        top, bottom = min(y for _, y in zone), max(y for _, y in zone)
        found[name] = tuple(
            item
            for item in scene.present
            if left <= item.foot[0] <= right and top <= item.foot[1] <= bottom and geometry.inside(item.foot, zone)
        )
    return found
