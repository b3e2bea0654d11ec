"""The algorithms in use, one entry per kind of rule, in the fields of the Dutch Algorithm Register.

Only in those that the record has: supplier, impact on people and considerations are not made up here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.public.document import Camera, Controller, Register


@dataclass(frozen=True)
class Algorithm:
    """One kind of rule that watches scenes.

    Attributes:
        kind: as in ``Rule.kind``.
        status: ``in_use`` if it calls operators anywhere, else ``in_development``: it is tried in the shadow.
        goals: purposes of the cameras that it watches on.
        lawful_bases: acts on which these rest.
        regimes: laws that the data are processed under.
        impact_assessments: references of the assessments.
        source_data: kinds of object that it looks at; none: all that the system knows.
        cameras_live: cameras on which it calls operators.
        cameras_shadow: cameras on which it is only tried.
        human_intervention: always ``a_person_decides``: an operator looks at every alert, nothing follows by itself.
        biometric_data: always false: the system has none.
        contacts: where the data protection officers of the controllers are reached.
    """

    kind: str
    status: str
    goals: tuple[str, ...]
    lawful_bases: tuple[str, ...]
    regimes: tuple[str, ...]
    impact_assessments: tuple[str, ...]
    source_data: tuple[str, ...]
    cameras_live: int
    cameras_shadow: int
    human_intervention: str
    biometric_data: bool
    contacts: tuple[str, ...]


def algorithms(register: Register) -> list[Algorithm]:
    """The kinds of rule that run on at least one camera, in the order of their names."""
    controllers = {controller.name: controller for controller in register.controllers}
    kinds = sorted({rule.kind for camera in register.cameras for rule in camera.rules})
    return [_algorithm(kind, register.cameras, controllers) for kind in kinds]


def _algorithm(kind: str, cameras: Iterable[Camera], controllers: dict[str, Controller]) -> Algorithm:
    watching = [camera for camera in cameras if any(rule.kind == kind for rule in camera.rules)]
    live = [camera for camera in watching if any(rule.kind == kind and rule.mode == "live" for rule in camera.rules)]
    rules = [rule for camera in watching for rule in camera.rules if rule.kind == kind]
    looks_at_all = any(not rule.classes for rule in rules)
    answering = (controllers[camera.controller] for camera in watching if camera.controller in controllers)
    return Algorithm(
        kind=kind,
        status="in_use" if live else "in_development",
        goals=_distinct(camera.purpose for camera in watching),
        lawful_bases=_distinct(camera.act for camera in watching),
        regimes=_distinct(camera.regime for camera in watching),
        impact_assessments=_distinct(camera.impact_assessment for camera in watching),
        source_data=() if looks_at_all else _distinct(name for rule in rules for name in rule.classes),
        cameras_live=len(live),
        cameras_shadow=len(watching) - len(live),
        human_intervention="a_person_decides",
        biometric_data=False,
        contacts=_distinct(controller.contact for controller in answering),
    )


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if text}))
