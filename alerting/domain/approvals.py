"""Four eyes: what one person asks for, another one grants, and only for exactly that."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from mesh.errors import FailedPrecondition, PermissionDenied
from mesh.identity import person_of


class Kind(enum.Enum):
    """What needs a second person; the values are the names of the fields of ``Approval.request``."""

    SEARCH = "search"
    EXPORT = "export"


class State(enum.IntEnum):
    """How far an approval has come. The numbers are those of ``argo.alerting.v1.Approval.State`` and of the table."""

    REQUESTED = 1
    GRANTED = 2
    REJECTED = 3
    WITHDRAWN = 4
    EXPIRED = 5


class Decision(enum.Enum):
    """What somebody says to it."""

    GRANT_BY_AUTHOR = "granted by the one who asked"
    GRANT_BY_ANOTHER = "granted by another person"
    REJECT_BY_AUTHOR = "rejected by the one who asked"
    REJECT_BY_ANOTHER = "rejected by another person"


TRANSITIONS: Mapping[tuple[State, Decision], State] = MappingProxyType(
    {
        (State.REQUESTED, Decision.GRANT_BY_ANOTHER): State.GRANTED,
        (State.REQUESTED, Decision.REJECT_BY_ANOTHER): State.REJECTED,
        (State.REQUESTED, Decision.REJECT_BY_AUTHOR): State.WITHDRAWN,
        # Whoever granted it, or the one who asked, may think better of it.
        (State.GRANTED, Decision.REJECT_BY_ANOTHER): State.REJECTED,
        (State.GRANTED, Decision.REJECT_BY_AUTHOR): State.WITHDRAWN,
    }
)
"""Every allowed step; whatever is not here is refused."""

DECIDERS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.SEARCH: ("supervisor",), Kind.EXPORT: ("supervisor", "investigator")}
)
"""Roles that decide."""

TIME_TO_DECIDE = timedelta(hours=24)
TIME_OF_USE = timedelta(hours=8)
"""A shift: whoever was granted something uses it while the case is at hand."""


@dataclass(frozen=True)
class Approval:
    """What somebody asks to be let do.

    Attributes:
        approval_id: the last segment of its name ``approvals/{approval_id}``.
        kind: what it is.
        request: the serialised request, as the decider reads it; opaque here.
        fingerprint: SHA-256 of what counts of the request, 32 bytes.
        author: identity path of who asks.
        reason: why.
        create_time: when, in UTC.
        expire_time: until when it may be decided, and once granted, used.
        state: as it was last decided; see ``state_at``.
        decider: identity path of who decided; empty: nobody has.
        decision_reason: why so.
        decide_time: when.
    """

    approval_id: str
    kind: Kind
    request: bytes
    fingerprint: bytes
    author: str
    reason: str
    create_time: datetime
    expire_time: datetime
    state: State = State.REQUESTED
    decider: str = ""
    decision_reason: str = ""
    decide_time: datetime | None = None

    @property
    def name(self) -> str:
        """Resource name."""
        return f"approvals/{self.approval_id}"

    def state_at(self, now: datetime) -> State:
        """How far it has come: what waits, or was granted, ends by itself."""
        ends = self.state in (State.REQUESTED, State.GRANTED)
        return State.EXPIRED if ends and now >= self.expire_time else self.state


class Approvals(Protocol):
    """Where whoever needs an approval asks whether there is one."""

    async def require(self, name: str, kind: Kind, fingerprint: bytes, actor: str) -> Approval:
        """The approval of that name, if it lets ``actor`` do exactly this, now.

        Args:
            name: ``approvals/{approval}``.
            kind: what is to be done.
            fingerprint: of the request that is to be done.
            actor: identity path of who does it.

        Raises:
            FailedPrecondition: it is of something else (``APPROVAL_MISMATCH``), or not in force (``APPROVAL_STATE``).
            NotFound: there is none of that name, or it is another person's (``APPROVAL_NOT_FOUND``).
            Unavailable: nobody can tell now.
        """
        ...


def decide(approval: Approval, decider: str, reason: str, now: datetime, *, grant: bool) -> Approval:
    """The approval after somebody's decision.

    Raises:
        PermissionDenied: it is one's own (``SELF_APPROVAL``) or one's own role's (``SAME_ROLE``), or the role does
            not decide on such (``NOT_A_DECIDER``).
        FailedPrecondition: it was decided before, or its time is over (``ALREADY_DECIDED``).
    """
    own = person_of(decider) == person_of(approval.author)
    if grant and own:
        raise PermissionDenied("nobody approves what it asked for itself", reason="SELF_APPROVAL")
    if not own:
        _check_role(approval, decider)
    decision = Decision(f"{'granted' if grant else 'rejected'} by {'the one who asked' if own else 'another person'}")
    state = TRANSITIONS.get((approval.state_at(now), decision))
    if state is None:
        raise FailedPrecondition(
            f"{approval.name} is {approval.state_at(now).name}: it cannot be decided any more",
            reason="ALREADY_DECIDED",
            metadata={"name": approval.name, "state": approval.state_at(now).name},
        )
    end = now + TIME_OF_USE if state is State.GRANTED else approval.expire_time
    return replace(approval, state=state, decider=decider, decision_reason=reason, decide_time=now, expire_time=end)


def _check_role(approval: Approval, decider: str) -> None:
    role = decider.split("/")[-2]
    if role not in DECIDERS[approval.kind]:
        raise PermissionDenied(
            f"{role} does not decide on a {approval.kind.value}",
            reason="NOT_A_DECIDER",
            metadata={"role": role, "kind": approval.kind.value},
        )
    if role == approval.author.split("/")[-2]:
        raise PermissionDenied(
            f"two roles are needed, and {role} asked for it itself", reason="SAME_ROLE", metadata={"role": role}
        )


def check_use(approval: Approval, kind: Kind, fingerprint: bytes, now: datetime) -> None:
    """Checks that an approval lets somebody do exactly this.

    Raises:
        FailedPrecondition: see ``Approvals.require``.
    """
    if (approval.kind, approval.fingerprint) != (kind, fingerprint):
        raise FailedPrecondition(
            f"{approval.name} was granted for another request: ask for one for exactly this",
            reason="APPROVAL_MISMATCH",
            metadata={"name": approval.name},
        )
    state = approval.state_at(now)
    if state is not State.GRANTED:
        raise FailedPrecondition(
            f"{approval.name} is {state.name}: it lets nobody do anything",
            reason="APPROVAL_STATE",
            metadata={"name": approval.name, "state": state.name},
        )
