"""What a rule of the registry watches for, as the domain's parameters: a table by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.parameters.crowd import CROWD_RULES
from detector.parameters.places import PLACE_RULES
from detector.parameters.reader import ParameterReader
from detector.parameters.scene import SCENE_RULES
from detector.parameters.traffic import TRAFFIC_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from argo.registry.v1 import scene_pb2
    from detector.domain.rules import RuleParameters
    from detector.domain.scene import Places

KINDS: Final[Mapping[str, Callable[[ParameterReader], RuleParameters]]] = {
    **PLACE_RULES,
    **TRAFFIC_RULES,
    **CROWD_RULES,
    **SCENE_RULES,
}
"""Name of the field in `Rule.parameters` -> how it is read."""


def unpack_parameters(rule: scene_pb2.Rule, places: Places) -> tuple[RuleParameters | None, list[tuple[str, str]]]:
    """A rule's parameters, and what is wrong with them as (field of the rule, description).

    Args:
        rule: of the registry.
        places: of the rule's optic.
    """
    kind = rule.WhichOneof("parameters")
    read = KINDS.get(kind or "")
    if kind is None or read is None:
        return None, [("parameters", "says nothing that this detector watches for")]
    reader = ParameterReader(kind, getattr(rule, kind), places)
    return read(reader), reader.violations
