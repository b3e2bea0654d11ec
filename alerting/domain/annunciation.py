"""From events to alarms: what is one alarm, and how many of them people can bear.

An event joins an alarm of its rule and place while that is active; one of another optic that sees the same place
joins by kind, place and time, never by identity. A rule that fires again and again becomes one chattering alarm until
there is quiet. When more alarms come than the people on duty can look at, those of one incident are put together first,
and what is still too much goes into one alarm of the flood, the least urgent first. No event is ever left without its
alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.domain.alerts import ALERTING, Act, Alert, Kind, State, Step, take
from alerting.domain.escalation import Patience, deadline
from alerting.domain.events import RuleEvent, join, raise_alert
from alerting.domain.shelving import Shelving, covering
from alerting.domain.summary import summarise

BUDGET_WINDOW = timedelta(minutes=10)
"""ISA-18.2 and EEMUA 191 count alarms per operator in ten minutes."""


@dataclass(frozen=True)
class Policy:
    """How alarms are put together.

    Attributes:
        window: events of one rule and place within this time of each other are one alarm.
        merge_window: so are events of one kind, seen by different optics at one place.
        incident_window: alarms at one place within this time of each other are one incident.
        chatter_count: a rule that has raised so many alarms at a place within ``chatter_window`` chatters.
        chatter_window: see there; as long must it be quiet before it is calm.
        budget: alarms per operator in ``BUDGET_WINDOW``; more are a flood (ISA-18.2: 10).
        patience: how long an alarm waits for somebody.
    """

    window: timedelta
    merge_window: timedelta
    incident_window: timedelta
    chatter_count: int
    chatter_window: timedelta
    budget: int
    patience: Patience

    @property
    def reach(self) -> timedelta:
        """No event joins an alarm that is further away in time, unless that chatters or lies on the shelf."""
        return max(self.window, self.merge_window, self.incident_window, BUDGET_WINDOW)


@dataclass(frozen=True)
class Room:
    """The control room when events come in.

    Attributes:
        open_alerts: not closed: those within ``Policy.reach`` of the events, and all that are chattering, shelved or a
            flood's.
        raised: rule and place to the capture times of what they have raised within ``Policy.chatter_window``.
        shown: how many alarms but those of floods were put before the operators within ``BUDGET_WINDOW``.
        operators: how many people share them, at least 1.
        shelvings: in force.
        neighbours: of a site, itself included: whose cameras may see the same.
    """

    open_alerts: Sequence[Alert] = ()
    raised: Mapping[tuple[str, str], Sequence[datetime]] = field(default_factory=dict)
    shown: int = 0
    operators: int = 1
    shelvings: Sequence[Shelving] = ()
    neighbours: Callable[[str], frozenset[str]] = lambda site: frozenset((site,))


class Annunciator:
    """Decides about events one by one; what it decided is read from its attributes.

    Attributes:
        changed: alerts that are new or have changed, by id, in the order of their first change.
        raised: ids of those that are new.
        links: which alert each event belongs to, in the order of decisions: event id, alert id.
        folded: alerts whose events belong to another one now: from, to.
    """

    def __init__(self, policy: Policy, room: Room, now: datetime) -> None:
        self._policy = policy
        self._room = room
        self._now = now
        self._alerts = {alert.alert_id: alert for alert in room.open_alerts}
        self._raised_at = {key: list(times) for key, times in room.raised.items()}
        self._shown = room.shown
        self._limit = policy.budget * room.operators
        self.changed: dict[str, Alert] = {}
        self.raised: list[str] = []
        self.links: list[tuple[RuleEvent, str]] = []
        self.folded: list[tuple[str, str]] = []

    def take(self, events: Iterable[RuleEvent]) -> None:
        """Finds an alarm for each event, the most urgent first."""
        for event in sorted(events, key=lambda event: (-event.priority, event.capture_time)):
            alert = self._same(event) or self._seen_by_others(event)
            if alert is None and 2 * self._shown >= self._limit and not self._is_chattering(event):
                alert = self._same_incident(event)
            self._join(alert, event) if alert is not None else self._raise(event)

    def _same(self, event: RuleEvent) -> Alert | None:
        """The alarm of the event's own rule and place."""
        rule, place = event.explanation.rule, event.explanation.place
        return _latest(
            alert
            for alert in self._alerts.values()
            if (alert.rule, alert.place) == (rule, place)
            and alert.kind is not Kind.FLOOD
            and (alert.state is State.SHELVED or _near(alert, event, self._reach_of(alert)))
        )

    def _reach_of(self, alert: Alert) -> timedelta:
        return self._policy.chatter_window if alert.kind is Kind.CHATTERING else self._policy.window

    def _seen_by_others(self, event: RuleEvent) -> Alert | None:
        """The alarm of the same kind that other optics of the place have raised."""
        return _latest(
            alert
            for alert in self._around(event, self._policy.merge_window)
            if alert.topic == event.explanation.topic and event.optic not in (alert.optic, *alert.other_optics)
        )

    def _same_incident(self, event: RuleEvent) -> Alert | None:
        return _latest(self._around(event, self._policy.incident_window))

    def _around(self, event: RuleEvent, window: timedelta) -> list[Alert]:
        """The alarms at the event's place and time: of its device, its site, and the sites close by."""
        neighbours = self._room.neighbours(event.site) if event.site else frozenset[str]()
        return [
            alert
            for alert in self._alerts.values()
            if alert.kind is Kind.SINGLE
            and alert.state is not State.SHELVED
            and (alert.site in neighbours or _device(alert.optic) == _device(event.optic))
            and _near(alert, event, window)
        ]

    def _join(self, alert: Alert, event: RuleEvent) -> None:
        joined = join(alert, event, self._now)
        if alert.kind is not Kind.FLOOD and event.optic not in (alert.optic, *alert.other_optics):
            joined = replace(joined, other_optics=(*joined.other_optics, event.optic))
        if event.priority > alert.priority:
            joined = _with_headline(joined, event)
            if alert.state is State.RAISED:
                due = deadline(event.priority, self._now, self._policy.patience)
                joined = replace(joined, due_time=min(due, alert.due_time or due))
        self._put(joined)
        self.links.append((event, joined.alert_id))

    def _raise(self, event: RuleEvent) -> None:
        alert = self._fresh(event)
        shelving = covering(self._room.shelvings, alert, self._now)
        if shelving is not None:
            self._add(take(alert, shelving.step(), self._now), event)
        elif self._is_chattering(event) and (self._has_room() or self._former(alert)):
            self._chatter(alert, event)
        elif self._has_room():
            self._show(alert, event)
        else:
            self._overflow(alert, event)

    def _has_room(self) -> bool:
        """Whether the budget bears one more alarm.

        The last place is the flood's, whether there is one or not: who closes its alarm in mid-flood gets the next one
        in its place, and never one more.
        """
        return self._shown < self._limit - 1

    def _fresh(self, event: RuleEvent) -> Alert:
        alert = raise_alert(event, self._now)
        incident = self._same_incident(event)
        return replace(
            alert,
            incident=incident.incident if incident is not None and incident.incident else alert.alert_id,
            due_time=deadline(alert.priority, self._now, self._policy.patience),
        )

    def _show(self, alert: Alert, event: RuleEvent) -> None:
        self._shown += 1
        self._add(alert, event)

    def _add(self, alert: Alert, event: RuleEvent) -> None:
        self._raised_at.setdefault((alert.rule, alert.place), []).append(event.capture_time)
        self.raised.append(alert.alert_id)
        self._put(alert)
        self.links.append((event, alert.alert_id))

    def _is_chattering(self, event: RuleEvent) -> bool:
        times = self._raised_at.get((event.explanation.rule, event.explanation.place), ())
        near = [time for time in times if abs(time - event.capture_time) <= self._policy.chatter_window]
        return len(near) >= self._policy.chatter_count

    def _chatter(self, alert: Alert, event: RuleEvent) -> None:
        """One alarm takes the place of those that nobody has taken on yet."""
        former = self._former(alert)
        self._shown += 1 - len(former)
        self._add(replace(alert, kind=Kind.CHATTERING), event)
        for other in former:
            self._fold(other, alert.alert_id, "it chatters")

    def _former(self, alert: Alert) -> list[Alert]:
        mine = (alert.rule, alert.place)
        return [other for other in self._alerts.values() if (other.rule, other.place) == mine and self._can_fold(other)]

    def _can_fold(self, alert: Alert) -> bool:
        """Nobody has taken it on, and it counts among the alarms of this budget."""
        fresh = self._now - alert.create_time <= BUDGET_WINDOW
        return fresh and alert.state is State.RAISED and alert.kind is Kind.SINGLE

    def _overflow(self, alert: Alert, event: RuleEvent) -> None:
        """The flood: of this alarm and those that nobody has taken on, the least urgent goes into the flood's alarm."""
        least = min(
            (other for other in self._alerts.values() if self._can_fold(other) and other.priority < alert.priority),
            key=lambda other: (other.priority, -other.create_time.timestamp()),
            default=None,
        )
        flood = self._flood()
        if least is None:
            self._join(flood, event) if flood is not None else self._add(_flood_of(alert), event)
            return
        self._shown -= 1
        if flood is None:
            # It becomes the flood's alarm itself.
            self._put(_flood_of(least))
        else:
            self._fold(least, flood.alert_id, "a flood of alarms")
        self._show(alert, event)

    def _flood(self) -> Alert | None:
        return _latest(
            alert
            for alert in self._alerts.values()
            if alert.kind is Kind.FLOOD and self._now - alert.update_time <= BUDGET_WINDOW
        )

    def _fold(self, alert: Alert, into: str, reason: str) -> None:
        self._put(take(alert, Step(Act.FOLD, ALERTING, reason, owner=f"alerts/{into}"), self._now))
        self.folded.append((alert.alert_id, into))
        whole = self._alerts[into]
        if alert.priority > whole.priority:
            whole = replace(whole, event=alert.event, summary=alert.summary)
        self._put(
            replace(
                whole,
                event_count=whole.event_count + alert.event_count,
                priority=max(whole.priority, alert.priority),
                capture_time=min(whole.capture_time, alert.capture_time),
                last_capture_time=max(whole.last_capture_time, alert.last_capture_time),
                expire_time=min(whole.expire_time, alert.expire_time),
                update_time=self._now,
            )
        )

    def _put(self, alert: Alert) -> None:
        if alert.kind is Kind.FLOOD:
            alert = replace(alert, summary=_flood_summary(alert))
        self.changed[alert.alert_id] = alert
        if alert.state is State.CLOSED:
            self._alerts.pop(alert.alert_id, None)
        else:
            self._alerts[alert.alert_id] = alert


def _latest(alerts: Iterable[Alert]) -> Alert | None:
    return max(alerts, key=lambda alert: (alert.last_capture_time, alert.alert_id), default=None)


def _near(alert: Alert, event: RuleEvent, window: timedelta) -> bool:
    return alert.capture_time - window <= event.capture_time <= alert.last_capture_time + window


def _device(optic: str) -> str:
    return optic.partition("/optics/")[0]


def _with_headline(alert: Alert, event: RuleEvent) -> Alert:
    """The alarm shows the most urgent of its events."""
    return replace(alert, event=event.payload, summary=summarise(event.explanation))


def _flood_of(alert: Alert) -> Alert:
    return replace(alert, kind=Kind.FLOOD)


_FLOOD_WORDS = " events beyond what one can look at now, the most urgent one: "


def _flood_summary(alert: Alert) -> str:
    headline = alert.summary.partition(_FLOOD_WORDS)[2] or alert.summary
    return f"Flood of alarms: {alert.event_count}{_FLOOD_WORDS}{headline}"
