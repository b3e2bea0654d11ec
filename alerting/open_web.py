"""What everybody may have of the counts, over HTTP and without signing in: documents of what was published."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final

from aiohttp import web

from alerting import contracts
from alerting.domain.tokens import invalid
from alerting.flow_contracts import place_name
from alerting.flow_desk import Question
from alerting.flow_export import CONTENT_TYPES, FlowExport, Format, Order

PATHS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "/open/v1/flows.jsonld": Format.NGSI_LD,
        "/open/v1/flows.datex2.xml": Format.DATEX2,
        "/open/v1/measurement-sites.datex2.xml": Format.DATEX2_SITES,
        "/open/v1/flows.5t.xml": Format.FIVE_T,
    }
)
_PARAMETERS: Final = frozenset({"minutes", "place", "site", "start", "end"})
_HEADERS: Final = MappingProxyType(
    {
        # What was published never changes, but the newest interval is another one soon.
        "Cache-Control": "public, max-age=30",
        "Access-Control-Allow-Origin": "*",
    }
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def open_routes(export: FlowExport) -> list[web.RouteDef]:
    """The routes; none of them needs a session."""
    return [web.get(path, partial(_document, export, form)) for path, form in PATHS.items()]


async def _document(export: FlowExport, form: Format, request: web.Request) -> web.Response:
    body = await export.open_document(order_of(form, request))
    if body is None:
        return web.Response(status=204, headers=_HEADERS)
    return web.Response(body=body, content_type=CONTENT_TYPES[form], charset="utf-8", headers=_HEADERS)


def order_of(form: Format, request: web.Request) -> Order:
    """Which document a request is for.

    Raises:
        InvalidArgument: a parameter is unknown or wrong.
    """
    query = request.query
    for name in query.keys() - _PARAMETERS:
        raise invalid(name, f"is not a parameter; there are {', '.join(sorted(_PARAMETERS))}")
    minutes = query.get("minutes", "5")
    places = tuple(sorted({place_name(name, "place") for name in query.getall("place", [])}))
    sites = tuple(sorted({contracts.site_name(name, "site") for name in query.getall("site", [])} - {""}))
    granularity = timedelta(minutes=int(minutes) if minutes in ("5", "15", "60") else 0)
    return Order(form, Question(places, sites, granularity, ""), interval_of(query.get("start"), query.get("end")))


def interval_of(start: str | None, end: str | None) -> tuple[datetime, datetime] | None:
    """From when until when, in UTC, of two times in ISO 8601; none: neither was given.

    Raises:
        InvalidArgument: one alone was given, or one is no time.
    """
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise invalid("start" if start is None else "end", "is required beside the other")
    return contracts.written_time(start, "start"), contracts.written_time(end, "end")
