"""Legal holds: the records of ``registry.domain.holding``, who has taken which step, and what they keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from argo.registry.v1 import hold_service_pb2 as pb
from mesh.errors import ArgoError, FailedPrecondition, FieldViolation, PermissionDenied
from mesh.postgres import Pool
from registry import requests
from registry.cases import QUERIES, TIME, Cases, NewCase
from registry.database import borrowed, uninterrupted
from registry.domain import fields, holding
from registry.domain.holding import Event, Refusal, State
from registry.domain.names import NamePattern
from registry.domain.network import CameraNetworks
from registry.metrics import CaseMetrics
from registry.resources import Resource
from registry.store import Author, RecordStore

log = structlog.get_logger()

_SCOPES = (NamePattern(("sites",)), NamePattern(("devices", "optics")))
_REFUSALS: dict[Refusal, tuple[type[ArgoError], str]] = {
    Refusal.SELF_APPROVAL: (PermissionDenied, "whoever proposed a hold cannot approve it"),
    Refusal.APPROVED_BEFORE: (PermissionDenied, "nobody can approve a hold twice"),
    Refusal.ALREADY_ACTIVE: (FailedPrecondition, "the hold has the approvals that it needs"),
    Refusal.HOLD_ENDED: (FailedPrecondition, "the hold is over"),
}


def check_hold(hold: pb.Hold, _networks: CameraNetworks | None = None) -> list[FieldViolation]:
    """What is wrong with a new hold, times apart."""
    found = fields.Violations("hold")
    if not any(pattern.matches(hold.scope) for pattern in _SCOPES):
        found.add("scope", f"must be {' or '.join(map(str, _SCOPES))}")
    found.add("authority", fields.text_problem(hold.authority, required=True))
    found.add("act", fields.text_problem(hold.act, required=True))
    found.require("interval.start_time", given=hold.interval.HasField("start_time"))
    found.require("interval.end_time", given=hold.interval.HasField("end_time"))
    found.require("expire_time", given=hold.HasField("expire_time"))
    return found.found


HOLD = Resource(
    kind="hold",
    plural="holds",
    pattern=NamePattern(("holds",)),
    message=pb.Hold,
    check=check_hold,
    owner=("controller",),
    flattened=("interval",),
    output_only=("steps",),
)


def check_times(hold: pb.Hold, now: datetime) -> list[FieldViolation]:
    """What is wrong with the times of a new hold that ``check_hold`` has let pass."""
    start, end = hold.interval.start_time.ToDatetime(UTC), hold.interval.end_time.ToDatetime(UTC)
    found = fields.Violations("hold")
    for field, problem in holding.time_problems(start, end, hold.expire_time.ToDatetime(UTC), now).items():
        found.add(field, problem)
    return found.found


@dataclasses.dataclass(frozen=True)
class KeptPictures:
    """Pictures of one optic that a hold keeps, captured in ``[start, end)``; times are aware.

    Attributes:
        hold: ``holds/{hold}``.
        optic: ``devices/{device}/optics/{optic}``.
        start: of the captured time.
        end: of the captured time.
        expire_time: until when they are kept.
    """

    hold: str
    optic: str
    start: datetime
    end: datetime
    expire_time: datetime


class Holds:
    """The holds and what becomes of them."""

    def __init__(self, pool: Pool, records: RecordStore, metrics: CaseMetrics, clock: Callable[[], datetime]) -> None:
        """Takes what they are kept with.

        Args:
            pool: on the registry's migrated schema.
            records: in the same schema.
            metrics: count the steps.
            clock: the present time, aware.
        """
        self.cases = Cases(HOLD, pool, records, lambda hold: str(hold.act))
        self._pool = pool
        self._records = records
        self._metrics = metrics
        self._clock = clock

    async def approve(self, name: str, etag: str, author: Author) -> Any:
        """One approval.

        Raises:
            PermissionDenied: the author proposed the hold, or has approved it before.
            FailedPrecondition: it needs no approval any more.
        """

        async def change(_connection: Any, hold: Any) -> Any:
            _move(hold, holding.approval(hold.proposer, hold.approvers, author.path), self._clock())
            hold.approvers.append(author.path)
            return hold

        hold = await self.cases.advance(name, etag, author, change)
        active = hold.state == pb.Hold.STATE_ACTIVE
        log.info("hold.activated" if active else "hold.approved", hold=hold.name, scope=hold.scope)
        self._count(hold)
        return hold

    async def release(self, name: str, etag: str, author: Author) -> Any:
        """Ends a hold.

        Raises:
            FailedPrecondition: it is over.
        """

        async def change(_connection: Any, hold: Any) -> Any:
            _move(hold, Event.RELEASED, self._clock())
            return hold

        hold = await self.cases.advance(name, etag, author, change)
        log.info("hold.released", hold=hold.name, scope=hold.scope)
        self._count(hold)
        return hold

    async def propose(self, new: NewCase) -> Any:
        """A new hold, which holds nothing yet.

        Raises:
            InvalidArgument: with everything that is wrong with it.
            AlreadyExists: there is one of this name.
            FailedPrecondition: there is no such scope in the author's sight.
        """
        requests.check_encodable(new.message, "hold")
        violations = check_hold(new.message) or check_times(new.message, self._clock())
        new.message.state = pb.Hold.STATE_PROPOSED
        new.message.proposer = new.author.path
        hold = await self.cases.create(dataclasses.replace(new, violations=[*new.violations, *violations]))
        log.info("hold.proposed", hold=hold.name, scope=hold.scope)
        self._count(hold)
        return hold

    async def end_overdue(self) -> None:
        """Ends the holds whose time is over, and shows how many are open.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(QUERIES["open_holds"], self._clock())
        self._metrics.show_open_holds([row["state"] for row in rows if not row["overdue"]])
        overdue = [row["name"] for row in rows if row["overdue"]]
        if overdue:
            for hold in await uninterrupted(self._expire(overdue)):
                log.warning("hold.expired", hold=hold.name, scope=hold.scope)
                self._count(hold)

    async def kept(self, sight: str | None, after: tuple[str, str, datetime], limit: int) -> list[KeptPictures]:
        """What the active holds keep, in the order of holds, optics and times.

        Args:
            sight: whose holds, see ``tenancy.visible_to``.
            after: hold, optic and start of the last one before.
            limit: at most so many.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(QUERIES["held_intervals"], sight, self._clock(), limit, *after)
        return [KeptPictures(*row) for row in rows]

    def _count(self, hold: Any) -> None:
        self._metrics.steps.labels("hold", pb.Hold.State.Name(hold.state)).inc()

    async def _expire(self, names: list[str]) -> list[Any]:
        ended = []
        async with self._records.changing(TIME) as connection:
            for name in names:
                hold = await self._records.lock(connection, HOLD, name, TIME)
                # Another replica may have been faster.
                if state_of(hold) in (State.PROPOSED, State.ACTIVE):
                    _move(hold, Event.EXPIRED, self._clock())
                    author = dataclasses.replace(TIME, case=hold.act)
                    ended.append(await self._records.replace(connection, HOLD, hold, author))
        return ended


def state_of(hold: Any) -> State:
    """The state of a hold in the terms of the domain."""
    return State(pb.Hold.State.Name(hold.state).removeprefix("STATE_"))


def _move(hold: Any, event: Event, now: datetime) -> None:
    """Brings a hold into its next state.

    Raises:
        PermissionDenied, FailedPrecondition: it has none.
    """
    result = holding.step(state_of(hold), event, expire_time=hold.expire_time.ToDatetime(UTC), now=now)
    if isinstance(result, Refusal):
        error, message = _REFUSALS[result]
        raise error(message, reason=result.value, metadata={"hold": hold.name})
    hold.state = pb.Hold.State.Value(f"STATE_{result.value}")
