"""Reading counts, as cells of the grid."""

from __future__ import annotations

from collections.abc import Sequence
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

    async def targets(self, places: Sequence[str], sites: Sequence[str]) -> Targets:
        """See ``find_targets``; of every place that something was counted at, or that the registry knows."""
        return await find_targets(self._database, FLOW_QUERIES["find_flow_places"], places, sites)

    async def complete(self, now: datetime, step: timedelta) -> datetime:
        """Cells that end by then are complete."""
        return grid.floor(now - SETTLING, step)

    def kept_since(self, now: datetime) -> datetime:
        """Cells that begin before then are erased, or about to be."""
        return now - RETENTION

    async def list_cells(self, targets: Targets, grid: Grid, after: Key | None, limit: int) -> list[Cell]:
        """A page of cells, in the order of place, time, class and the line that was turned to.

        Args:
            targets: of which places.
            grid: in which intervals.
            after: only cells after this one; none: from the first.
            limit: at most so many.
        """
        key = after or Key("", grid.start)
        rows = await self._database.fetch(
            FLOW_QUERIES["list_flows"], list(targets.names), list(targets.places), list(targets.optics), grid.start,
            grid.end, grid.step, key.place, key.start, key.object_class, key.to_place, limit,
        )  # fmt: skip
        return [_cell(row, grid.step) for row in rows]


def _cell(row: Any, step: timedelta) -> Cell:
    key = Key(row["target"], row["start"], row["object_class"], row["to_place"])
    return Cell(key, step, row["coverage"], Sums(**{name: row[name] for name in _SUMS}))


async def find_targets(database: Database, query: str, places: Sequence[str], sites: Sequence[str]) -> Targets:
    """What some names stand for.

    Args:
        database: where places are known.
        query: finds them.
        places: lines, zones, and sites whose sums are wanted.
        sites: sites whose lines and zones are wanted, each by itself.

    Raises:
        NotFound: one is not known (``FLOW_PLACE_NOT_FOUND``).
    """
    wanted = {name for name in places if not name.startswith("sites/")}
    summed = {name for name in places if name.startswith("sites/")}
    rows = await database.fetch(query, sorted(wanted), sorted({*summed, *sites}))
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
