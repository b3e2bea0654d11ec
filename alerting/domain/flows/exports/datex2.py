"""DATEX II version 3 (CEN/TS 16157): measured data of lines, and the table of the sites that they refer to.

Bicycles and motor vehicles; DATEX II has no pedestrians. A line that has both directions told is three measurement
sites: itself, and one for each direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Final
from xml.etree.ElementTree import Element

from alerting.domain.flows.cells import Category, Kind
from alerting.domain.flows.exports.markup import XSI, add, document, time
from alerting.domain.flows.exports.observations import Direction, Observation, by_direction
from alerting.domain.flows.places import Site

NAMESPACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "d2": "http://datex2.eu/schema/3/d2Payload",
        "com": "http://datex2.eu/schema/3/common",
        "loc": "http://datex2.eu/schema/3/locationReferencing",
        "roa": "http://datex2.eu/schema/3/roadTrafficData",
        "xsi": XSI,
    }
)
TABLE_ID: Final = "argo-measurement-sites"
_VERSION: Final = "1"
_VEHICLES: Final[Mapping[Category, str]] = MappingProxyType(
    {Category.BICYCLES: "bicycle", Category.MOTOR_VEHICLES: "anyVehicle"}
)
_SUFFIXES: Final[Mapping[Direction, str]] = MappingProxyType(
    {Direction.BOTH: "", Direction.LEFT_TO_RIGHT: ":positive", Direction.RIGHT_TO_LEFT: ":negative"}
)


def measured_data(observations: Iterable[Observation], *, creator: str, published: datetime) -> bytes | None:
    """A MeasuredDataPublication.

    Args:
        observations: those of lines; others, and pedestrians, are left out.
        creator: national identifier of who publishes, in Italy.
        published: when, in UTC.

    Returns:
        An XML document; none when there is nothing to tell, since DATEX II has no empty publication.
    """
    told = [item for item in observations if item.category in _VEHICLES and item.kind is Kind.LINE]
    if not told:
        return None
    payload = _payload("MeasuredDataPublication", creator, published)
    table = add(payload, _roa("measurementSiteTableReference"), id=TABLE_ID, version=_VERSION)
    table.set("targetClass", "roa:MeasurementSiteTable")
    _header(payload)
    told += [item for item in by_direction(told) if item.direction is not Direction.BOTH]
    told.sort(key=lambda item: (site_id(item.site, item.direction), item.start, item.category))
    for (name, start), items in groupby(told, key=lambda item: (site_id(item.site, item.direction), item.start)):
        _measurements(payload, name, start, list(items))
    return document(payload, NAMESPACES)


def measurement_sites(sites: Iterable[Site], *, creator: str, published: datetime) -> bytes | None:
    """A MeasurementSiteTablePublication of every line that has a place on the map.

    Args:
        sites: lines and zones; zones are left out.
        creator: national identifier of who publishes, in Italy.
        published: when, in UTC.

    Returns:
        An XML document; none when no line has a place on the map.
    """
    lines = {
        site.place: site
        for site in sites
        if Kind.of(site.place) is Kind.LINE and site.latitude is not None and site.longitude is not None
    }
    if not lines:
        return None
    payload = _payload("MeasurementSiteTablePublication", creator, published)
    _header(payload)
    table = add(payload, _roa("measurementSiteTable"), id=TABLE_ID, version=_VERSION)
    for site in lines.values():
        for direction in Direction:
            _site(table, site, direction)
    return document(payload, NAMESPACES)


def site_id(site: Site, direction: Direction) -> str:
    """The id of the measurement site of a line, or of one of its directions."""
    _, device, _, optic, _, line = site.place.split("/")
    return f"{device}:{optic}:{line}{_SUFFIXES[direction]}"


def _payload(kind: str, creator: str, published: datetime) -> Element:
    payload = Element(f"{{{NAMESPACES['d2']}}}payload", {"lang": "it", "modelBaseVersion": "3"})
    payload.set(f"{{{XSI}}}type", f"roa:{kind}")
    add(payload, _com("publicationTime"), time(published))
    by = add(payload, _com("publicationCreator"))
    add(by, _com("country"), "IT")
    add(by, _com("nationalIdentifier"), creator)
    return payload


def _header(payload: Element) -> None:
    add(add(payload, _roa("headerInformation")), _com("informationStatus"), "real")


def _measurements(payload: Element, name: str, start: datetime, items: list[Observation]) -> None:
    measured = add(payload, _roa("siteMeasurements"))
    reference = add(measured, _roa("measurementSiteReference"), id=name, version=_VERSION)
    reference.set("targetClass", "roa:MeasurementSite")
    index = 0
    for item in items:
        index += 1
        flow = _quantity(measured, index, "TrafficFlow", item.category)
        rate = add(flow, _roa("vehicleFlow"), numberOfInputValuesUsed=str(round(item.count)))
        add(rate, _com("vehicleFlowRate"), str(round(item.per_hour)))
        if item.speed_kmh is not None:
            index += 1
            speed = add(_quantity(measured, index, "TrafficSpeed", item.category), _roa("averageVehicleSpeed"))
            add(speed, _com("speed"), f"{item.speed_kmh:.1f}")
    when = add(add(measured, _roa("measurementTimeDefault"), timePrecision="minute"), _roa("period"))
    add(when, _com("startOfPeriod"), time(start))
    add(when, _com("endOfPeriod"), time(items[0].end))


def _quantity(measured: Element, index: int, kind: str, category: Category) -> Element:
    quantity = add(add(measured, _roa("physicalQuantity"), index=str(index)), _roa("physicalQuantity"))
    quantity.set(f"{{{XSI}}}type", "roa:SinglePhysicalQuantity")
    data = add(quantity, _roa("basicData"))
    data.set(f"{{{XSI}}}type", f"roa:{kind}")
    vehicles = add(data, _roa("forVehiclesWithCharacteristicsOf"))
    add(vehicles, _com("vehicleType"), _VEHICLES[category])
    return data


def _site(table: Element, site: Site, direction: Direction) -> None:
    record = add(table, _roa("measurementSite"), id=site_id(site, direction), version=_VERSION)
    values = add(add(record, _roa("measurementSiteName")), _com("values"))
    label = site.label if direction is Direction.BOTH else f"{site.label} ({direction.value})"
    add(values, _com("value"), label, lang="it")
    where = add(record, _roa("measurementSiteLocation"))
    where.set(f"{{{XSI}}}type", "loc:PointLocation")
    point = add(add(where, _loc("pointByCoordinates")), _loc("pointCoordinates"))
    add(point, _loc("latitude"), f"{site.latitude:.6f}")
    add(point, _loc("longitude"), f"{site.longitude:.6f}")


def _com(name: str) -> str:
    return f"{{{NAMESPACES['com']}}}{name}"


def _loc(name: str) -> str:
    return f"{{{NAMESPACES['loc']}}}{name}"


def _roa(name: str) -> str:
    return f"{{{NAMESPACES['roa']}}}{name}"
