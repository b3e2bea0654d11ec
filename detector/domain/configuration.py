"""What an optic's configuration asks of the detector."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from detector.domain.rules import ClassFilter, Rule, RuleParameters
from detector.domain.scene import Places

if TYPE_CHECKING:
    from detector.domain.detections import ObjectClass
    from detector.domain.rules.schedule import Schedule


@dataclass(frozen=True, slots=True)
class RuleSpecification:
    """One rule as the registry has it.

    Attributes:
        name: resource name.
        version: grows with every change.
        mode: number of argo.registry.v1.Rule.Mode, passed on to whoever receives the event.
        priority: number of argo.registry.v1.Priority, likewise.
        classes: the classes that it looks at; none means all.
        schedules: when it runs; none means always.
        parameters: what it watches for.
        display_name: what people call it; empty: nothing but its id.
    """

    name: str
    version: int
    mode: int
    priority: int
    classes: frozenset[ObjectClass]
    schedules: tuple[Schedule, ...]
    parameters: RuleParameters
    display_name: str = ""

    def build(self, places: Places) -> Rule:
        """The rule, with an empty memory.

        Raises:
            KeyError: its place is not among the optic's places.
            RuleCannotRunError: the optic lacks what the rule measures with.
        """
        return self.parameters.build(places, ClassFilter(self.classes))


@dataclass(frozen=True, slots=True)
class OpticConfiguration:
    """One version of an optic's configuration.

    Attributes:
        optic: resource name, `devices/{device}/optics/{optic}`.
        site: resource name, `sites/{site}`.
        version: grows with every change.
        places: its zones, lines and lanes, and its calibration.
        rules: those that run.
        display_name: what people call the optic; empty: nothing but its id.
    """

    optic: str
    site: str = ""
    version: int = 0
    places: Places = field(default_factory=Places)
    rules: tuple[RuleSpecification, ...] = ()
    display_name: str = ""
