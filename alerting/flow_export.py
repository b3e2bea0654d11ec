"""Counts as documents of other systems, for the web and for the command line."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from alerting.domain.audience import Audience
from alerting.domain.flows.cells import Cell
from alerting.domain.flows.exports import datex2, five_t, ngsi_ld
from alerting.domain.flows.exports.observations import Observation, exact, published
from alerting.domain.flows.places import Site
from alerting.domain.flows.release import OpenFlow
from alerting.domain.tokens import MAXIMUM_PAGE_SIZE, invalid
from alerting.flow_desk import C, FlowDesk, Question
from alerting.store.flows import FlowStore

LONGEST: Final = timedelta(days=1)
MOST: Final = 50_000
"""Flows of one document."""


class Format(enum.Enum):
    """What a document is."""

    NGSI_LD = "ngsi-ld"
    DATEX2 = "datex2"
    DATEX2_SITES = "datex2-sites"
    FIVE_T = "5t"


CONTENT_TYPES: Final[Mapping[Format, str]] = MappingProxyType(
    {
        Format.NGSI_LD: "application/ld+json",
        Format.DATEX2: "application/xml",
        Format.DATEX2_SITES: "application/xml",
        Format.FIVE_T: "application/xml",
    }
)


@dataclass(frozen=True)
class Order:
    """Which document.

    Attributes:
        form: its format.
        question: of what.
        interval: from when until when, in UTC; none: the newest interval.
    """

    form: Format
    question: Question
    interval: tuple[datetime, datetime] | None = None


class FlowExport:
    """Makes documents.

    Every method raises ``Unavailable`` when the database, or for exact figures the audit log, does not answer.
    """

    def __init__(
        self,
        store: FlowStore,
        desk: FlowDesk[Cell],
        open_desk: FlowDesk[OpenFlow],
        *,
        publisher: str,
        relative_error: float | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Takes what it works with.

        Args:
            store: where places are known.
            desk: of the exact figures.
            open_desk: of those for everybody.
            publisher: national identifier of who publishes, in DATEX II.
            relative_error: of the detector's counts, one standard error; none: not known.
            clock: tells the time, in UTC.
        """
        self._store = store
        self._desk = desk
        self._open_desk = open_desk
        self._publisher = publisher
        self._relative_error = relative_error
        self._clock = clock

    async def open_document(self, order: Order) -> bytes | None:
        """What everybody may have; none: there is nothing to tell, and the format has no word for that.

        Raises:
            InvalidArgument: the order is wrong, or of too much.
            NotFound: a place is not known.
        """
        flows = await _everything(self._open_desk, Audience("everybody"), order)
        sites = await self._sites(flow.key.place for flow in flows)
        return self._render(order.form, published(flows, sites), sites)

    async def exact_document(self, audience: Audience, order: Order) -> bytes | None:
        """The same of the exact figures, on record.

        Raises:
            InvalidArgument, NotFound: as ``open_document``.
        """
        cells = await _everything(self._desk, audience, order)
        sites = await self._sites(cell.key.place for cell in cells)
        return self._render(order.form, exact(cells, sites, self._relative_error), sites)

    async def _sites(self, places: Iterable[str]) -> dict[str, Site]:
        return await self._store.describe_places(sorted(set(places)))

    def _render(self, form: Format, observations: list[Observation], sites: Mapping[str, Site]) -> bytes | None:
        now = self._clock()
        if form is Format.NGSI_LD:
            return json.dumps(ngsi_ld.entities(observations), ensure_ascii=False, indent=1).encode()
        if form is Format.DATEX2:
            return datex2.measured_data(observations, creator=self._publisher, published=now)
        if form is Format.DATEX2_SITES:
            return datex2.measurement_sites(sites.values(), creator=self._publisher, published=now)
        return five_t.traffic_data(observations, generated=now)


async def _everything(desk: FlowDesk[C], audience: Audience, order: Order) -> list[C]:
    start, end = order.interval or await desk.newest(order.question.granularity)
    if end - start > LONGEST:
        raise invalid("end", f"must be at most {LONGEST.days} day after start")
    found: list[C] = []
    token = ""
    while True:
        page, token = await desk.list_cells(audience, order.question, (start, end), (MAXIMUM_PAGE_SIZE, token))
        found += page
        if not token:
            return found
        if len(found) > MOST:
            raise invalid("place", f"must be fewer, or the time shorter: at most {MOST} flows are in one document")
