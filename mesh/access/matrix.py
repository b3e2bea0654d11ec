"""The permission matrix: reading it, and deciding by it. No I/O but the reading of its own file."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mesh.errors import PermissionDenied
from mesh.identity import Grant, Identity

_COLUMNS = frozenset({"callers", "on_behalf", "right", "purposes", "break_glass"})
_ANY_MACHINE = ("service", "system")


@dataclass(frozen=True)
class Row:
    """What the matrix says of one method.

    Attributes:
        callers: roles, ``system``, ``service`` or ``service/{name}``; groups are resolved.
        right: what a person or authority needs beside the role; empty: nothing more.
        on_behalf: people for whom a service of the mesh may call; it asks for nobody else but ``callers``.
        purposes: the caller must be there for one of these; empty: for anything.
        break_glass: roles that may take the right in an emergency.
        tenants: whether the people of tenants are welcome.
    """

    callers: tuple[str, ...]
    right: str = ""
    purposes: tuple[str, ...] = ()
    break_glass: tuple[str, ...] = ()
    on_behalf: tuple[str, ...] = ()
    tenants: bool = False

    def names(self, identity: Identity, callers: Iterable[str]) -> bool:
        """Whether an identity is among some callers of this row."""
        # A service that knows of no tenants would show them each other's data.
        if identity.path.startswith("tenants/") and not self.tenants:
            return False
        return any(caller in (identity.kind, identity.role_path) for caller in callers)

    def first(self, identities: Iterable[Identity], callers: Iterable[str]) -> Identity | None:
        """The first of some identities that is among some callers of this row."""
        callers = tuple(callers)
        return next((identity for identity in identities if self.names(identity, callers)), None)


_NOBODY = Row(callers=())


@dataclass(frozen=True)
class Caller:
    """Somebody who calls: under which identities, and with which grant.

    Attributes:
        identities: one for each role; the first that a method admits is the one that acts.
        grant: what holds for all of them.
        taken: rights taken by breaking the glass.
    """

    identities: tuple[Identity, ...]
    grant: Grant
    taken: frozenset[str] = field(default_factory=frozenset)


class Matrix:
    """Rows by full method name (``/package.Service/Method``)."""

    def __init__(
        self,
        rows: Mapping[str, Row],
        roles: Mapping[str, Grant],
        purposes: Mapping[str, str],
        carriers: tuple[str, ...] = (),
    ) -> None:
        """Takes what was read.

        Args:
            rows: by full method name.
            roles: what each role brings with it.
            purposes: the regime of each, ``"led"`` or ``"gdpr"``.
            carriers: machines that may carry the token of somebody else.
        """
        self.rows = rows
        self.roles = roles
        self.purposes = purposes
        self.carriers = carriers

    @property
    def rights(self) -> frozenset[str]:
        """Every right that a row asks for or a role brings."""
        asked = {row.right for row in self.rows.values() if row.right}
        return frozenset(asked.union(*(grant.rights for grant in self.roles.values())))

    def by_certificate(self, identity: Identity) -> Caller:
        """A caller who shows a certificate and no token: it has what its role brings."""
        return Caller((identity,), self.roles.get(identity.kind, Grant()))

    def admit(self, caller: Caller, method: str, *, through: bool = False) -> Identity:
        """Which of the caller's identities may call a method.

        Args:
            caller: who calls.
            method: full name, ``/package.Service/Method``.
            through: whether it asks a service of the mesh, which then calls for it.

        Raises:
            PermissionDenied: none (``METHOD_NOT_ALLOWED``), or one whose right (``RIGHT_MISSING``) or purpose
                (``PURPOSE_NOT_ALLOWED``) is not enough.
        """
        row = self.rows.get(method, _NOBODY)
        by_role = row.first(caller.identities, (*row.callers, *(row.on_behalf if through else ())))
        if by_role is not None and by_role.is_machine and not caller.grant.token_id:
            return by_role
        by_right = by_role if not row.right or row.right in caller.grant.rights else None
        by_glass = row.first(caller.identities, row.break_glass) if row.right in caller.taken else None
        acting = by_right or by_glass
        if acting is None:
            raise _refusal(row, caller, method, role=by_role)
        _check_purpose(row, caller, method)
        return acting


def _refusal(row: Row, caller: Caller, method: str, *, role: Identity | None) -> PermissionDenied:
    if role is not None:
        return PermissionDenied(
            f"{method} needs the right {row.right}",
            reason="RIGHT_MISSING",
            metadata={"method": method, "right": row.right},
        )
    kind = caller.identities[0].kind
    return PermissionDenied(
        f"{kind} may not call {method}", reason="METHOD_NOT_ALLOWED", metadata={"method": method, "kind": kind}
    )


def _check_purpose(row: Row, caller: Caller, method: str) -> None:
    if row.purposes and not caller.grant.purposes.intersection(row.purposes):
        allowed = ", ".join(row.purposes)
        raise PermissionDenied(
            f"{method} is for {allowed}: what was collected for it is not used for anything else",
            reason="PURPOSE_NOT_ALLOWED",
            metadata={"method": method, "purposes": allowed},
        )


@functools.cache
def matrix() -> Matrix:
    """The matrix of this release."""
    return load(importlib.resources.files("mesh.access").joinpath("permissions.toml").read_text(encoding="utf-8"))


def load(text: str) -> Matrix:
    """Reads a matrix.

    Raises:
        ValueError: it is not of the form that ``permissions.toml`` describes; names the place.
    """
    document = tomllib.loads(text)
    rights, purposes, groups = document["rights"], document["purposes"], document["groups"]
    roles = {
        name: Grant(
            rights=frozenset(_known(values["rights"], rights, name)),
            purposes=frozenset(_known(values["purposes"], purposes, name)),
        )
        for name, values in document["roles"].items()
    }
    for name, members in groups.items():
        _known(members, roles, f"group {name}", also=_is_machine)
    rows = {
        f"/{service}/{method}": _row(f"{service}/{method}", values, document, groups)
        for service, methods in document["methods"].items()
        for method, values in methods.items()
    }
    carriers = tuple(_known(document["tokens"]["carriers"], {}, "tokens", also=_is_machine))
    return Matrix(MappingProxyType(rows), MappingProxyType(roles), MappingProxyType(purposes), carriers)


def _row(place: str, values: Mapping[str, Any], document: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Row:
    if not values.keys() <= _COLUMNS or not values.get("callers"):
        raise ValueError(f"{place}: a row has callers, and perhaps right, purposes, break_glass, and nothing else")
    callers = tuple(dict.fromkeys(name for each in values["callers"] for name in groups.get(each, [each])))
    right = values.get("right", "")
    return Row(
        callers=tuple(_known(callers, document["roles"], place, also=_is_machine)),
        right=next(iter(_known([right], document["rights"], place))) if right else "",
        purposes=tuple(_known(values.get("purposes", ()), document["purposes"], place)),
        break_glass=tuple(_known(values.get("break_glass", ()), document["roles"], place)),
        on_behalf=tuple(_known(values.get("on_behalf", ()), document["roles"], place)),
        tenants=any(place.startswith(f"{package}.") for package in document["tenants"]["welcome"]),
    )


def _is_machine(name: str) -> bool:
    return name.partition("/")[0] in _ANY_MACHINE


def _known(
    names: Iterable[str], known: Mapping[str, Any], place: str, *, also: Callable[[str], bool] = lambda _name: False
) -> list[str]:
    names = list(names)
    unknown = [name for name in names if name not in known and not also(name)]
    if unknown:
        raise ValueError(f"{place}: there is no {', '.join(unknown)}")
    return names
