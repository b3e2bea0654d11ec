"""Whose records a caller may see and make: those of its own controller, unless it is a machine."""

from __future__ import annotations

from functools import reduce
from typing import Any

from mesh.errors import FieldViolation, PermissionDenied
from mesh.identity import Identity
from registry.resources import Resource

CITY = "controllers/city"
"""The controller of the city itself; it is always there."""


def controller_of(identity: Identity) -> str:
    """``controllers/{controller}`` to which a caller belongs; the city's for its people and for machines."""
    return f"controllers/{identity.tenant}" if identity.tenant else CITY


def visible_to(identity: Identity, kind: str = "") -> str | None:
    """Whose records a caller sees, as queries take it: of one controller, or None: of all.

    Args:
        identity: of the caller.
        kind: of the records; the city's administrators see all controllers themselves, though not what is theirs.
    """
    if identity.is_machine or (kind == "controller" and is_city_administrator(identity)):
        return None
    return controller_of(identity)


def is_city_administrator(identity: Identity) -> bool:
    """Whether the caller keeps the list of controllers."""
    return identity.kind == "administrator" and not identity.tenant


def require_city_administrator(identity: Identity) -> None:
    """Lets only those pass who keep the list of controllers.

    Raises:
        PermissionDenied: the caller does not; said before anything is looked up.
    """
    if not is_city_administrator(identity):
        raise PermissionDenied("only administrators of the city write controllers", reason="CITY_ADMINISTRATORS_ONLY")


def fill_owner(resource: Resource, message: Any, controller: str) -> list[FieldViolation]:
    """Makes a record with a field for it its author's own.

    Args:
        resource: the kind.
        message: is changed where it names no controller.
        controller: of the author.

    Returns:
        A violation where the record is meant for another controller, known or not.
    """
    if not _has_owner_field(resource):
        return []
    if not _owner(resource, message):
        _set_owner(resource, message, controller)
    return _foreign(resource, message, controller, "must be empty, or the controller that you belong to")


def keep_owner(resource: Resource, stored: Any, changed: Any) -> list[FieldViolation]:
    """Leaves a record with its controller.

    Args:
        resource: the kind.
        stored: as it is.
        changed: as it is to be; gets the controller where it names none.

    Returns:
        A violation where it names another one.
    """
    if not _has_owner_field(resource):
        return []
    if not _owner(resource, changed):
        _set_owner(resource, changed, _owner(resource, stored))
    return _foreign(resource, changed, _owner(resource, stored), "cannot change")


def _has_owner_field(resource: Resource) -> bool:
    return bool(resource.owner) and resource.owner != ("name",)


def _owner(resource: Resource, message: Any) -> str:
    value: str = reduce(getattr, resource.owner, message)
    return value


def _set_owner(resource: Resource, message: Any, controller: str) -> None:
    *outer, field = resource.owner
    setattr(reduce(getattr, outer, message), field, controller)


def _foreign(resource: Resource, message: Any, controller: str, problem: str) -> list[FieldViolation]:
    if _owner(resource, message) == controller:
        return []
    return [FieldViolation(".".join((resource.kind, *resource.owner)), problem)]
