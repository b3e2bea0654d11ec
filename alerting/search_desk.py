"""The investigator's desk: searches for matches to a testimony, each on record before it runs, each page before it goes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from alerting import search_contracts
from alerting.domain import tokens
from alerting.domain.search import chains, scoring, width
from alerting.domain.search.atlas import Atlas, Point, distance
from alerting.domain.search.criteria import Criterion
from alerting.domain.search.query import Query, Sighting, Track
from alerting.domain.search.scoring import Scored
from alerting.domain.search.width import Limits, Width
from alerting.metrics import Metrics
from alerting.search_contracts import Asked
from alerting.search_records import SearchRecords
from alerting.store.coverage import CoverageStore
from alerting.store.searches import Kept, Observers, Result, SearchStore, Started
from argo.alerting.v1 import search_service_pb2 as v1
from argo.type.v1 import data_class_pb2
from mesh.errors import FailedPrecondition, NotFound

log = structlog.get_logger()

KEPT: Final = 1000
"""Matches or chains of one search that are kept for its pages: who needs more has asked too widely."""
_CHUNK: Final = 500
"""Tracks that are looked at between two waits: some milliseconds, in which nobody else is served."""
_MOST_BLIND: Final = 100

ReadAtlas = Callable[[], Awaitable[Atlas]]
"""Says where optics stand and look; raises Unavailable."""


class SecondPerson(Protocol):
    """Tells whether another person has approved of exactly this search."""

    async def approve(self, approval: str, request: v1.SearchObservationsRequest, actor: str) -> str:
        """Who has.

        Args:
            approval: ``approvals/{approval}``.
            request: what is to be done; its page and approval do not count.
            actor: identity path of who searches.

        Raises:
            FailedPrecondition, NotFound: nobody has, or of something else.
            Unavailable: nobody can tell now.
        """
        ...


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
class _Plan:
    """A sighting with the optics that could have seen it."""

    sighting: Sighting
    observers: Observers


class SearchDesk:
    """Finds, ranks and explains. Every method raises ``Unavailable`` when the database or the audit log does not answer."""

    def __init__(
        self,
        store: SearchStore,
        coverage: CoverageStore,
        records: SearchRecords,
        *,
        read_atlas: ReadAtlas,
        second_person: SecondPerson,
        rules: Rules,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._coverage = coverage
        self._records = records
        self._read_atlas = read_atlas
        self._second_person = second_person
        self._rules = rules
        self._clock = clock
