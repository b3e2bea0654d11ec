"""The life of a proposal: one person proposes, another one decides."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from mesh.identity import person_of


class State(Enum):
    """How far a proposal has come; the values are the names of ``Proposal.State`` in the contract, without prefix."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    SUPERSEDED = "SUPERSEDED"


class Event(Enum):
    """What happens to a proposal."""

    APPROVED_BY_AUTHOR = "approved by its author"
    APPROVED_BY_SECOND_PERSON = "approved by a second person"
    REJECTED_BY_AUTHOR = "rejected by its author"
    REJECTED_BY_SECOND_PERSON = "rejected by a second person"
    RECORD_CHANGED = "its record, or what that watches, was changed"


class Refusal(Enum):
    """Why an event cannot happen."""

    SELF_APPROVAL = "SELF_APPROVAL"
    ALREADY_DECIDED = "ALREADY_DECIDED"
    SUPERSEDED = "SUPERSEDED"


def _final(state: State, refusal: Refusal) -> Mapping[Event, State | Refusal]:
    return {event: state if event is Event.RECORD_CHANGED else refusal for event in Event}


TRANSITIONS: Mapping[State, Mapping[Event, State | Refusal]] = MappingProxyType(
    {
        State.PROPOSED: {
            Event.APPROVED_BY_AUTHOR: Refusal.SELF_APPROVAL,
            Event.APPROVED_BY_SECOND_PERSON: State.APPROVED,
            Event.REJECTED_BY_AUTHOR: State.WITHDRAWN,
            Event.REJECTED_BY_SECOND_PERSON: State.REJECTED,
            Event.RECORD_CHANGED: State.SUPERSEDED,
        },
        State.APPROVED: _final(State.APPROVED, Refusal.ALREADY_DECIDED),
        State.REJECTED: _final(State.REJECTED, Refusal.ALREADY_DECIDED),
        State.WITHDRAWN: _final(State.WITHDRAWN, Refusal.ALREADY_DECIDED),
        State.SUPERSEDED: _final(State.SUPERSEDED, Refusal.SUPERSEDED),
    }
)
"""Every state and every event; the table of the database keeps to it too (migration 00.02.00_03)."""


def approval(author: str, approver: str) -> Event:
    """The event of an approval.

    Args:
        author: identity path of who proposed.
        approver: identity path of who approves.
    """
    same = person_of(author) == person_of(approver)
    return Event.APPROVED_BY_AUTHOR if same else Event.APPROVED_BY_SECOND_PERSON


def rejection(author: str, decider: str) -> Event:
    """The event of a rejection; by its author it is a withdrawal.

    Args:
        author: identity path of who proposed.
        decider: identity path of who rejects.
    """
    same = person_of(author) == person_of(decider)
    return Event.REJECTED_BY_AUTHOR if same else Event.REJECTED_BY_SECOND_PERSON
