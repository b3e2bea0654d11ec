"""How to work with the database: what its refusals mean to the caller, and never to break off in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import asyncpg

from mesh.errors import AlreadyExists, ArgoError, FailedPrecondition, NotFound, Unavailable
from mesh.postgres import UNAVAILABLE, Pool

T = TypeVar("T")


class _Meaning(NamedTuple):
    error: type[ArgoError]
    reason: str
    message: str


_PARENT = _Meaning(NotFound, "PARENT_NOT_FOUND", "the parent does not exist")
_CONTROLLER = _Meaning(FailedPrecondition, "CONTROLLER_NOT_FOUND", "the controller does not exist")
_SITE = _Meaning(FailedPrecondition, "SITE_NOT_FOUND", "the site does not exist")
_SCOPE = _Meaning(FailedPrecondition, "SCOPE_NOT_FOUND", "the optic or site of the hold does not exist")

_MEANINGS: Mapping[str, _Meaning] = {
    "device_address_unique": _Meaning(AlreadyExists, "ADDRESS_IN_USE", "another device has this address"),
    "device_controller_exists": _CONTROLLER,
    "site_controller_exists": _CONTROLLER,
    "controller_kept": _Meaning(FailedPrecondition, "CONTROLLER_KEPT", "a record stays with its controller"),
    "device_site_exists": _SITE,
    "deployment_site_exists": _SITE,
    "deployment_parent_exists": _PARENT,
    "optic_parent_exists": _PARENT,
    "zone_parent_exists": _PARENT,
    "line_parent_exists": _PARENT,
    "lane_parent_exists": _PARENT,
    "rule_parent_exists": _PARENT,
    "deployment_device_is_mobile": _Meaning(
        FailedPrecondition, "DEVICE_NOT_MOBILE", "only a mobile device has deployments"
    ),
    "deployment_overlaps": _Meaning(
        FailedPrecondition, "DEPLOYMENT_OVERLAPS", "the device has another deployment in that time"
    ),
    "deployment_needs_decision": _Meaning(
        FailedPrecondition, "NEW_DECISION_NEEDED", "the stay at that site goes on only under a new decision"
    ),
    "proposal_parent_exists": _PARENT,
    "second_person_needed": _Meaning(
        FailedPrecondition,
        "SECOND_PERSON_NEEDED",
        "a rule goes live, and what is live changes, only with a second person: propose it with CreateProposal, and "
        "somebody else approves; to delete a live rule, switch it off first",
    ),
    "optic_at_most_eight": _Meaning(FailedPrecondition, "TOO_MANY_OPTICS", "a device has at most 8 optics"),
    "rule_line_exists": _Meaning(FailedPrecondition, "LINE_NOT_FOUND", "the line does not exist"),
    "rule_zone_exists": _Meaning(FailedPrecondition, "ZONE_NOT_FOUND", "the zone does not exist"),
    "rule_lane_exists": _Meaning(FailedPrecondition, "LANE_NOT_FOUND", "the lane does not exist"),
    "rule_zone_is_carriageway": _Meaning(
        FailedPrecondition,
        "CARRIAGEWAY_NEEDED",
        "a rule on pedestrians on the carriageway watches a zone of kind KIND_CARRIAGEWAY",
    ),
    "rule_calibration_exists": _Meaning(
        FailedPrecondition,
        "CALIBRATION_NEEDED",
        "a rule that measures in metres is live only on an optic with calibration points: give it some, or leave the "
        "rule in shadow",
    ),
    "hold_scope_exists": _SCOPE,
    "hold_site_exists": _SCOPE,
    "hold_optic_exists": _SCOPE,
    "placement_site_exists": _SITE,
}
_TAKEN = _Meaning(AlreadyExists, "RESOURCE_EXISTS", "a record of this name exists")
_IN_USE = _Meaning(FailedPrecondition, "RESOURCE_IN_USE", "other records depend on this one")


AWAY = (
    *UNAVAILABLE,
    # A deadlock was broken, or a standby has not been promoted yet.
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Errors that are nobody's mistake and that pass: trying again later helps."""


def refusal_of(constraint: str) -> ArgoError:
    """What the caller is told when a constraint holds, for those who see beforehand that it will."""
    meaning = _MEANINGS[constraint]
    return meaning.error(meaning.message, reason=meaning.reason)


@contextmanager
def database_errors(*, deleting: bool = False) -> Iterator[None]:
    """Turns what PostgreSQL refuses, or its absence, into errors for the caller; a wrong query of ours stays as it is.

    Args:
        deleting: a record is being deleted. PostgreSQL names one and the same constraint at both ends of a reference.

    Raises:
        Unavailable: the database cannot be used now.
        AlreadyExists, NotFound, FailedPrecondition: a constraint holds.
    """
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        meaning = _meaning(error, deleting=deleting)
        if meaning is None:
            raise
        raise meaning.error(meaning.message, reason=meaning.reason) from error
    except AWAY as error:
        raise Unavailable("the registry's database does not answer", reason="DATABASE_UNAVAILABLE") from error


@asynccontextmanager
async def borrowed(pool: Pool) -> AsyncIterator[Any]:
    """A connection of the pool for the block, with errors as in ``database_errors``.

    Raises:
        Unavailable: none is to be had for five seconds, or the database goes away.
        AlreadyExists, NotFound, FailedPrecondition: a constraint holds.
    """
    with database_errors():
        async with pool.acquire(timeout=_PATIENCE_SECONDS) as connection:
            yield connection


_PATIENCE_SECONDS = 5


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Runs a transaction to its end even if the caller is cancelled meanwhile, as happens whenever a client goes away.

    A query that is broken off leaves its connection unusable, and nobody knows whether a COMMIT was.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await task
        raise


def _meaning(error: asyncpg.IntegrityConstraintViolationError, *, deleting: bool) -> _Meaning | None:
    if deleting and isinstance(error, asyncpg.ForeignKeyViolationError):
        return _IN_USE
    if error.constraint_name in _MEANINGS:
        return _MEANINGS[error.constraint_name]
    return _TAKEN if isinstance(error, asyncpg.UniqueViolationError) else None
