"""The investigator's desk: searches for matches to a testimony, on record before they run, each page before it goes."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from alerting import search_contracts
from alerting.domain import tokens
from alerting.domain.approvals import Approvals, Kind
from alerting.domain.search import width
from alerting.domain.search.atlas import Atlas
from alerting.domain.search.width import Limits, Width
from alerting.fingerprint import fingerprint
from alerting.metrics import Metrics
from alerting.search_contracts import Asked
from alerting.search_findings import Findings, Found
from alerting.search_planning import Plan, plan
from alerting.search_records import SearchRecords
from alerting.store.coverage import CoverageStore
from alerting.store.searches import SearchStore, Started
from argo.alerting.v1 import search_service_pb2 as v1
from argo.type.v1 import data_class_pb2
from mesh.errors import FailedPrecondition, NotFound
from mesh.identity import person_of

log = structlog.get_logger()

_HOUR: Final = timedelta(hours=1)
_MOST_BLIND: Final = 100

ReadAtlas = Callable[[], Awaitable[Atlas]]
"""Says where optics stand and look; raises Unavailable."""


@dataclass(frozen=True)
class Rules:
    """What somebody may do alone.

    Attributes:
        limits: see ``alerting.domain.search.width``.
        searches: for one case in an hour.
        kept: for so long the pages of a search can be read.
    """

    limits: Limits
    searches: int
    kept: timedelta


@dataclass(frozen=True)
class Sources:
    """Whom the desk asks.

    Attributes:
        store: of observations and searches.
        coverage: the ledger of what optics saw.
        read_atlas: where optics stand and look.
        approvals: of second persons.
    """

    store: SearchStore
    coverage: CoverageStore
    read_atlas: ReadAtlas
    approvals: Approvals


class SearchDesk:
    """Finds, ranks and explains. Raises ``Unavailable`` when the database or the audit log does not answer."""

    def __init__(
        self, sources: Sources, records: SearchRecords, rules: Rules, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._store = sources.store
        self._sources = sources
        self._records = records
        self._rules = rules
        self._metrics = metrics
        self._clock = clock

    async def search(self, request: v1.SearchObservationsRequest, actor: str) -> v1.SearchObservationsResponse:
        """A page of matches.

        Raises:
            InvalidArgument: the request is wrong.
            ResourceExhausted: the person has searched too often for this case (``TOO_MANY_SEARCHES``).
            FailedPrecondition: it is too wide (``SEARCH_TOO_WIDE``), or the approval is not one of it.
            NotFound: there is no such approval, or the pages are no longer kept (``SEARCH_EXPIRED``).
        """
        asked, limit = search_contracts.asked(request), tokens.page_size(request.page_size)
        if request.page_token:
            search_id, first = _place(request.page_token)
        else:
            search_id, first = await self._run(request, asked, actor), 0
        return await self._page(search_id, asked, fingerprint(request), actor, (first, limit))

    async def _run(self, request: v1.SearchObservationsRequest, asked: Asked, actor: str) -> str:
        now, search_id = self._clock(), f"s{uuid.uuid4().hex}"
        started = Started(search_id, actor, person_of(actor), asked.case, fingerprint(request))
        await self._store.begin(started, now, most=self._rules.searches, window=_HOUR)
        what = f"searches/{search_id}: {asked.canonical}"
        combines = len(asked.query.sightings) > 1
        await self._records.asked(actor, asked.reason, asked.case, what, combines=combines)
        found = await self._find(request, asked, actor, search_id, now)
        read_until = now + self._rules.kept
        summary = v1.SearchObservationsResponse(
            total_size=len(found.results),
            truncated=found.truncated,
            data_class=data_class_pb2.DATA_CLASS_OBSERVATION,
            blind_optics=await self._blind(found.plans, now),
            width=v1.SearchObservationsResponse.Width(
                optic_hours=found.width.optic_hours, expected_matches=found.width.matches
            ),
        )
        summary.expire_time.FromDatetime(read_until)
        await self._store.finish(search_id, found.results, summary.SerializeToString(), read_until)
        self._metrics.keeping.searches.labels("answered").inc()
        log.info("search.answered", search=f"searches/{search_id}", matches=len(found.results))
        return search_id

    async def _find(
        self, request: v1.SearchObservationsRequest, asked: Asked, actor: str, search_id: str, now: datetime
    ) -> Found:
        """What fits, unless the search is too wide."""
        limits, query = self._rules.limits, asked.query
        if asked.approval:
            await self._sources.approvals.require(asked.approval, Kind.SEARCH, fingerprint(request), actor)
        atlas, observers = await self._sources.read_atlas(), await self._store.observers()
        plans = [plan(sighting, observers, atlas) for sighting in query.sightings]
        hours = width.optic_hours([(each.sighting, len(each.optics)) for each in plans])
        most = limits.matches_approved if asked.approval else limits.matches
        try:
            # Before anything is looked at: the place and the time alone can be too wide.
            width.check(Width(hours, 0), limits, approved=bool(asked.approval))
            tracks = [await self._store.tracks(query, each.sighting, each.observers, now, most + 1) for each in plans]
            found_width = Width(hours, sum(len(some) for some in tracks))
            width.check(found_width, limits, approved=bool(asked.approval))
        except FailedPrecondition as error:
            self._metrics.keeping.searches.labels("too_wide").inc()
            what = f"searches/{search_id}: refused, {error.reason}"
            await self._records.asked(actor, asked.reason, asked.case, what, combines=False)
            raise
        findings = Findings(self._store, query, atlas, observers, now, now + self._rules.kept)
        results, truncated = await findings.of(plans, tracks)
        return Found(results, truncated, plans, found_width)

    async def _page(
        self, search_id: str, asked: Asked, mark: bytes, actor: str, page: tuple[int, int]
    ) -> v1.SearchObservationsResponse:
        """Some of what a search found, on record first."""
        now, (first, limit) = self._clock(), page
        kept = await self._store.read(search_id)
        if kept is None or kept.read_until is None or now >= kept.read_until or kept.actor != actor:
            raise NotFound("what this search found is not kept any more: search again", reason="SEARCH_EXPIRED")
        if kept.fingerprint != mark:
            raise tokens.invalid("page_token", "is of another search")
        rows = await self._store.results(search_id, first, limit, now)
        what = f"searches/{search_id}, {len(rows)} of {kept.total} from {first + 1} on"
        await self._records.handed_over(actor, asked.reason, asked.case, what)
        response = v1.SearchObservationsResponse.FromString(kept.summary)
        for _rank, payload in rows:
            if len(asked.query.sightings) > 1:
                response.chains.append(v1.Chain.FromString(payload))
            else:
                response.matches.append(v1.Match.FromString(payload))
        if first + limit < kept.total:
            response.next_page_token = tokens.encode_token(search_id, str(first + limit))
        return response

    async def _blind(self, plans: Sequence[Plan], now: datetime) -> list[v1.SearchObservationsResponse.BlindOptic]:
        """Optics that did not see all of the time asked for."""
        blind: dict[str, float] = {}
        for each in plans:
            optics, (start, end) = sorted(each.optics)[:_MOST_BLIND], (each.sighting.start_time, each.sighting.end_time)
            end = min(end, now)
            if not optics or end <= start:
                continue
            for found in await self._sources.coverage.examine(start, end, optics, known_until=end, step=None):
                lost = sum(gap.duration.total_seconds() for gap in found.gaps)
                if lost >= 1.0:
                    blind[found.optic] = blind.get(found.optic, 0.0) + lost
        return search_contracts.blind_optics(blind)[:_MOST_BLIND]


def _place(token: str) -> tuple[str, int]:
    search_id, first = tokens.decode_token(token, 2, "page_token")
    if not first.isdecimal() or len(first) > 6:  # noqa: PLR2004 - digits
        raise tokens.invalid("page_token", "is not one that this service gave out")
    return search_id, int(first)
