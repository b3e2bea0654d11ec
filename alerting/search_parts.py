"""Everything about searches, over one database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from alerting.domain.approvals import Approvals
from alerting.domain.search.atlas import Atlas
from alerting.domain.search.width import Limits
from alerting.metrics import Metrics
from alerting.search_desk import ReadAtlas, Rules, SearchDesk, Sources
from alerting.search_records import SearchRecords
from alerting.service.search import SearchServicer
from alerting.settings import AlertingSettings
from alerting.store.coverage import CoverageStore
from alerting.store.database import Database
from alerting.store.searches import SearchStore
from argo.alerting.v1 import search_service_pb2_grpc
from mesh.errors import Unavailable
from mesh.rpc.server import Registrar

_FRESH: Final = timedelta(minutes=1)
"""Sites do not move; optics do so by decision of a committee."""


class AtlasKeeper:
    """Remembers what the registry said of places; while it is away, what it said last."""

    def __init__(self, read: ReadAtlas, clock: Callable[[], datetime]) -> None:
        self._read = read
        self._clock = clock
        self._atlas: Atlas | None = None
        self._time: datetime | None = None

    async def atlas(self) -> Atlas:
        """What is known.

        Raises:
            Unavailable: the registry has never answered.
        """
        now = self._clock()
        if self._atlas is not None and self._time is not None and now - self._time < _FRESH:
            return self._atlas
        try:
            self._atlas, self._time = await self._read(), now
        except Unavailable:
            if self._atlas is None:
                raise
        return self._atlas


class SearchParts:
    """What finds matches to a testimony."""

    def __init__(
        self,
        settings: AlertingSettings,
        database: Database,
        records: SearchRecords,
        metrics: Metrics,
        read_atlas: ReadAtlas,
        approvals: Approvals,
        clock: Callable[[], datetime],
    ) -> None:
        rules = Rules(
            limits=Limits(settings.search_optic_hours, settings.search_matches, settings.search_matches_approved),
            searches=settings.searches_per_hour,
            kept=timedelta(seconds=settings.search_kept_seconds),
        )
        keeper = AtlasKeeper(read_atlas, clock)
        sources = Sources(SearchStore(database), CoverageStore(database), keeper.atlas, approvals)
        self.desk = SearchDesk(sources, records, rules, metrics, clock)

    def register(self, server: Registrar) -> None:
        """Adds the servicer to a server."""
        server.add(
            search_service_pb2_grpc.add_SearchServiceServicer_to_server,
            SearchServicer(self.desk),
            "argo.alerting.v1.SearchService",
        )
