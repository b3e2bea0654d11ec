"""Reading counts, as cells of the grid."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from alerting.domain.flows import grid
from alerting.domain.flows.cells import Cell, Key, Sums
from alerting.domain.retention import RETENTION
from alerting.store.database import Database
from alerting.store.flows import FLOW_QUERIES
from mesh.errors import NotFound

_SUMS = tuple(field.name for field in fields(Sums))
_NOTHING = Sums()


@dataclass(frozen=True)
class Targets:
    """What is asked for: each target is a line or zone, or a site with all of its.

    Attributes:
        names: of the targets, one for each of their members.
        places: the members.
        optics: of the members.
    """

    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    optics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """Which cells: those in steps of ``step`` from ``start`` to ``end``, both on the grid, in UTC."""

    start: datetime
    end: datetime
    step: timedelta


SETTLING: Final = timedelta(seconds=30)
"""An interval is complete when its last report has had this long to come: one of ten seconds, and the road."""


class CellStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def targets(self, places: Sequence[str], sites: Sequence[str], *, everywhere: bool) -> Targets:
        """See ``find_targets``; of every place that something was counted at, or that the registry knows.

        Args:
            places: as there.
            sites: as there.
            everywhere: not only of the city's own cameras under the GDPR.
        """
        return await find_targets(self._database, FLOW_QUERIES["find_flow_places"], places, sites, everywhere)

    async def complete(self, now: datetime, step: timedelta) -> datetime:
        """Cells that end by then are complete."""
        return grid.floor(now - SETTLING, step)

    def kept_since(self, now: datetime) -> datetime:
        """Cells that begin before then are erased, or about to be."""
        return now - RETENTION

    async def list_cells(self, targets: Targets, which: Grid, after: Key | None, limit: int) -> list[Cell]:
        """A page of cells, in the order of place, time, class and the line that was turned to.

        Args:
            targets: of which places.
            which: in which intervals.
            after: only cells after this one; none: from the first.
            limit: at most so many.
        """
        pairs = page_of_pairs(sorted(set(targets.names)), which, after, limit)
        members = _members(targets, pairs)
        found = _Found(which.step)
        starts = [start for _, start, _, _ in members]
        places = [place for _, _, place, _ in members]
        # A site has no one line to turn from.
        lines = [place if place == target else "" for target, _, place, _ in members]
        for kind, names in (("classes", places), ("turns", lines), ("near_misses", places)):
            for row in await self._database.fetch(FLOW_QUERIES[f"list_flow_{kind}"], names, starts, which.step):
                target, start, _, _ = members[row["number"] - 1]
                found.add(Key(target, start, row.get("object_class", 0), row.get("to_line", "")), row)
        seen = sorted({(target, start, optic) for target, start, _, optic in members})
        optics, times = [optic for _, _, optic in seen], [start for _, start, _ in seen]
        rows = await self._database.fetch(FLOW_QUERIES["list_flow_coverage"], optics, times, which.step)
        analysed = {row["number"] - 1: row["analysed_seconds"] for row in rows}
        for number, (target, start, _) in enumerate(seen):
            found.cover(target, start, analysed.get(number, 0.0))
        return [cell for cell in found.cells(pairs) if after is None or cell.key > after][:limit]


class _Found:
    """Puts cells together from rows of several kinds."""

    def __init__(self, step: timedelta) -> None:
        self._step = step
        self._sums: dict[Key, Sums] = {}
        self._keys: defaultdict[tuple[str, datetime], set[Key]] = defaultdict(set)
        self._analysed: defaultdict[tuple[str, datetime], list[float]] = defaultdict(list)

    def add(self, key: Key, row: Any) -> None:
        """Adds what was counted of a class, and unless it is a turning movement to all classes together."""
        sums = Sums(**{name: row[name] for name in _SUMS if name in row})
        together = Key(key.place, key.start)
        for each in {key} if key.to_place else {key, together}:
            self._sums[each] = self._sums.get(each, _NOTHING).plus(sums)
            self._keys[key.place, key.start].add(each)

    def cover(self, place: str, start: datetime, seconds: float) -> None:
        """An optic of the place was analysed for so long."""
        self._analysed[place, start].append(seconds)

    def cells(self, pairs: Sequence[tuple[str, datetime]]) -> Iterator[Cell]:
        """In order; all classes together are always there."""
        for place, start in pairs:
            optics = self._analysed[place, start]
            share = math.fsum(optics) / (len(optics) * self._step.total_seconds()) if optics else 0.0
            for key in sorted({Key(place, start), *self._keys[place, start]}):
                yield Cell(key, self._step, min(1.0, share), self._sums.get(key, _NOTHING))


def _members(targets: Targets, pairs: Sequence[tuple[str, datetime]]) -> list[tuple[str, datetime, str, str]]:
    """Target, start, place and optic of everything that the pairs are made of."""
    parts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for target, place, optic in zip(targets.names, targets.places, targets.optics, strict=True):
        parts[target].append((place, optic))
    return [(target, start, place, optic) for target, start in pairs for place, optic in parts[target]]


def page_of_pairs(names: Sequence[str], which: Grid, after: Key | None, limit: int) -> list[tuple[str, datetime]]:
    """The places and intervals that a page is of, in order; each has one cell at least.

    Args:
        names: of the places, in order.
        which: in which intervals.
        after: the last cell before the page; its own pair may have more, so it is the first one. None: from the first.
        limit: at most so many.
    """
    each = max(0, (which.end - which.start) // which.step)
    position = 0
    if after is not None:
        index = bisect.bisect_left(names, after.place)
        position = index * each
        if index < len(names) and names[index] == after.place:
            position += min(each, max(0, (after.start - which.start) // which.step))
    return [
        (names[number // each], which.start + number % each * which.step)
        for number in range(position, min(position + limit, len(names) * each))
    ]


async def find_targets(
    database: Database, query: str, places: Sequence[str], sites: Sequence[str], *arguments: object
) -> Targets:
    """What some names stand for.

    Args:
        database: where places are known.
        query: finds them.
        places: lines, zones, and sites whose sums are wanted.
        sites: sites whose lines and zones are wanted, each by itself.
        arguments: what else the query takes.

    Raises:
        NotFound: one is not known (``FLOW_PLACE_NOT_FOUND``).
    """
    wanted = {name for name in places if not name.startswith("sites/")}
    summed = {name for name in places if name.startswith("sites/")}
    rows = await database.fetch(query, sorted(wanted), sorted({*summed, *sites}), *arguments)
    known = {row["place"] for row in rows} | {row["site"] for row in rows}
    for name in (*places, *sites):
        if name not in known:
            raise NotFound(f"nothing is counted at {name}", reason="FLOW_PLACE_NOT_FOUND", metadata={"place": name})
    every = not places and not sites
    members = [
        (row["place"], row["place"], row["optic"])
        for row in rows
        if every or row["place"] in wanted or row["site"] in sites
    ]
    members += [(row["site"], row["place"], row["optic"]) for row in rows if row["site"] in summed]
    names, items, optics = zip(*members, strict=True) if members else ((), (), ())
    return Targets(names, items, optics)
