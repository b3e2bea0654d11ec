"""NGSI-LD entities (ETSI GS CIM 009) of the Smart Data Models CrowdFlowObserved and TrafficFlowObserved.

They come in the simplified representation, which is what the models' schemas describe. What the models have no word
for, density, level of service, coverage and uncertainty, is added under names of our own in a context of our own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from alerting.domain.flows.cells import Category, Kind
from alerting.domain.flows.exports.observations import Observation
from alerting.domain.flows.service_levels import Level, Scale, level_of_service

CONTEXT: Final = (
    {
        "argo": "https://argo.example/ngsi-ld#",
        "peoplePresent": "argo:peoplePresent",
        "density": "argo:density",
        "levelOfService": "argo:levelOfService",
        "coverage": "argo:coverage",
        "countUncertainty": "argo:countUncertainty",
    },
    "https://raw.githubusercontent.com/smart-data-models/dataModel.Transportation/master/context.jsonld",
    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld",
)


def entities(observations: Iterable[Observation]) -> list[dict[str, Any]]:
    """Pedestrians as CrowdFlowObserved, everybody else who crossed a line as TrafficFlowObserved."""
    return [
        _crowd(item) if item.category is Category.PEDESTRIANS else _traffic(item)
        for item in observations
        if item.category is Category.PEDESTRIANS or item.kind is Kind.LINE
    ]


def _crowd(item: Observation) -> dict[str, Any]:
    entity = _common(item, "CrowdFlowObserved")
    if item.kind is Kind.LINE:
        entity["peopleCount"] = round(item.count)
        if item.left_to_right is not None and item.right_to_left is not None:
            entity["peopleCountTowards"] = round(item.left_to_right)
            entity["peopleCountAway"] = round(item.right_to_left)
    else:
        entity["peoplePresent"] = round(item.count, 2)
    if item.speed_kmh is not None:
        entity["averageCrowdSpeed"] = round(item.speed_kmh, 2)
    if item.density is not None:
        level = level_of_service(item.density, Scale.WALKWAY)
        entity["density"] = round(item.density, 3)
        entity["levelOfService"] = level.name
        entity["congested"] = level >= Level.E
    return entity


def _traffic(item: Observation) -> dict[str, Any]:
    entity = _common(item, "TrafficFlowObserved")
    entity["intensity"] = round(item.count, 2)
    if item.category is Category.BICYCLES:
        entity["vehicleType"] = "bicycle"
    if item.speed_kmh is not None:
        entity["averageVehicleSpeed"] = round(item.speed_kmh, 2)
    return entity


def _common(item: Observation, kind: str) -> dict[str, Any]:
    begin, end = _time(item.start), _time(item.end)
    _, device, _, optic, _, place = item.site.place.split("/")
    entity: dict[str, Any] = {
        "id": f"urn:ngsi-ld:{kind}:{device}:{optic}:{place}:{item.category.name.lower().replace('_', '-')}:"
        f"{item.start:%Y%m%dT%H%MZ}:PT{int(item.interval.total_seconds() // 60)}M",
        "type": kind,
        "name": item.site.label,
        "dateObserved": f"{begin}/{end}",
        "dateObservedFrom": begin,
        "dateObservedTo": end,
        "coverage": round(item.coverage, 3),
        "countUncertainty": round(item.uncertainty, 2),
    }
    if item.site.latitude is not None and item.site.longitude is not None:
        entity["location"] = {"type": "Point", "coordinates": [item.site.longitude, item.site.latitude]}
    entity["@context"] = list(CONTEXT)
    return entity


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
