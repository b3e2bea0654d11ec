"""Traffic in the form of 5T's real-time feed: one FDT_data for each road and direction, flow in vehicles per hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from alerting.domain.flows.cells import Category, Kind
from alerting.domain.flows.exports.markup import add, document, time
from alerting.domain.flows.exports.observations import Observation, by_direction

NAMESPACE: Final = "https://argo.example/xml/traffic-data"


def traffic_data(observations: Iterable[Observation], *, generated: datetime) -> bytes:
    """An XML document (schema: ``docs/schemas/traffic-data.xsd``).

    Args:
        observations: those of motor vehicles over lines with a place on the map; others are left out.
        generated: when, in UTC.
    """
    told = [
        item
        for item in observations
        if item.category is Category.MOTOR_VEHICLES and item.kind is Kind.LINE and item.site.latitude is not None
    ]
    root = Element(f"{{{NAMESPACE}}}traffic_data", {"generation_time": time(generated)})
    if told:
        root.set("start_time", time(min(item.start for item in told)))
        root.set("end_time", time(max(item.end for item in told)))
    for item in by_direction(told):
        _road(root, item)
    return document(root, {"": NAMESPACE})


def _road(root: Element, item: Observation) -> None:
    road = add(
        root,
        f"{{{NAMESPACE}}}FDT_data",
        Road_name=item.site.label,
        direction=item.direction.value,
        lat=f"{item.site.latitude:.6f}",
        lng=f"{item.site.longitude:.6f}",
        # Of 100: the share of the interval that was analysed.
        accuracy=str(round(100 * item.coverage)),
        period=str(int(item.interval.total_seconds() // 60)),
        start_time=time(item.start),
    )
    flow = add(road, f"{{{NAMESPACE}}}speedflow", flow=f"{item.per_hour:.2f}")
    if item.speed_kmh is not None:
        flow.set("speed", f"{item.speed_kmh:.2f}")
