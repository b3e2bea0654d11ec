"""Admitting a caller to a method, with what it may have taken by breaking the glass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from mesh.access.matrix import Caller, Matrix
from mesh.errors import PermissionDenied
from mesh.identity import Identity

RightsTaken = Callable[[Sequence[Identity]], Awaitable[frozenset[str]]]
"""The rights that somebody, known by its identities, has taken by breaking the glass."""


async def admit(
    matrix: Matrix, caller: Caller, method: str, rights_taken: RightsTaken | None, *, through: bool = False
) -> tuple[Identity, Caller]:
    """Which of the caller's identities acts, and the caller with the right that it needed and had taken.

    Args:
        matrix: decides.
        caller: who calls.
        method: full name, ``/package.Service/Method``.
        rights_taken: asked before a refusal that broken glass could change; none: it counts for nothing here.
        through: whether it asks a service of the mesh, which then calls the method for it.

    Raises:
        PermissionDenied: see ``Matrix.admit``.
        Unavailable: it cannot be told now whether the glass is broken.
    """
    try:
        return matrix.admit(caller, method, through=through), caller
    except PermissionDenied:
        row = matrix.rows.get(method)
        if rights_taken is None or row is None or row.first(caller.identities, row.break_glass) is None:
            raise
    taken = await rights_taken(caller.identities)
    caller = replace(caller, taken=taken.intersection({row.right}))
    return matrix.admit(caller, method, through=through), caller
