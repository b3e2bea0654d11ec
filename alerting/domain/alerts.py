"""The life of an alert: its states, and the acts that lead from one to the next, as a table."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from mesh.errors import Aborted, FailedPrecondition


class State(enum.IntEnum):
    """How far an alert has come. The numbers are those of ``argo.alerting.v1.Alert.State`` and of the table."""

    RAISED = 1
    ACKNOWLEDGED = 2
    VERIFIED = 3
    DISPATCHED = 4
    CLOSED = 5
    SHELVED = 6


class Act(enum.Enum):
    """What an operator does with an alert."""

    ACKNOWLEDGE = "acknowledge"
    VERIFY = "verify"
    DISPATCH = "dispatch"
    CLOSE = "close"


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
        (State.ACKNOWLEDGED, Act.VERIFY): State.VERIFIED,
        (State.ACKNOWLEDGED, Act.DISPATCH): State.DISPATCHED,
        (State.VERIFIED, Act.DISPATCH): State.DISPATCHED,
        # To a second authority.
        (State.DISPATCHED, Act.DISPATCH): State.DISPATCHED,
        (State.ACKNOWLEDGED, Act.CLOSE): State.CLOSED,
        (State.VERIFIED, Act.CLOSE): State.CLOSED,
        (State.DISPATCHED, Act.CLOSE): State.CLOSED,
    }
)
"""Every allowed step. Whatever is not here is refused; no act leads to or from SHELVED yet."""


@dataclass(frozen=True)
class Transition:
    """One step that was taken.

    Attributes:
        state: the state that it led to.
        actor: identity path of who took it, for example ``"operator/rossi"``; ``"service/alerting"`` for the first one.
        time: when, in UTC.
        reason: why, in the actor's words; may be empty where an act does not require one.
    """

    state: State
    actor: str
    time: datetime
    reason: str


@dataclass(frozen=True)
class Alert:
    """Something that needs a response.

    Attributes:
        alert_id: the last segment of its name ``alerts/{alert_id}``.
        state: see ``TRANSITIONS``.
        priority: that of the rule when it fired.
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

    @property
    def name(self) -> str:
        """Resource name."""
        return f"alerts/{self.alert_id}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return f"{self.change:x}"


@dataclass(frozen=True)
class Step:
    """What an operator asks to be done with an alert.

    Attributes:
        act: the kind of act.
        actor: identity path, for example ``"operator/rossi"``.
        reason: why, in words.
        etag: the version that the actor saw; empty: whichever it is.
        assessment: for ``Act.VERIFY``.
        recipient: ``authorities/{tenant}``, for ``Act.DISPATCH``.
    """

    act: Act
    actor: str
    reason: str = ""
    etag: str = ""
    assessment: Assessment = Assessment.NONE
    recipient: str = ""


def take(alert: Alert, step: Step, now: datetime) -> Alert:
    """The alert after a step, with the transition written down.

    Raises:
        Aborted: the actor saw an older version (``ALERT_CHANGED``).
        FailedPrecondition: the alert's state does not allow the act (``ALERT_STATE``), it was found to be false
            (``ALERT_ASSESSED_FALSE``), or it was dispatched to that recipient before (``ALERT_ALREADY_DISPATCHED``).
    """
    if step.etag and step.etag != alert.etag:
        raise Aborted(
            f"{alert.name} has changed since you read it", reason="ALERT_CHANGED", metadata={"name": alert.name}
        )
    state = TRANSITIONS.get((alert.state, step.act))
    if state is None:
        raise FailedPrecondition(
            f"{alert.name} is {alert.state.name}: cannot {step.act.value} it",
            reason="ALERT_STATE",
            metadata={"name": alert.name, "state": alert.state.name, "act": step.act.value},
        )
    if step.act is Act.DISPATCH:
        _check_dispatch(alert, step.recipient)
    return replace(
        alert,
        state=state,
        update_time=now,
        transitions=(*alert.transitions, Transition(state, step.actor, now, step.reason)),
        assessment=step.assessment if step.act is Act.VERIFY else alert.assessment,
        recipients=(*alert.recipients, step.recipient) if step.act is Act.DISPATCH else alert.recipients,
    )


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
