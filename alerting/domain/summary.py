"""The one sentence by which an alert explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_HAPPENINGS: Mapping[str, str] = MappingProxyType(
    {
        "LineDetector/Crossed": "crossed line",
        "FieldDetector/ObjectsInside": "inside zone",
    }
)
"""ONVIF rule topics (ONVIF Analytics Service Specification, annex A) in words."""


@dataclass(frozen=True)
class Explanation:
    """Why a rule fired.

    Attributes:
        topic: the kind of rule in ONVIF's words, for example ``"LineDetector/Crossed"``.
        rule: ``.../rules/{rule}``.
        place: ``.../zones/{zone}`` or ``.../lines/{line}``.
        optic: ``devices/{device}/optics/{optic}``.
        classes: names of the object classes, for example ``("person",)``; empty: not told.
        quantity: what was measured, for example ``"dwell"``; empty: nothing was.
        unit: for example ``"s"``; empty for a count.
        value: the measured value, in ``unit``.
        threshold: what it was measured against, in ``unit``.
    """

    topic: str
    rule: str
    place: str
    optic: str
    classes: tuple[str, ...] = ()
    quantity: str = ""
    unit: str = ""
    value: float = 0.0
    threshold: float = 0.0


def summarise(explanation: Explanation) -> str:
    """One sentence: what, where, measured against what, by which rule."""
    who = " and ".join(explanation.classes).capitalize() or "Something"
    happening = _HAPPENINGS.get(explanation.topic, f"matched {explanation.topic or 'a rule'} at")
    device, optic = _segment(explanation.optic, 1), _segment(explanation.optic, 3)
    where = f'"{_last(explanation.place)}" of {device}/{optic}'
    return f'{who} {happening} {where}{_measured(explanation)} (rule "{_last(explanation.rule)}").'


def _measured(explanation: Explanation) -> str:
    if not explanation.quantity:
        return ""
    unit = f" {explanation.unit}" if explanation.unit else ""
    value, threshold = f"{explanation.value:.4g}{unit}", f"{explanation.threshold:.4g}{unit}"
    return f": {explanation.quantity} {value}, threshold {threshold}"


def _segment(name: str, index: int) -> str:
    segments = name.split("/")
    return segments[index] if index < len(segments) else "?"


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1] or "?"
