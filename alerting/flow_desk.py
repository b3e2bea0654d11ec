"""Counts are read here, as cells of the grid: exact and on record, or as they are published for everybody."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from alerting.domain import tokens
from alerting.domain.audience import Audience
from alerting.domain.flows import grid
from alerting.domain.flows.cells import Key
from alerting.domain.flows.marks import Mark, question_of
from alerting.records import Records
from alerting.signals import ChangeSignal, happens
from alerting.store.cells import Grid, Targets
from mesh.errors import Unavailable

_WATCH_PAGE: Final = 200


class Keyed(Protocol):
    """A cell, exact or published."""

    @property
    def key(self) -> Key:
        """Which cell; the order of lists."""
        ...


C = TypeVar("C", bound=Keyed)
C_co = TypeVar("C_co", bound=Keyed, covariant=True)


class Source(Protocol[C_co]):
    """Where cells come from: ``CellStore`` or ``OpenFlowStore``, which say more."""

    async def targets(self, places: Sequence[str], sites: Sequence[str], *, everywhere: bool) -> Targets:
        """What some names stand for."""
        ...

    async def complete(self, now: datetime, step: timedelta) -> datetime:
        """Cells that end by then are given."""
        ...

    def kept_since(self, now: datetime) -> datetime:
        """Cells from then on are given."""
        ...

    async def list_cells(self, targets: Targets, which: Grid, after: Key | None, limit: int) -> Sequence[C_co]:
        """A page of cells, in the order of their keys."""
        ...


@dataclass(frozen=True)
class Question:
    """What somebody asks for.

    Attributes:
        places: lines, zones, or sites whose sums are wanted; none, with no sites either: every line and zone.
        sites: whose lines and zones are wanted.
        granularity: 5, 15 or 60 minutes.
        reason: why.
        everywhere: whether who asks is there for security, and so sees more than the city's cameras under the GDPR.
    """

    places: tuple[str, ...]
    sites: tuple[str, ...]
    granularity: timedelta
    reason: str
    everywhere: bool = False

    @property
    def mark(self) -> str:
        """The same for the same places and granularity: a token is good for these only."""
        return question_of((*self.places, "-", *self.sites), self.granularity)


@dataclass(frozen=True)
class Update(Generic[C]):
    """One message of a watch: a cell that is complete, or a bookmark, and where to go on."""

    cell: C | None
    mark: Mark


class FlowDesk(Generic[C]):
    """Reads counts. Nothing is handed over that is not on record first, unless it is for everybody.

    Every method raises ``Unavailable`` when the database or the audit log does not answer.
    """

    def __init__(
        self,
        store: Source[C],
        records: Records | None,
        signal: ChangeSignal,
        *,
        bookmark_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        """Takes what it works with.

        Args:
            store: of the counts.
            records: the audit log; none: what the store has is for everybody, and anonymous.
            signal: bounds how many watch at once, and tells that the service stops.
            bookmark_seconds: a watch that has nothing to tell says so this often.
            clock: tells the time, in UTC.
        """
        self._store = store
        self._records = records
        self._signal = signal
        self._bookmark_seconds = bookmark_seconds
        self._clock = clock

    async def list_cells(
        self, audience: Audience, question: Question, interval: tuple[datetime, datetime], page: tuple[int, str]
    ) -> tuple[list[C], str]:
        """A page of cells, in the order of place and time, and the token of the next one.

        Args:
            audience: who reads.
            question: what is asked for.
            interval: from when until when, in UTC; only whole cells inside it, and none that is not complete.
            page: its size and token, as in the request.

        Raises:
            InvalidArgument: one of these is wrong.
            NotFound: a place is not known (``FLOW_PLACE_NOT_FOUND``).
        """
        step = grid.checked(question.granularity)
        first, last = grid.span(*interval, step)
        last = min(last, await self._complete(step))
        limit = tokens.page_size(page[0])
        after = Mark.read(page[1], question.mark, "page_token").key if page[1] else None
        targets = await self._targets(question)
        found = await self._store.list_cells(targets, Grid(first, last, step), after, limit + 1)
        more, cells = len(found) > limit, list(found[:limit])
        await self._record(audience, question, f"{len(cells)}, {_extent(question, first, last)}")
        return cells, Mark(question.mark, cells[-1].key).token if more else ""

    async def watch(self, audience: Audience, question: Question, resume_token: str) -> AsyncGenerator[Update[C]]:
        """Streams cells as they become complete: those of one interval in the order of places, then the next interval.

        No more than a page is held for a reader who is slow.

        Raises:
            InvalidArgument, NotFound: as ``list_cells``.
            OutOfRange: the token is older than what is kept (``RESUME_TOKEN_EXPIRED``).
            ResourceExhausted: too many watches are open (``TOO_MANY_WATCHES``).
            Unavailable: the service stops (``SHUTTING_DOWN``); go on with the last token.
        """
        step = grid.checked(question.granularity)
        mark = Mark(question.mark, Key("", await self._complete(step)))
        if resume_token:
            mark = Mark.read(resume_token, question.mark, "resume_token")
            mark.check_kept(self._store.kept_since(self._clock()), self._clock())
        await self._targets(question)
        with self._signal.subscribe() as stirred:
            await self._record(audience, question, f"watch, {describe(question)}")
            while not self._signal.closed:
                stirred.clear()
                async for update in self._catch_up(question, mark, step):
                    mark = update.mark
                    yield update
                await happens(stirred, self._bookmark_seconds)
        raise Unavailable("the service stops: go on elsewhere", reason="SHUTTING_DOWN", retry_after=1.0)

    async def newest(self, step: timedelta) -> tuple[datetime, datetime]:
        """The last interval that is given.

        Raises:
            InvalidArgument: the step is not of the grid.
        """
        end = await self._complete(grid.checked(step))
        return end - step, end

    async def _targets(self, question: Question) -> Targets:
        return await self._store.targets(question.places, question.sites, everywhere=question.everywhere)

    async def _catch_up(self, question: Question, mark: Mark, step: timedelta) -> AsyncIterator[Update[C]]:
        """What is complete after a mark, then a bookmark."""
        complete = await self._complete(step)
        start, after = mark.key.start, mark.key if mark.key.place else None
        # A place that came to be since the watch began is watched too.
        targets = await self._targets(question)
        for begin in grid.cells(start, complete, step):
            async for cell in self._cells(targets, Grid(begin, begin + step, step), after):
                yield Update(cell, Mark(question.mark, cell.key))
            after = None
        yield Update(None, Mark(question.mark, Key("", max(start, complete))))

    async def _cells(self, targets: Targets, which: Grid, after: Key | None) -> AsyncIterator[C]:
        while True:
            page = await self._store.list_cells(targets, which, after, _WATCH_PAGE)
            for cell in page:
                yield cell
            if len(page) < _WATCH_PAGE:
                return
            after = page[-1].key

    async def _complete(self, step: timedelta) -> datetime:
        return await self._store.complete(self._clock(), step)

    async def _record(self, audience: Audience, question: Question, what: str) -> None:
        if self._records is not None:
            await self._records.reading(audience, f"flows, {what}", question.reason)


def describe(question: Question) -> str:
    """What is asked for, for the record: all of it, however long."""
    which = ", ".join((*question.places, *(f"{site}/-" for site in question.sites))) or "every place"
    return f"{which}, by {question.granularity // timedelta(minutes=1)} minutes"


def _extent(question: Question, first: datetime, last: datetime) -> str:
    return f"{describe(question)}, {first.isoformat()} to {last.isoformat()}"
