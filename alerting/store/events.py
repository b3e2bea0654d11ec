"""Events, observations and coverage reports, as they come from the bus. Each is kept once, however often it comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from alerting.domain.alerts import Alert
from alerting.domain.annunciation import BUDGET_WINDOW, Annunciator, Policy, Room
from alerting.domain.coverage import Report
from alerting.domain.events import RuleEvent
from alerting.domain.shifts import operators
from alerting.store.database import Database
from alerting.store.dispatches import Outbox, changed_by_events
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of, shelving_of, shift_of
from alerting.store.verdicts import count_raised
from alerting.store.writer import AlertWriter

Neighbours = Callable[[str], frozenset[str]]


@dataclass(frozen=True)
class Arrivals:
    """New events of live rules, and what is needed to decide about them; see ``EventStore.write_events``."""

    events: Sequence[RuleEvent]
    now: datetime
    policy: Policy
    neighbours: Neighbours
    outbox: Outbox


@dataclass
class Outcome:
    """What became of some events.

    Attributes:
        raised: alerts that are new, also those that went straight to the shelf.
        joined: events that went to an alert that was there.
        folded: alerts that went into another one.
        shadowed: events of shadow rules, kept and not raised.
        duplicates: events that had come before.
    """

    raised: list[Alert] = field(default_factory=list)
    joined: int = 0
    folded: int = 0
    shadowed: int = 0
    duplicates: int = 0


class EventStore:
    """Where the consumers write.

    Every method is one transaction, and raises ``Unavailable`` when the database does not answer.
    """

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def write_events(
        self, events: Sequence[RuleEvent], now: datetime, policy: Policy, neighbours: Neighbours
    ) -> Outcome:
        """Keeps events and raises alerts for the new ones of live rules.

        Args:
            events: of any number of messages.
            now: the time of arrival, in UTC.
            policy: how alarms are put together.
            neighbours: see ``alerting.domain.annunciation.Room``.
        """
        async with self._database.transaction() as connection:
            # The lock comes first: two replicas never decide on the same place at the same time.
            writer = await AlertWriter.begin(connection) if any(event.live for event in events) else None
            rows = await connection.fetch(QUERIES["write_events"], *_columns(events, now))
            fresh = {row["event_id"] for row in rows}
            new = [event for event in {event.event_id: event for event in events}.values() if event.event_id in fresh]
            shadows = [event for event in new if not event.live]
            outcome = Outcome(shadowed=len(shadows), duplicates=len(events) - len(new))
            shadow_rules = [(event.explanation.rule, event.capture_time) for event in shadows]
            await count_raised(connection, shadow_rules, live=False)
            live = [event for event in new if event.live]
            if writer is not None and live:
                arrivals = Arrivals(live, now, policy, neighbours, self._outbox)
                await annunciate(connection, writer, arrivals, outcome)
            if writer is not None:
                await writer.finish()
        return outcome

    async def write_report(self, report: Report) -> bool:
        """Enters a report into the coverage ledger; false when it had come before."""
        seconds = report.seconds
        async with self._database.transaction() as connection:
            written = await connection.fetchval(
                QUERIES["write_report"], report.report_id, report.optic, report.site, report.replica, report.start_time,
                report.interval, seconds.received, seconds.analysed, seconds.masked, seconds.lost, seconds.elapsed,
                list(report.impairments), report.expire_time, *astuple(seconds.frames),
            )  # fmt: skip
            if written is None:
                return False
            gaps = [
                (report.report_id, ordinal, gap.start_time, gap.duration, gap.kind, gap.reason)
                for ordinal, gap in enumerate(report.gaps)
            ]
            await connection.executemany(QUERIES["write_gap"], gaps)
        return True


async def annunciate(connection: Any, writer: AlertWriter, arrivals: Arrivals, outcome: Outcome) -> None:
    """Decides about the new events of live rules and writes what was decided, in the writer's transaction."""
    room = await _room(connection, arrivals)
    annunciator = Annunciator(arrivals.policy, room, arrivals.now)
    annunciator.take(arrivals.events)
    written = {alert.alert_id: alert for alert in await writer.write_all(annunciator.changed.values())}
    links = [(event.event_id, alert_id) for event, alert_id in annunciator.links]
    await connection.executemany(QUERIES["link_event"], links)
    await connection.executemany(QUERIES["relink_events"], annunciator.folded)
    for before, after in changed_by_events(room.open_alerts, list(written.values())):
        await arrivals.outbox.post(connection, before, after, None, arrivals.now)
    outcome.raised = [written[alert_id] for alert_id in annunciator.raised]
    outcome.joined = len(links) - len(annunciator.raised)
    outcome.folded = len(annunciator.folded)
    await count_raised(connection, [(alert.rule, alert.capture_time) for alert in outcome.raised], live=True)


async def _room(connection: Any, arrivals: Arrivals) -> Room:
    events, now, policy = arrivals.events, arrivals.now, arrivals.policy
    first, last = min(event.capture_time for event in events), max(event.capture_time for event in events)
    keys = {(event.explanation.rule, event.explanation.place) for event in events}
    reach, chatter = policy.reach, policy.chatter_window
    alerts = await connection.fetch(QUERIES["list_room"], first - reach, last + reach, now - BUDGET_WINDOW)
    raised: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    rules, places = [rule for rule, _ in keys], [place for _, place in keys]
    for row in await connection.fetch(QUERIES["list_raised"], rules, places, first - chatter, last + chatter):
        raised[row["rule"], row["place"]].append(row["capture_time"])
    shifts = [shift_of(row) for row in await connection.fetch(QUERIES["list_open_shifts"])]
    return Room(
        open_alerts=[alert_of(row) for row in alerts],
        raised=raised,
        shown=await connection.fetchval(QUERIES["count_shown"], now - BUDGET_WINDOW),
        operators=operators(shifts),
        shelvings=[shelving_of(row) for row in await connection.fetch(QUERIES["list_shelvings"], now)],
        neighbours=arrivals.neighbours,
    )


def _columns(events: Sequence[RuleEvent], now: datetime) -> list[list[object]]:
    return [
        [event.event_id for event in events],
        [event.live for event in events],
        [event.optic for event in events],
        [event.site for event in events],
        [event.explanation.rule for event in events],
        [event.capture_time for event in events],
        [now for _ in events],
        [event.expire_time for event in events],
        [event.payload for event in events],
    ]
