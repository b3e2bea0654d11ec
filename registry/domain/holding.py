"""The life of a legal hold: one person proposes, two others approve, somebody or time ends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from mesh.identity import person_of

APPROVERS_NEEDED = 2
LONGEST_INTERVAL = timedelta(days=366)
LONGEST_HOLD = timedelta(days=3660)
"""No law sets these two: they catch a mistyped year. A longer proceeding asks again."""


class State(Enum):
    """How far a hold has come; the values are the names of ``Hold.State`` in the contract, without prefix."""

    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class Event(Enum):
    """What happens to a hold."""

    APPROVED_BY_PROPOSER = "approved by who proposed it"
    APPROVED_AGAIN = "approved by who has approved it before"
    FIRST_APPROVAL = "approved by a second person"
    SECOND_APPROVAL = "approved by a third person"
    RELEASED = "ended by a person"
    EXPIRED = "ended by time"


class Refusal(Enum):
    """Why an event cannot happen."""

    SELF_APPROVAL = "SELF_APPROVAL"
    APPROVED_BEFORE = "APPROVED_BEFORE"
    ALREADY_ACTIVE = "ALREADY_ACTIVE"
    HOLD_ENDED = "HOLD_ENDED"


_ENDED: Mapping[Event, State | Refusal] = dict.fromkeys(Event, Refusal.HOLD_ENDED)

TRANSITIONS: Mapping[State, Mapping[Event, State | Refusal]] = MappingProxyType(
    {
        State.PROPOSED: {
            Event.APPROVED_BY_PROPOSER: Refusal.SELF_APPROVAL,
            Event.APPROVED_AGAIN: Refusal.APPROVED_BEFORE,
            Event.FIRST_APPROVAL: State.PROPOSED,
            Event.SECOND_APPROVAL: State.ACTIVE,
            Event.RELEASED: State.RELEASED,
            Event.EXPIRED: State.EXPIRED,
        },
        State.ACTIVE: {
            Event.APPROVED_BY_PROPOSER: Refusal.ALREADY_ACTIVE,
            Event.APPROVED_AGAIN: Refusal.ALREADY_ACTIVE,
            Event.FIRST_APPROVAL: Refusal.ALREADY_ACTIVE,
            Event.SECOND_APPROVAL: Refusal.ALREADY_ACTIVE,
            Event.RELEASED: State.RELEASED,
            Event.EXPIRED: State.EXPIRED,
        },
        State.RELEASED: _ENDED,
        State.EXPIRED: _ENDED,
    }
)
"""Every state and every event; the table of the database keeps to it too (migration 00.02.00_04)."""


def approval(proposer: str, approvers: Sequence[str], approver: str) -> Event:
    """The event of an approval.

    Args:
        proposer: identity path of who proposed.
        approvers: identity paths of who has approved so far.
        approver: identity path of who approves now.
    """
    person = person_of(approver)
    if person == person_of(proposer):
        return Event.APPROVED_BY_PROPOSER
    if person in map(person_of, approvers):
        return Event.APPROVED_AGAIN
    return Event.SECOND_APPROVAL if len(approvers) + 1 >= APPROVERS_NEEDED else Event.FIRST_APPROVAL


def step(state: State, event: Event, *, expire_time: datetime, now: datetime) -> State | Refusal:
    """What becomes of a hold.

    Args:
        state: as stored; time may have ended the hold since.
        event: what happens.
        expire_time: aware.
        now: aware.
    """
    if event is not Event.EXPIRED and now >= expire_time:
        return Refusal.HOLD_ENDED
    return TRANSITIONS[state][event]


def time_problems(start: datetime, end: datetime, expire_time: datetime, now: datetime) -> Mapping[str, str]:
    """What is wrong with the times of a new hold, by field.

    Args:
        start: of the captured time that is to be kept, aware.
        end: of it; may lie ahead, for pictures that are yet to be captured.
        expire_time: until when they are to be kept.
        now: the present time.
    """
    problems = {}
    if not start < end:
        problems["interval.end_time"] = "must be after interval.start_time"
    elif end - start > LONGEST_INTERVAL:
        problems["interval.end_time"] = f"must be at most {LONGEST_INTERVAL.days} days after interval.start_time"
    if expire_time <= now:
        problems["expire_time"] = "must lie ahead"
    elif expire_time - now > LONGEST_HOLD:
        problems["expire_time"] = f"must be at most {LONGEST_HOLD.days} days ahead"
    elif expire_time < end:
        problems["expire_time"] = "must not be before interval.end_time"
    return problems
