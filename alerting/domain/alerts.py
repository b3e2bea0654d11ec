"""The life of an alert: its states, and the acts that lead from one to the next, as a table."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from mesh.errors import Aborted, FailedPrecondition

ALERTING = "service/alerting"
"""Who acts when time does."""


class State(enum.IntEnum):
    """How far an alert has come. The numbers are those of ``argo.alerting.v1.Alert.State`` and of the table."""

    RAISED = 1
    ACKNOWLEDGED = 2
    VERIFIED = 3
    DISPATCHED = 4
    CLOSED = 5
    SHELVED = 6


class Act(enum.Enum):
    """What can be done with an alert. The names are those of ``argo.alerting.v1.Alert.Act``."""

    RAISE = "raise"
    ACKNOWLEDGE = "acknowledge"
    VERIFY = "verify"
    DISPATCH = "dispatch"
    CLOSE = "close"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    ESCALATE = "escalate"
    HAND_OVER = "hand-over"
    FOLD = "fold"
    RECEIVE = "receive"
    REPORT = "report"


class Kind(enum.IntEnum):
    """What an alert stands for. The numbers are those of ``argo.alerting.v1.Alert.Kind``."""

    SINGLE = 1
    CHATTERING = 2
    FLOOD = 3


class Assessment(enum.IntEnum):
    """Whether an alert was true. The numbers are those of ``argo.alerting.v1.Alert.Assessment``."""

    NONE = 0
    TRUE = 1
    FALSE = 2
    CANNOT_TELL = 3


class Priority(enum.IntEnum):
    """How urgent an alert is (ISA-18.2). The numbers are those of ``argo.registry.v1.Priority``."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


TRANSITIONS: Mapping[tuple[State, Act], State] = MappingProxyType(
    {
        (State.RAISED, Act.ACKNOWLEDGE): State.ACKNOWLEDGED,
        # Nobody took it on in time: it stays raised, and the next person is called.
        (State.RAISED, Act.ESCALATE): State.RAISED,
        (State.RAISED, Act.SHELVE): State.SHELVED,
        (State.RAISED, Act.FOLD): State.CLOSED,
        (State.ACKNOWLEDGED, Act.VERIFY): State.VERIFIED,
        (State.ACKNOWLEDGED, Act.DISPATCH): State.DISPATCHED,
        (State.ACKNOWLEDGED, Act.CLOSE): State.CLOSED,
        (State.ACKNOWLEDGED, Act.SHELVE): State.SHELVED,
        (State.ACKNOWLEDGED, Act.HAND_OVER): State.ACKNOWLEDGED,
        (State.VERIFIED, Act.DISPATCH): State.DISPATCHED,
        (State.VERIFIED, Act.CLOSE): State.CLOSED,
        (State.VERIFIED, Act.SHELVE): State.SHELVED,
        (State.VERIFIED, Act.HAND_OVER): State.VERIFIED,
        # To a second authority.
        (State.DISPATCHED, Act.DISPATCH): State.DISPATCHED,
        # What was sent turns out to be something else: the authorities are told.
        (State.DISPATCHED, Act.VERIFY): State.DISPATCHED,
        (State.DISPATCHED, Act.CLOSE): State.CLOSED,
        (State.DISPATCHED, Act.HAND_OVER): State.DISPATCHED,
        (State.DISPATCHED, Act.RECEIVE): State.DISPATCHED,
        (State.DISPATCHED, Act.REPORT): State.DISPATCHED,
        # An authority may still be busy with what is over for the control room.
        (State.CLOSED, Act.RECEIVE): State.CLOSED,
        (State.CLOSED, Act.REPORT): State.CLOSED,
        # Whatever it was before: who set it aside looks at it anew.
        (State.SHELVED, Act.UNSHELVE): State.RAISED,
    }
)
"""Every allowed step. Whatever is not here is refused."""


@dataclass(frozen=True)
class Transition:
    """One step that was taken.

    Attributes:
        state: the state that it led to.
        actor: identity path of who took it, for example ``"operator/rossi"``; ``"service/alerting"`` when time or an
            event did.
        time: when, in UTC.
        reason: why, in the actor's words; may be empty where an act does not require one.
        act: what was done; none: an older version wrote it down and did not say.
        object: to or for whom, or until when, as a text; empty where there is nothing to say.
    """

    state: State
    actor: str
    time: datetime
    reason: str
    act: Act | None = None
    object: str = ""


