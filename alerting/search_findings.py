"""From tracks to explained matches and chains, ready to be kept for the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerting import search_contracts
from alerting.domain.search import chains
from alerting.domain.search.atlas import Atlas
from alerting.domain.search.criteria import Criterion
from alerting.domain.search.query import Query, Track
from alerting.domain.search.scoring import Counts, Scored, best, count_together, criteria, explain, score
from alerting.domain.search.width import Width
from alerting.search_planning import Plan
from alerting.store.searches import Observers, Result, SearchStore
from argo.alerting.v1 import search_service_pb2 as v1

KEPT: Final = 1000
"""Matches of one search that are kept for its pages: who needs more has asked too widely."""
CHAINS_KEPT: Final = 200
"""Likewise chains; each holds several matches."""
_CHUNK: Final = 500
"""Tracks that are looked at between two waits: some milliseconds, in which nobody else is served."""

_Key = tuple[str, datetime, int]


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        results: in their order.
        truncated: there were more.
        plans: where was looked.
        width: how widely.
    """

    results: list[Result]
    truncated: bool
    plans: Sequence[Plan]
    width: Width


class Findings:
    """Ranks and explains what may fit."""

    def __init__(
        self, store: SearchStore, query: Query, atlas: Atlas, observers: Observers, now: datetime, read_until: datetime
    ) -> None:
        self._store = store
        self._query = query
        self._atlas = atlas
        self._observers = observers
        self._now = now
        self._read_until = read_until

    async def of(self, plans: Sequence[Plan], tracks: Sequence[Sequence[Track]]) -> tuple[list[Result], bool]:
        """The best matches, or chains if there is more than one sighting, and whether there were more."""
        ranked, asked = [], []
        counts: Counts = {}
        for each, some in zip(plans, tracks, strict=True):
            fired = await self._fired(each)
            if self._query.minimum_count > 1:
                counts = count_together(some)
            wanted = criteria(self._query, each.sighting, self._atlas, fired=fired, counts=counts)
            ranked.append(await _score(some, wanted))
            asked.append(wanted)
        if len(plans) > 1:
            return await self._chains(ranked, asked)
        top, more = best(ranked[0], KEPT)
        messages = await self._messages(top, asked[0], counts)
        return [Result(self._expiry(each.track), messages[each.track.key].SerializeToString()) for each in top], more

    async def _chains(
        self, ranked: Sequence[list[Scored]], asked: Sequence[Sequence[Criterion]]
    ) -> tuple[list[Result], bool]:
        legs = [best(some, chains.WIDEST) for some in ranked]
        # On a thread of its own: many ways are looked at, and others want to be served meanwhile.
        found, more = await asyncio.to_thread(chains.chains, [leg for leg, _ in legs], self._atlas, CHAINS_KEPT)
        shown = []
        for number, wanted in enumerate(asked):
            links = {chain.matches[number].track.key: chain.matches[number] for chain in found}
            shown.append(await self._messages(list(links.values()), wanted, {}))
        results = []
        for chain in found:
            matches = [shown[number][match.track.key] for number, match in enumerate(chain.matches)]
            expiry = min(self._expiry(match.track) for match in chain.matches)
            results.append(Result(expiry, search_contracts.chain_message(chain, matches).SerializeToString()))
        return results, more or any(cut for _, cut in legs)

    async def _messages(
        self, scored: Sequence[Scored], asked: Sequence[Criterion], counts: Counts
    ) -> dict[_Key, v1.Match]:
        paths = await self._store.paths([each.track for each in scored], self._observers) if scored else {}
        return {
            each.track.key: search_contracts.match_message(
                each,
                explain(each.track, asked),
                self._atlas,
                paths.get(each.track.key),
                counts.get(each.track.key, 0),
            )
            for each in scored
        }

    async def _fired(self, each: Plan) -> dict[tuple[str, int], set[str]]:
        sighting = each.sighting
        if not sighting.rules:
            return {}
        events = await self._store.events(each.optics, sighting.earliest, sighting.latest)
        return search_contracts.rules_fired(events, sighting.rules)

    def _expiry(self, track: Track) -> datetime:
        """What a hold keeps beyond its time is shown no longer than any page."""
        return self._read_until if track.expire_time <= self._now else min(track.expire_time, self._read_until)


async def _score(tracks: Sequence[Track], asked: Sequence[Criterion]) -> list[Scored]:
    found: list[Scored] = []
    for first in range(0, len(tracks), _CHUNK):
        scored = ((track, score(track, asked)) for track in tracks[first : first + _CHUNK])
        found += [Scored(track, value) for track, value in scored if value > 0.0]
        await asyncio.sleep(0)
    return found
