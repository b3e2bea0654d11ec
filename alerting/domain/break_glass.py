"""Breaking the glass: a right taken at once, for minutes, and a review by another person within a day."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mesh.errors import FailedPrecondition, PermissionDenied
from mesh.identity import person_of

TIME_IN_FORCE = timedelta(minutes=15)
TIME_TO_REVIEW = timedelta(hours=24)


class State(enum.IntEnum):
    """How far a case has come. The numbers are those of ``argo.alerting.v1.BreakGlassCase.State``."""

    OPEN = 1
    ENDED = 2
    OVERDUE = 3
    JUSTIFIED = 4
    UNJUSTIFIED = 5


@dataclass(frozen=True)
class Review:
    """What another person says.

    Attributes:
        reviewer: identity path.
        justified: whether it was right.
        reason: why.
        time: when, in UTC.
    """

    reviewer: str
    justified: bool
    reason: str
    time: datetime


@dataclass(frozen=True)
class Case:
    """One time that somebody broke the glass.

    Attributes:
        case_id: the last segment of its name ``breakGlassCases/{case_id}``.
        person: identity path of who took the right.
        right: which, for example ``"deferred"``.
        reason: why.
        case_reference: of the proceeding; may be empty.
        create_time: when, in UTC.
        expire_time: when the right ends.
        review_due_time: until when somebody else has to look into it.
        review: what that one says; none: nobody has yet.
    """

    case_id: str
    person: str
    right: str
    reason: str
    case_reference: str
    create_time: datetime
    expire_time: datetime
    review_due_time: datetime
    review: Review | None = None

    @property
    def name(self) -> str:
        """Resource name."""
        return f"breakGlassCases/{self.case_id}"

    def state_at(self, now: datetime) -> State:
        """How far it has come."""
        if self.review is not None:
            return State.JUSTIFIED if self.review.justified else State.UNJUSTIFIED
        if now < self.expire_time:
            return State.OPEN
        return State.ENDED if now < self.review_due_time else State.OVERDUE


def begin(case_id: str, person: str, right: str, reason: str, case_reference: str, now: datetime) -> Case:
    """A right is taken at ``now``."""
    return Case(case_id, person, right, reason, case_reference, now, now + TIME_IN_FORCE, now + TIME_TO_REVIEW)


def end(case: Case, person: str, now: datetime) -> Case:
    """The right is given back; one that has ended already stays as it is.

    Raises:
        PermissionDenied: by another person than the one who took it (``NOT_YOUR_CASE``).
    """
    if person_of(person) != person_of(case.person):
        raise PermissionDenied("only who broke the glass gives the right back", reason="NOT_YOUR_CASE")
    return _cut(case, now)


def review(case: Case, said: Review) -> Case:
    """The case after another person has looked into it. A review ends a right that is still in force.

    Raises:
        PermissionDenied: it is the person's own (``SELF_APPROVAL``).
        FailedPrecondition: somebody has looked into it before (``ALREADY_DECIDED``).
    """
    if person_of(said.reviewer) == person_of(case.person):
        raise PermissionDenied("nobody looks into what it did itself", reason="SELF_APPROVAL")
    if case.review is not None:
        raise FailedPrecondition(
            f"{case.name} was looked into before", reason="ALREADY_DECIDED", metadata={"name": case.name}
        )
    return replace(_cut(case, said.time), review=said)


def _cut(case: Case, now: datetime) -> Case:
    # Of a right that was taken and given back within one tick of the clock a moment is left: it was in force.
    earliest = case.create_time + timedelta(microseconds=1)
    return replace(case, expire_time=min(case.expire_time, max(now, earliest)))
