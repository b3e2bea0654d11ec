"""Whom to call when nobody takes an alert on, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.domain.alerts import ALERTING, Act, Alert, Priority, State, Step
from alerting.domain.shelving import shelf_end

Patience = Mapping[Priority, timedelta]
"""How long an alert of each priority waits for somebody; the next person is called after as long again."""


def deadline(priority: Priority, now: datetime, patience: Patience) -> datetime:
    """When an alert that is raised at ``now`` is escalated."""
    return now + patience[priority]


def escalation(alert: Alert, watch_list: Sequence[str], now: datetime, patience: Patience) -> Step:
    """The next call for an alert that nobody took on.

    Args:
        alert: which has been escalated so often before.
        watch_list: identity paths in the order in which they are called; empty: no shift is open.
        now: in UTC.
        patience: see ``Patience``.
    """
    if alert.escalations < len(watch_list):
        due = deadline(alert.priority, now, patience)
        return Step(Act.ESCALATE, ALERTING, "nobody took it on in time", owner=watch_list[alert.escalations], due=due)
    missing = "nobody is left on the watch list" if watch_list else "no shift is open"
    return Step(Act.ESCALATE, ALERTING, f"nobody took it on in time; {missing}")


def due_step(alert: Alert, watch_list: Sequence[str], now: datetime, patience: Patience) -> Step | None:
    """What time does with an alert at ``now``; none: nothing is due."""
    if alert.due_time is None or now < alert.due_time:
        return None
    if alert.state is State.SHELVED:
        due = deadline(alert.priority, now, patience)
        return Step(Act.UNSHELVE, ALERTING, "its time on the shelf is over", due=due)
    if alert.state is State.RAISED:
        return escalation(alert, watch_list, now, patience)
    return None


def scheduled(step: Step, alert: Alert, now: datetime, patience: Patience, longest_shelving: timedelta) -> Step:
    """A person's step with the time at which time acts next.

    Raises:
        InvalidArgument: something is to be shelved for no time, or for too long.
    """
    if step.act is Act.SHELVE:
        return replace(step, due=shelf_end(now, step.duration or timedelta(0), longest_shelving))
    if step.act is Act.UNSHELVE:
        return replace(step, due=deadline(alert.priority, now, patience))
    return step
