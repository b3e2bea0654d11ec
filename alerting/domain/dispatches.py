"""What the authorities are told, and how what they are told reaches them."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.domain.alerts import Act, Alert, Assessment

_NAMESPACE = uuid.UUID("6f1b1c1e-7d8f-5c1a-9a53-3c1f0c1de5a7")

FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(minutes=5)


class DispatchKind(enum.IntEnum):
    """What a dispatch says. The numbers are those of ``argo.alerting.v1.Dispatch.Kind``."""

    ALERT = 1
    UPDATE = 2
    CANCEL = 3


class DeliveryState(enum.IntEnum):
    """Whether a webhook has a dispatch. The numbers are those of ``argo.alerting.v1.Alert.DeliveryState``."""

    NOT_PUSHED = 1
    PENDING = 2
    DELIVERED = 3
    GIVEN_UP = 4


class Outcome(enum.IntEnum):
    """What an authority reports. The numbers are those of ``argo.alerting.v1.Alert.Outcome``."""

    TAKEN_ON = 1
    CONFIRMED = 2
    NOT_FOUND = 3
    DECLINED = 4


@dataclass(frozen=True)
class Reference:
    """An earlier dispatch that one goes on from.

    Attributes:
        dispatch_id: of it.
        send_time: when it was sent, in UTC.
    """

    dispatch_id: str
    send_time: datetime


@dataclass(frozen=True)
class Dispatch:
    """What was sent to one authority.

    Attributes:
        dispatch_id: the last segment of its name; follows from alert, change and recipient, so that it is made once.
        alert_id: of the alert that it is about.
        recipient: ``authorities/{tenant}``.
        kind: what it says.
        change: the alert's change that it tells of; its place in the order of all dispatches of a recipient.
        send_time: when it was sent, in UTC.
        content: the alert as the recipient may see it, as the serialised ``argo.alerting.v1.Alert``; opaque here.
        references: the dispatches that it goes on from, oldest first.
        state: whether the recipient's webhook has it.
        attempts: how often the webhook was tried.
        receipt_time: when the recipient said that it has it; none: it has not said.
    """

    dispatch_id: str
    alert_id: str
    recipient: str
    kind: DispatchKind
    change: int
    send_time: datetime
    content: bytes
    references: tuple[Reference, ...]
    state: DeliveryState
    attempts: int = 0
    receipt_time: datetime | None = None

    @property
    def name(self) -> str:
        """Resource name."""
        return f"dispatches/{self.dispatch_id}"

    @property
    def tenant(self) -> str:
        """Name of the recipient."""
        return self.recipient.removeprefix("authorities/")


def dispatch_id(alert: Alert, recipient: str) -> str:
    """The id of what tells a recipient of an alert's latest change."""
    return f"d-{uuid.uuid5(_NAMESPACE, f'{alert.alert_id}/{alert.change}/{recipient}')}"


def news(before: Alert, after: Alert, act: Act | None) -> list[tuple[DispatchKind, str]]:
    """Who is to be told what of a change: only those to whom a person has sent the alert.

    Args:
        before: the alert before the change.
        after: the alert after it.
        act: what a person did; none: events came.

    Returns:
        Kind and recipient of each dispatch.
    """
    if act is Act.DISPATCH:
        return [(DispatchKind.ALERT, after.recipients[-1])]
    kind = _kind_of_news(before, after, act)
    return [(kind, recipient) for recipient in after.recipients] if kind is not None else []


def _kind_of_news(before: Alert, after: Alert, act: Act | None) -> DispatchKind | None:
    was_false, is_false = (one.assessment is Assessment.FALSE for one in (before, after))
    if is_false:
        # Of what is false there is one cancellation, and nothing after it.
        return DispatchKind.CANCEL if not was_false else None
    if was_false:
        # What was cancelled is not updated: it begins anew.
        return DispatchKind.ALERT if act is Act.VERIFY else None
    if act in (Act.VERIFY, Act.CLOSE):
        return DispatchKind.UPDATE
    return DispatchKind.UPDATE if act is None and after.priority > before.priority else None


def references(sent: Iterable[tuple[str, Reference]], recipient: str) -> tuple[Reference, ...]:
    """Of all that was sent about an alert, what went to one recipient."""
    return tuple(reference for to, reference in sent if to == recipient)


def next_attempt(
    attempts: int, now: datetime, chance: float, *, send_time: datetime, patience: timedelta, retry_after: timedelta
) -> datetime | None:
    """When a webhook is tried again; none: it is given up.

    Exponential with jitter: many recipients that fail together are not asked together again.

    Args:
        attempts: made so far, at least 1.
        now: in UTC.
        chance: drawn evenly from 0 to 1.
        send_time: when the dispatch was sent.
        patience: how long after that it is given up.
        retry_after: what the recipient asked for; nothing: it did not.
    """
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 16))
    time = now + max(longest * (0.5 + chance / 2), min(retry_after, LONGEST_DELAY))
    return time if time <= send_time + patience else None
