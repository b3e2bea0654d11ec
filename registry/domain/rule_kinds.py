"""The kinds of rule: bounds of their parameters, what they need, and how far their events may go.

A bound is the natural end of its scale (a share, an angle), or lies well outside of what any street needs. Kinds and
parameters go by their names in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from registry.domain import fields

_PERSONS = frozenset({"PERSON"})
_MOTOR_VEHICLES = frozenset({"CAR", "MOTORCYCLE", "BUS", "TRAIN", "TRUCK"})
_VEHICLES = _MOTOR_VEHICLES | {"BICYCLE"}
_NO_CLASSES: frozenset[str] = frozenset()
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600


class Reach(Enum):
    """How far the events of a kind of rule may go; the value says why no further."""

    ALERTS = ""
    SHADOW = "is weak in the field and stays in shadow until its scorecard is good"
    STATISTICS = "gives statistics only, never an alarm"


@dataclass(frozen=True)
class Bounds:
    """What a number may be.

    Attributes:
        low: smallest value that makes sense.
        high: largest value that makes sense.
        unit: of both; empty: it counts something, or is a share.
        required: without it there is no rule; otherwise the rule has a default.
    """

    low: float
    high: float
    unit: str = ""
    required: bool = False

    def problem(self, value: float | None) -> str | None:
        """What is wrong with a value.

        Args:
            value: in ``unit``; None: not given.
        """
        if value is None:
            return "is required" if self.required else None
        problem = fields.range_problem(value, self.low, self.high)
        return f"{problem} {self.unit}".rstrip() if problem else None


@dataclass(frozen=True)
class RuleKind:
    """One kind of rule.

    Attributes:
        place: what it watches: ``zone``, ``line`` or ``lane``.
        bounds: of its numbers and durations, by parameter.
        needs_calibration: whether it measures in metres.
        zone_kind: what its zone has to be; empty: anything.
        reach: how far its events may go.
        classes: those that it can look at, by the last word of their names; None: all.
        one_of: at least one of these must be looked at; empty: any will do.
    """

    place: str
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    needs_calibration: bool = False
    zone_kind: str = ""
    reach: Reach = Reach.ALERTS
    classes: frozenset[str] | None = None
    one_of: frozenset[str] = frozenset()

    def classes_problem(self, named: frozenset[str]) -> str | None:
        """What is wrong with a rule's class filter; without classes it looks at all that its kind looks at."""
        if not named:
            return None
        if self.classes is not None and not named <= self.classes:
            useless = ", ".join(sorted(named - self.classes))
            able = ", ".join(sorted(self.classes)) or "none, since it looks at the picture itself"
            return f"must be classes that this kind of rule looks at ({able}), not {useless}"
        if self.one_of and named.isdisjoint(self.one_of):
            return f"must name at least one of {', '.join(sorted(self.one_of))}"
        return None


def _seconds(low: float, high: float) -> Bounds:
    return Bounds(low, high, "s")


def _share(high: float = 1) -> Bounds:
    return Bounds(0, high)


def _speed() -> Bounds:
    """Of people; nobody runs faster than 12.5 m/s."""
    return Bounds(0.5, 12.5, "m/s")


