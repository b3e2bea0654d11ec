"""What is published for everybody: written once, read for ever."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerting.domain.flows import grid, release
from alerting.domain.flows.cells import CATEGORIES, Category, Key, Kind
from alerting.domain.flows.release import Candidate, OpenFlow, Published
from alerting.store.cells import Grid, Targets, find_targets
from alerting.store.database import Database
from alerting.store.flows import FLOW_QUERIES


@dataclass(frozen=True)
class Released:
    """An interval that was published: its start, and how many cells of it."""

    start: datetime
    published: int


class OpenFlowStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, start: datetime) -> None:
        """Publishing begins with the interval from ``start`` on, unless it has begun before."""
        await self._database.execute(FLOW_QUERIES["begin_open_flows"], start)

    async def release(
        self, base: timedelta, until: datetime, decide: Callable[[Candidate], Published | None], now: datetime
    ) -> Released | None:
        """Publishes the next interval, once and for all, whichever replica does it.

        Args:
            base: the length of an interval.
            until: only when it ends by then.
            decide: what is published of a cell.
            now: in UTC.

        Returns:
            None when there is nothing to publish yet.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(FLOW_QUERIES["lock_open_head"])
            if row is None:
                return None
            start = grid.ceiling(row["next_time"], base)
            if start + base > until:
                return None
            await connection.execute(FLOW_QUERIES["write_open_release"], start, base, now)
            rows = await connection.fetch(FLOW_QUERIES["list_open_candidates"], start, start + base)
            published = [cell for cell in map(decide, candidates(rows, base)) if cell is not None]
            await connection.executemany(
                FLOW_QUERIES["write_open_flow"], [(start, base, *_values(cell)) for cell in published]
            )
            await connection.execute(FLOW_QUERIES["move_open_head"], start + base)
        return Released(start, len(published))

    async def targets(self, places: Sequence[str], sites: Sequence[str], *, everywhere: bool) -> Targets:  # noqa: ARG002 - the rest is for nobody
        """As ``CellStore.targets``, of the city's places that the registry knows."""
        return await find_targets(self._database, FLOW_QUERIES["find_open_places"], places, sites)

    async def complete(self, now: datetime, step: timedelta) -> datetime:
        """Cells that end by then were published."""
        head = await self._database.fetchrow(FLOW_QUERIES["get_open_head"], now)
        return grid.floor(head["next_time"], step)

    def kept_since(self, now: datetime) -> datetime:
        """What was published stays."""
        return min(now, grid.EPOCH)

    async def list_cells(self, targets: Targets, which: Grid, after: Key | None, limit: int) -> list[OpenFlow]:
        """A page of what was published, in the order of place, time and category; also of what is withheld.

        Args:
            targets: of which places.
            which: in which intervals.
            after: only cells after this one; none: from the first.
            limit: at most so many.
        """
        head = await self._database.fetchrow(FLOW_QUERIES["get_open_head"], which.start)
        if head["first_time"] is None or not targets.names:
            return []
        first = max(which.start, grid.ceiling(head["first_time"], which.step))
        keys = page_of_keys(sorted(set(targets.names)), Grid(first, which.end, which.step), after, limit)
        if not keys:
            return []
        span = min(key.start for key in keys), max(key.start for key in keys) + which.step, which.step
        members = _members(targets, {key.place for key in keys})
        releases = await self._database.fetch(FLOW_QUERIES["list_open_releases"], *span)
        intervals = Counter(grid.floor(row["start_time"], which.step) for row in releases)
        rows = await self._database.fetch(
            FLOW_QUERIES["list_open_flows"], sorted({place for places in members.values() for place in places}), *span
        )
        published: defaultdict[Key, list[Published]] = defaultdict(list)
        for row in rows:
            key = Key(row["place"], grid.floor(row["start_time"], which.step), row["category"])
            published[key].append(_published(row))
        return [_rolled_up(key, which.step, members[key.place], published, intervals[key.start]) for key in keys]


def page_of_keys(names: Sequence[str], which: Grid, after: Key | None, limit: int) -> list[Key]:
    """A page of all cells there are, in order; whether one is among them never depends on what was counted.

    Args:
        names: of the places, in order.
        which: in which intervals.
        after: only cells after this one; none: from the first.
        limit: at most so many.
    """
    categories = len(Category)
    each = max(0, (which.end - which.start) // which.step) * categories
    position = 0
    if after is not None and each:
        index = bisect.bisect_left(names, after.place)
        position = index * each
        if index < len(names) and names[index] == after.place:
            within = (after.start - which.start) // which.step * categories + after.object_class
            position += min(each, max(0, within))
    keys = []
    for number in range(position, min(position + limit, len(names) * each)):
        index, within = divmod(number, each)
        cell, category = divmod(within, categories)
        keys.append(Key(names[index], which.start + cell * which.step, category + 1))
    return keys


def candidates(rows: Iterable[Any], base: timedelta) -> list[Candidate]:
    """Rows of classes as cells of categories; a class of no category is left out."""
    sums: dict[tuple[str, Category], Candidate] = {}
    for row in rows:
        category = CATEGORIES.get(row["object_class"])
        if category is None:
            continue
        before = sums.get((row["place"], category))
        sums[row["place"], category] = Candidate(
            place=row["place"],
            category=category,
            coverage=row["analysed_seconds"] / base.total_seconds(),
            analysed_seconds=row["analysed_seconds"],
            left_to_right=row["left_to_right"] + (before.left_to_right if before else 0),
            right_to_left=row["right_to_left"] + (before.right_to_left if before else 0),
            measured=row["measured"] + (before.measured if before else 0),
            speed_sum=row["speed_sum"] + (before.speed_sum if before else 0.0),
            present_seconds=row["present_seconds"] + (before.present_seconds if before else 0.0),
            area=row["area"],
        )
    return list(sums.values())


def _members(targets: Targets, names: set[str]) -> dict[str, list[str]]:
    """The places whose figures are summed for a name: of a site its lines, as presence in zones cannot be added."""
    members: dict[str, list[str]] = {name: [] for name in names}
    for name, place in zip(targets.names, targets.places, strict=True):
        if name in members and (name == place or Kind.of(place) is Kind.LINE):
            members[name].append(place)
    return members


def _rolled_up(
    key: Key, step: timedelta, members: Sequence[str], published: dict[Key, list[Published]], intervals: int
) -> OpenFlow:
    cells = [cell for place in members for cell in published.get(Key(place, key.start, key.object_class), ())]
    return release.roll_up(key, step, cells, len(members) * intervals)


def _values(cell: Published) -> tuple[object, ...]:
    return (
        cell.place, int(cell.category), cell.count, cell.uncertainty, cell.left_to_right, cell.right_to_left,
        cell.speed, cell.density, cell.coverage,
    )  # fmt: skip


def _published(row: Any) -> Published:
    return Published(
        place=row["place"],
        category=Category(row["category"]),
        count=row["counted"],
        uncertainty=row["uncertainty"],
        left_to_right=row["left_to_right"],
        right_to_left=row["right_to_left"],
        speed=row["speed"],
        density=row["density"],
        coverage=row["coverage"],
    )
