"""Counting what rules raise and what people say of it: figures by rule and day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from alerting.domain.alerts import Assessment
from alerting.store.queries import QUERIES


async def count_raised(connection: Any, rules: Iterable[tuple[str, datetime]], *, live: bool) -> None:
    """Counts what rules have raised, by the day of capture, in the transaction of the connection."""
    counts = Counter((rule, captured.date()) for rule, captured in rules)
    # In one order, so that two replicas never wait for each other.
    rows = [(rule, live, day, count, 0, 0, 0) for (rule, day), count in sorted(counts.items())]
    await connection.executemany(QUERIES["count_verdicts"], rows)


async def count_verdict(
    connection: Any, rule: str, captured: datetime, verdicts: tuple[Assessment, Assessment], *, live: bool
) -> None:
    """Counts a verdict in place of the one before.

    Args:
        connection: inside the transaction of the verdict.
        rule: ``.../rules/{rule}``.
        captured: when what it is about was captured.
        verdicts: before and now.
        live: whether the rule was live.
    """
    before, now = verdicts
    kinds = (Assessment.TRUE, Assessment.FALSE, Assessment.CANNOT_TELL)
    changes = [(now is kind) - (before is kind) for kind in kinds]
    if any(changes):
        await connection.execute(QUERIES["count_verdicts"], rule, live, captured.date(), 0, *changes)