@dataclass(frozen=True)
class Delivery:
    """What became of what was sent to one authority. The numbers are those of the contract's enumerations.

    Attributes:
        recipient: ``authorities/{tenant}``.
        dispatch_id: of the latest dispatch to it.
        state: whether its webhook has that.
        attempts: how often the webhook was tried.
        problem: what the last attempt failed with; empty: it did not.
        receipt_time: when the recipient said that it has a dispatch of this alert; none: it has not said.
        outcome: what it reported; 0: nothing.
        outcome_note: the same in its words.
        outcome_time: when it did.
    """

    recipient: str
    dispatch_id: str
    state: int
    attempts: int = 0
    problem: str = ""
    receipt_time: datetime | None = None
    outcome: int = 0
    outcome_note: str = ""
    outcome_time: datetime | None = None


@dataclass(frozen=True)
class Alert:
    """Something that needs a response.

    Attributes:
        alert_id: the last segment of its name ``alerts/{alert_id}``.
        state: see ``TRANSITIONS``.
        priority: that of the rule when it fired; the highest one of its events.
        optic: ``devices/{device}/optics/{optic}``.
        site: ``sites/{site}``.
        rule: ``.../rules/{rule}``.
        place: ``.../zones/{zone}`` or ``.../lines/{line}``.
        summary: one sentence: what, where, measured against what.
        event: the event that raised it, as the serialised ``argo.detector.v1.Event``; opaque here.
        event_count: how many events it stands for.
        create_time: when it was raised.
        update_time: when it last changed.
        capture_time: when the picture that raised it was captured.
        last_capture_time: the same of the latest event that joined it.
        expire_time: when it is erased.
        transitions: what happened to it, in order.
        assessment: whether it was true, as far as somebody said.
        recipients: ``authorities/{tenant}`` to which it was dispatched, in order.
        change: place of its latest change in the sequence of all changes; also its version.
        kind: what it stands for.
        topic: the kind of rule, for example ``"LineDetector/Crossed"``.
        incident: the id of the first alert of the incident that it belongs to.
        owner: identity path of who has it; empty: nobody.
        escalations: how many people were called because nobody took it on.
        due_time: when time acts next: a shelved one comes back, a raised one is escalated; none: it does not.
        other_optics: further optics that saw the same.
        deliveries: what became of what was sent; as read, never written.
    """

    alert_id: str
    state: State
    priority: Priority
    optic: str
    site: str
    rule: str
    place: str
    summary: str
    event: bytes
    event_count: int
    create_time: datetime
    update_time: datetime
    capture_time: datetime
    last_capture_time: datetime
    expire_time: datetime
    transitions: tuple[Transition, ...] = ()
    assessment: Assessment = Assessment.NONE
    recipients: tuple[str, ...] = ()
    change: int = 0
    kind: Kind = Kind.SINGLE
    topic: str = ""
    incident: str = ""
    owner: str = ""
    escalations: int = 0
    due_time: datetime | None = None
    other_optics: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    @property
    def name(self) -> str:
        """Resource name."""
        return f"alerts/{self.alert_id}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return f"{self.change:x}"

    @property
    def shelved_until(self) -> datetime | None:
        """When it comes back from the shelf; none: it is not there."""
        return self.due_time if self.state is State.SHELVED else None


@dataclass(frozen=True)
class Step:
    """What is to be done with an alert.

    Attributes:
        act: the kind of act.
        actor: identity path, for example ``"operator/rossi"``.
        reason: why, in words.
        etag: the version that the actor saw; empty: whichever it is.
        assessment: for ``Act.VERIFY``.
        recipient: ``authorities/{tenant}``, for ``Act.DISPATCH``.
        owner: identity path: who gets it (``Act.HAND_OVER``), who is called (``Act.ESCALATE``; empty: nobody is left).
        duration: for how long it is set aside, for ``Act.SHELVE``.
        due: when time acts next: the end of a shelving, or when the next escalation is due; see
            ``alerting.domain.escalation.scheduled``.
    """

    act: Act
    actor: str
    reason: str = ""
    etag: str = ""
    assessment: Assessment = Assessment.NONE
    recipient: str = ""
    owner: str = ""
    duration: timedelta | None = None
    due: datetime | None = None