RULE_KINDS: Mapping[str, RuleKind] = MappingProxyType(
    {
        "line_crossing": RuleKind("line"),
        "zone_intrusion": RuleKind("zone", {"minimum_dwell": _seconds(0, _DAY)}),
        "zone_occupancy": RuleKind(
            "zone", {"threshold": Bounds(1, 10_000, required=True), "minimum_duration": _seconds(0, _HOUR)}
        ),
        "loitering": RuleKind("zone", {"time_threshold": _seconds(10, _DAY), "maximum_occupancy": Bounds(1, 10_000)}),
        "wrong_way": RuleKind(
            "lane",
            {
                "minimum_angle_degrees": Bounds(90, 180, "degrees"),
                "minimum_duration": _seconds(0, 5 * _MINUTE),
                "minimum_distance_metres": Bounds(1, 500, "m"),
            },
            needs_calibration=True,
            classes=_VEHICLES,
        ),
        "stopped_vehicle": RuleKind(
            "zone",
            {"minimum_duration": _seconds(1, _DAY), "maximum_speed_kmh": Bounds(0.1, 20, "km/h")},
            needs_calibration=True,
            classes=_VEHICLES,
        ),
        "pedestrian_on_carriageway": RuleKind(
            "zone", {"minimum_duration": _seconds(0, _HOUR)}, zone_kind="KIND_CARRIAGEWAY", classes=_PERSONS
        ),
        "slow_traffic": RuleKind(
            "lane",
            {
                "free_flow_kmh": Bounds(5, 150, "km/h"),
                "maximum_share": _share(),
                "minimum_duration": _seconds(1, _HOUR),
            },
            needs_calibration=True,
            classes=_VEHICLES,
        ),
        # Nobody has measured more than some ten persons on a square metre.
        "crowd_density": RuleKind(
            "zone",
            {"threshold": Bounds(0.1, 12, "persons/m²"), "minimum_duration": _seconds(0, _HOUR)},
            needs_calibration=True,
        ),
        "crowd_forming": RuleKind("zone", {"minimum_people": Bounds(2, 10_000), "within": _seconds(1, _HOUR)}),
        "dispersal": RuleKind(
            "zone",
            {"minimum_people": Bounds(3, 10_000), "minimum_speed": _speed(), "within": _seconds(0.5, _MINUTE)},
            needs_calibration=True,
        ),
        "counter_flow": RuleKind(
            "line",
            {"interval": _seconds(5, _DAY), "minimum_crossings": Bounds(2, 100_000), "minimum_share": _share(0.5)},
        ),
        "running_against_flow": RuleKind(
            "zone", {"minimum_speed": _speed(), "minimum_duration": _seconds(0, _MINUTE)}, needs_calibration=True
        ),
        "abandoned_object": RuleKind(
            "zone",
            {
                "minimum_duration": _seconds(1, _DAY),
                "owner_distance_metres": Bounds(0.5, 100, "m"),
                "owner_absence": _seconds(0, _DAY),
            },
            needs_calibration=True,
            reach=Reach.SHADOW,
            classes=_VEHICLES | {"LUGGAGE"},
        ),
        "person_down": RuleKind("zone", {"minimum_duration": _seconds(0, _HOUR)}, reach=Reach.SHADOW, classes=_PERSONS),
        "near_miss": RuleKind(
            "zone",
            {"maximum_time_to_collision": _seconds(0.1, 10), "maximum_post_encroachment_time": _seconds(0.1, 30)},
            needs_calibration=True,
            reach=Reach.STATISTICS,
            classes=_VEHICLES | _PERSONS,
            one_of=_MOTOR_VEHICLES,
        ),
        "smoke_or_fire": RuleKind(
            "zone",
            {"minimum_duration": _seconds(0, _HOUR), "minimum_share": _share()},
            reach=Reach.SHADOW,
            classes=_NO_CLASSES,
        ),
        "flooding": RuleKind(
            "zone",
            {"minimum_duration": _seconds(0, _DAY), "minimum_share": _share()},
            reach=Reach.SHADOW,
            classes=_NO_CLASSES,
        ),
        "lost_visibility": RuleKind(
            "zone", {"minimum_duration": _seconds(0, _DAY), "maximum_share": _share()}, classes=_NO_CLASSES
        ),
    }
)
"""By the name of the parameters in the contract."""


def live_problem(kind: str) -> str | None:
    """Why rules of a kind may not go live; None: they may."""
    reach = RULE_KINDS[kind].reach
    return None if reach is Reach.ALERTS else f"must not be MODE_LIVE: {kind} {reach.value}"
