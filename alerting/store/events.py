"""Events, observations and coverage reports, as they come from the bus. Each is kept once, however often it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alerting.domain.alerts import Alert
from alerting.domain.coverage import Report
from alerting.domain.events import RuleEvent, find_group, join, raise_alert
from alerting.store.database import Database
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of
from alerting.store.writer import AlertWriter


@dataclass
class Outcome:
    """What became of a batch of events.

    Attributes:
        raised: alerts that are new.
        joined: events that went to an alert that was there.
        shadowed: events of shadow rules, kept and not raised.
        duplicates: events that had come before.
    """

    raised: list[Alert] = field(default_factory=list)
    joined: int = 0
    shadowed: int = 0
    duplicates: int = 0


class EventStore:
    """Where the consumers write.

    Every method is one transaction, and raises ``Unavailable`` when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write_events(self, events: Sequence[RuleEvent], now: datetime, window: timedelta) -> Outcome:
        """Keeps events and raises alerts for the new ones of live rules.

        Args:
            events: in the order in which they happened.
            now: the time of arrival, in UTC.
            window: see ``alerting.domain.events.find_group``.
        """
        async with self._database.transaction() as connection:
            # The lock comes first: two replicas never decide on the same place at the same time.
            writer = await AlertWriter.begin(connection) if any(event.live for event in events) else None
            rows = await connection.fetch(QUERIES["write_events"], *_columns(events, now))
            fresh = {row["event_id"] for row in rows}
            outcome = Outcome(duplicates=len(events) - len(fresh))
            for event in events:
                if event.event_id not in fresh:
                    continue
                fresh.remove(event.event_id)
                if event.live and writer is not None:
                    await _raise_or_join(connection, writer, event, now, window, outcome)
                else:
                    outcome.shadowed += 1
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


async def _raise_or_join(
    connection: Any, writer: AlertWriter, event: RuleEvent, now: datetime, window: timedelta, outcome: Outcome
) -> None:
    rows = await connection.fetch(
        QUERIES["find_open_alerts"], event.explanation.rule, event.explanation.place, event.capture_time - window,
        event.capture_time + window,
    )  # fmt: skip
    group = find_group([alert_of(row) for row in rows], event, window)
    if group is None:
        alert = await writer.write(raise_alert(event, now))
        outcome.raised.append(alert)
    else:
        alert = await writer.write(join(group, event, now))
        outcome.joined += 1
    await connection.execute(QUERIES["link_event"], event.event_id, alert.alert_id)


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