def take(alert: Alert, step: Step, now: datetime) -> Alert:
    """The alert after a step, with the transition written down.

    Raises:
        Aborted: the actor saw an older version (``ALERT_CHANGED``).
        FailedPrecondition: the alert's state does not allow the act (``ALERT_STATE``), it was found to be false
            (``ALERT_ASSESSED_FALSE``), it was dispatched to that recipient before (``ALERT_ALREADY_DISPATCHED``), it is
            not the actor's to give away (``ALERT_OF_SOMEBODY_ELSE``), or a flood's, which is not set aside
            (``ALERT_OF_FLOOD``).
    """
    if step.etag and step.etag != alert.etag:
        raise Aborted(
            f"{alert.name} has changed since you read it", reason="ALERT_CHANGED", metadata={"name": alert.name}
        )
    state = TRANSITIONS.get((alert.state, step.act))
    if state is None:
        raise FailedPrecondition(
            f"{alert.name} is {alert.state.name}: cannot {step.act.value.replace('-', ' ')} it",
            reason="ALERT_STATE",
            metadata={"name": alert.name, "state": alert.state.name, "act": step.act.value},
        )
    if step.act is Act.DISPATCH:
        _check_dispatch(alert, step.recipient)
    if step.act is Act.HAND_OVER:
        _check_hand_over(alert, step)
    if step.act is Act.SHELVE and alert.kind is Kind.FLOOD:
        raise FailedPrecondition(
            f"{alert.name} gathers a flood, whatever comes: set a rule, an optic or a place aside",
            reason="ALERT_OF_FLOOD",
            metadata={"name": alert.name},
        )
    transition = Transition(state, step.actor, now, step.reason, step.act, _object(step))
    moved = replace(alert, state=state, update_time=now, transitions=(*alert.transitions, transition))
    return _with_effect(moved, step)


def _with_effect(alert: Alert, step: Step) -> Alert:
    """What an act changes beside the state."""
    changes: dict[str, object] = {}
    match step.act:
        case Act.ACKNOWLEDGE:
            changes = {"owner": step.actor, "due_time": None}
        case Act.VERIFY:
            changes = {"assessment": step.assessment}
        case Act.DISPATCH:
            changes = {"recipients": (*alert.recipients, step.recipient)}
        case Act.CLOSE | Act.FOLD:
            changes = {"due_time": None}
        case Act.SHELVE:
            changes = {"owner": "", "due_time": step.due}
        case Act.UNSHELVE:
            changes = {"owner": "", "escalations": 0, "due_time": step.due}
        case Act.ESCALATE:
            changes = {"escalations": alert.escalations + 1, "due_time": step.due}
        case Act.HAND_OVER:
            changes = {"owner": step.owner}
    return replace(alert, **changes)  # type: ignore[arg-type]  # fields of Alert, by name


def _object(step: Step) -> str:
    if step.act is Act.SHELVE and step.due is not None:
        return step.due.isoformat(timespec="seconds")
    return step.recipient or step.owner


def _check_dispatch(alert: Alert, recipient: str) -> None:
    if alert.assessment is Assessment.FALSE:
        raise FailedPrecondition(
            f"{alert.name} was found to be false: it is not sent to anybody",
            reason="ALERT_ASSESSED_FALSE",
            metadata={"name": alert.name},
        )
    if recipient in alert.recipients:
        raise FailedPrecondition(
            f"{alert.name} was dispatched to {recipient} before",
            reason="ALERT_ALREADY_DISPATCHED",
            metadata={"name": alert.name, "recipient": recipient},
        )


def _check_hand_over(alert: Alert, step: Step) -> None:
    supervises = step.actor.split("/")[-2:-1] == ["supervisor"]
    if not supervises and step.actor not in (alert.owner, step.owner):
        raise FailedPrecondition(
            f"{alert.name} is {alert.owner or 'nobody'}'s: take it over yourself, or ask a supervisor",
            reason="ALERT_OF_SOMEBODY_ELSE",
            metadata={"name": alert.name, "owner": alert.owner},
        )
