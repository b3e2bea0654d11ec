"""The one way in which alerts change: under the lock of the sequence of changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from alerting.domain.alerts import Alert
from alerting.domain.tokens import Sequence
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of, alert_values


class AlertWriter:
    """Changes alerts inside an open transaction.

    Numbers are given in the order of commits, since the sequence is locked.
    """

    def __init__(self, connection: Any, sequence: Sequence) -> None:
        self._connection = connection
        self._sequence = sequence
        self._head = sequence.head

    @classmethod
    async def begin(cls, connection: Any) -> AlertWriter:
        """Locks the sequence until the transaction ends."""
        row = await connection.fetchrow(QUERIES["lock_sequence"])
        return cls(connection, Sequence(row["epoch"], row["floor"], row["head"]))

    async def read(self, alert_id: str) -> Alert | None:
        """The alert as it is; nobody else changes it until the transaction ends."""
        row = await self._connection.fetchrow(QUERIES["get_alert"], alert_id)
        return None if row is None else alert_of(row)

    async def write(self, alert: Alert) -> Alert:
        """Writes an alert and its new transitions; returns it with its new version."""
        (written,) = await self.write_all([alert])
        return written

    async def write_all(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Writes alerts in two round trips, however many; returns them with their new versions."""
        written = []
        for alert in alerts:
            self._head += 1
            written.append(replace(alert, change=self._head))
        await self._connection.executemany(QUERIES["write_alert"], [alert_values(alert) for alert in written])
        steps = [
            (
                alert.alert_id, ordinal, int(step.state), step.actor, step.time, step.reason,
                step.act.value if step.act is not None else "", step.object,
            )
            for alert in written
            for ordinal, step in enumerate(alert.transitions)
        ]  # fmt: skip
        await self._connection.executemany(QUERIES["write_transition"], steps)
        return written

    async def finish(self) -> None:
        """Moves the head and tells every replica, both with the commit."""
        if self._head == self._sequence.head:
            return
        await self._connection.execute(QUERIES["set_head"], self._head)
        await self._connection.execute(QUERIES["notify"], str(self._head))
