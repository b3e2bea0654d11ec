"""The one sentence by which an alert explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_HAPPENINGS: Mapping[str, str] = MappingProxyType(
    {
        "LineDetector/Crossed": "crossed line",
        "FieldDetector/ObjectsInside": "inside zone",
        "CountAggregation/OccupancyCounter": "filled zone",
        "LoiteringDetector/ObjectIsLoitering": "stayed long in zone",
        "Argo/WrongWay": "drove the wrong way in lane",
        "Argo/StoppedVehicle": "stopped in zone",
        "Argo/PedestrianOnCarriageway": "walked on carriageway",
        "Argo/SlowTraffic": "slowed down or queued in lane",
        "Argo/CrowdDensity": "stood too close together in zone",
        "Argo/CrowdForming": "gathered in zone",
        "Argo/Dispersal": "ran apart in zone",
        "Argo/CounterFlow": "turned round or went both ways over line",
        "Argo/RunningAgainstFlow": "ran against the flow in zone",
        "Argo/AbandonedObject": "was left behind in zone",
        "Argo/PersonDown": "lay on the ground in zone",
        "Argo/SmokeOrFire": "showed smoke or fire in zone",
        "Argo/Flooding": "showed standing water in zone",
        "Argo/LostVisibility": "could hardly be seen in zone",
        "Argo/SectorFilling": "nearly filled sector",
        "Argo/SectorFull": "filled sector",
        "Argo/SectorFullSoon": "will soon fill sector",
        "Argo/SectorDense": "stood dangerously close together in sector",
        "Argo/GateCounterFlow": "went both ways at a gate of sector",
        "Argo/ExitsTooFew": "are more than the exits let out of sector",
        "Argo/SectorBlind": "could no longer be counted in sector",
    }
)
"""Rule topics in words: ONVIF's (ONVIF Analytics Service Specification, annex A), and ours where ONVIF has none."""


_SMALLEST = 0.005
"""What is nearer to zero than this would be shown as 0 with two decimals."""
_LARGEST = 1e15
"""From here on a double has no decimals worth showing."""


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
        rule_display_name: what people called the rule when it fired; empty: nothing but its id.
        place_display_name: likewise the zone or line.
        optic_display_name: likewise the optic.
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
    rule_display_name: str = ""
    place_display_name: str = ""
    optic_display_name: str = ""

    @property
    def rule_label(self) -> str:
        """The rule as people call it, otherwise its id."""
        return self.rule_display_name or _last(self.rule)

    @property
    def place_label(self) -> str:
        """The zone or line as people call it, otherwise its id."""
        return self.place_display_name or _last(self.place)

    @property
    def optic_label(self) -> str:
        """The optic as people call it, otherwise the ids of its device and of itself."""
        return self.optic_display_name or f"{_segment(self.optic, 1)}/{_segment(self.optic, 3)}"


def summarise(explanation: Explanation) -> str:
    """One sentence: what, where, measured against what, by which rule."""
    who = " and ".join(explanation.classes).capitalize() or "Something"
    happening = _HAPPENINGS.get(explanation.topic, f"matched {explanation.topic or 'a rule'} at")
    where = f'"{explanation.place_label}" of {explanation.optic_label}'
    return f'{who} {happening} {where}{_measured(explanation)} (rule "{explanation.rule_label}").'


def figure(value: float) -> str:
    """A measured value as people read it: at most two decimals, none that say nothing.

    What two decimals cannot show, because it is too small, too large or not a number, has three significant digits.
    """
    if value == 0.0:
        return "0"
    if not _SMALLEST <= abs(value) < _LARGEST:
        return f"{value:.3g}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _measured(explanation: Explanation) -> str:
    if not explanation.quantity:
        return ""
    unit = f" {explanation.unit}" if explanation.unit else ""
    value, threshold = figure(explanation.value), figure(explanation.threshold)
    return f": {explanation.quantity} {value}{unit}, threshold {threshold}{unit}"


def _segment(name: str, index: int) -> str:
    segments = name.split("/")
    return segments[index] if index < len(segments) else "?"


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1] or "?"
