"""The register as JSON and as GeoJSON; docs/public-register.md says what each field means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from registry.public.algorithms import algorithms
from registry.public.document import Camera, Register

VERSION = "1.0"
"""Of the format: the first number changes when a field goes away or changes its meaning."""


@dataclass(frozen=True)
class Edition:
    """One issue of the register.

    Attributes:
        register: the document.
        generated: when it was made, aware.
        stale_since: since when nobody could look whether it is still what the records say; None: it is.
    """

    register: Register
    generated: datetime
    stale_since: datetime | None = None


def head(edition: Edition) -> dict[str, Any]:
    """What stands before the content."""
    return {
        "version": VERSION,
        "revision": edition.register.revision,
        "generated_time": _instant(edition.generated),
        "stale_since": None if edition.stale_since is None else _instant(edition.stale_since),
    }


def content(register: Register) -> dict[str, Any]:
    """The register without the facts of its making: equal for equal records."""
    return {
        "controllers": [_values(controller) for controller in register.controllers],
        "sites": [_values(site) for site in register.sites],
        "cameras": [_values(camera) for camera in register.cameras],
        "placement_decisions": [_values(decision) for decision in register.decisions],
        "algorithms": [_values(algorithm) for algorithm in algorithms(register)],
    }


def as_geojson(edition: Edition) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946): a point per site where a camera stands, or will stand, with its cameras."""
    register = edition.register
    standing: dict[str, list[Camera]] = {}
    expected: dict[str, list[Camera]] = {}
    for camera in register.cameras:
        standing.setdefault(camera.site, []).append(camera)
        for site in dict.fromkeys(stay.site for stay in camera.placements if stay.state == "planned"):
            expected.setdefault(site, []).append(camera)
    features = [
        {
            "type": "Feature",
            "id": site.name,
            # Longitude first; 6 decimals are a tenth of a metre (RFC 7946, sections 3.1.1 and 11.2).
            "geometry": {"type": "Point", "coordinates": [round(site.longitude, 6), round(site.latitude, 6)]},
            "properties": {
                "display_name": site.display_name,
                "district": site.district,
                "controller": site.controller,
                "cameras": [_values(camera) for camera in standing.get(site.name, ())],
                "planned": [camera.name for camera in expected.get(site.name, ())],
            },
        }
        for site in register.sites
        if site.name in standing or site.name in expected
    ]
    return {"type": "FeatureCollection", **head(edition), "features": features}


def _values(record: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in asdict(record).items()}


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _value(inner) for name, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_value(inner) for inner in value]
    return value


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
