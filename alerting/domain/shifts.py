"""Shifts: who is on duty, who is called, and when a shift may end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.domain.alerts import Alert, State
from mesh.errors import FailedPrecondition

_NAMED = 20


@dataclass(frozen=True)
class Shift:
    """People who watch together.

    Attributes:
        shift_id: the last segment of its name ``shifts/{shift_id}``.
        members: identity paths, in the order in which they came.
        called: the watch list as somebody set it; empty: the members are called.
        open_time: since when, in UTC.
        close_time: until when; none: it is open.
        closed_by: identity path; empty while it is open.
        note: of the handover; empty while it is open.
    """

    shift_id: str
    members: tuple[str, ...]
    called: tuple[str, ...]
    open_time: datetime
    close_time: datetime | None = None
    closed_by: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"shifts/{self.shift_id}"

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.close_time is None

    @property
    def watch_list(self) -> tuple[str, ...]:
        """Who is called when nobody takes an alert on, in that order."""
        return self.called or self.members


def on_duty(open_shifts: Iterable[Shift]) -> Shift | None:
    """The shift whose watch list counts: the newest one; while one hands over to the next, that is the next."""
    return max(open_shifts, key=lambda shift: shift.open_time, default=None)


def operators(open_shifts: Iterable[Shift]) -> int:
    """How many people share the alarms: the members of the shift on duty; one when no shift is open."""
    shift = on_duty(open_shifts)
    return max(1, len(shift.members)) if shift is not None else 1


def check_open(shift: Shift) -> None:
    """Raises ``FailedPrecondition`` (``SHIFT_CLOSED``) when a shift has ended."""
    if not shift.is_open:
        raise FailedPrecondition(f"{shift.name} is closed", reason="SHIFT_CLOSED", metadata={"name": shift.name})


def check_member(shift: Shift, person: str) -> None:
    """Raises ``FailedPrecondition`` (``NOT_A_MEMBER``) when somebody is not of an open shift."""
    check_open(shift)
    if person not in shift.members:
        raise FailedPrecondition(
            f"{person} is not a member of {shift.name}", reason="NOT_A_MEMBER", metadata={"name": shift.name}
        )


def check_close(shift: Shift, others: Sequence[Shift], alerts: Iterable[Alert]) -> None:
    """Checks that a shift leaves nothing behind.

    Args:
        shift: that is to end.
        others: the other open shifts.
        alerts: every alert that is not closed.

    Raises:
        FailedPrecondition: it has ended (``SHIFT_CLOSED``), an alert is nobody's (``SHIFT_ALERTS_UNOWNED``), or one is
            still a member's who is in no other open shift (``SHIFT_ALERTS_OWNED``).
    """
    check_open(shift)
    open_alerts = list(alerts)
    unowned = [alert.name for alert in open_alerts if alert.state is State.RAISED]
    if unowned:
        raise _left(shift, "nobody has taken on", unowned, "SHIFT_ALERTS_UNOWNED")
    leaving = set(shift.members) - {member for other in others for member in other.members}
    owned = [alert.name for alert in open_alerts if alert.owner in leaving and alert.state is not State.SHELVED]
    if owned:
        raise _left(shift, "somebody who leaves still has", owned, "SHIFT_ALERTS_OWNED")


def _left(shift: Shift, words: str, names: list[str], reason: str) -> FailedPrecondition:
    listed = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return FailedPrecondition(
        f"{shift.name} cannot close: {words} {listed}",
        reason=reason,
        metadata={"name": shift.name, "alerts": listed, "count": str(len(names))},
    )
