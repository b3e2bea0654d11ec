"""A fleet as GeoJSON (RFC 7946): sites are points, with their devices and all below them in the properties.

Devices that stand nowhere by themselves, mobile ones above all, are in features without geometry. Controllers are a
foreign member of the collection. The records are in the JSON form of the contract, with its names of fields.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from google.protobuf import json_format

from argo.registry.v1 import fleet_service_pb2
from registry import masks
from registry.domain.names import ancestor
from registry.onboarding.files import FileError, FileProblem, FleetFile
from registry.resources import RESOURCES

_BELOW = {"optics": "optic", "deployments": "deployment"}
_WGS84 = ("CRS84", "EPSG::4326")
_POINT = (2, 3)
"""How many numbers a position has, with or without altitude (RFC 7946, section 3.1.1)."""


@dataclass
class _Collection:
    """What has been read so far: the file, and where each record stood."""

    file: FleetFile = field(default_factory=FleetFile)

    def take_feature(self, source: str, feature: Any) -> None:
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            self._problem(source, "type", "must be a Feature")
            return
        properties = feature.get("properties")
        if not isinstance(properties, dict):
            self._problem(source, "properties", "must be an object")
            return
        devices = properties.pop("devices", [])
        site = ""
        if feature.get("geometry") is not None:
            properties["location"] = self._location(source, feature["geometry"])
            site = self.take(source, "site", properties) or ""
        elif properties:
            self._problem(source, "geometry", "must be a Point: only devices that stand nowhere go without")
        self._take_list(source, "devices", devices, lambda where, device: self._take_device(where, device, site))

    def _take_device(self, source: str, device: Any, site: str) -> None:
        if not isinstance(device, dict):
            self._problem(source, "", "must be an object")
            return
        below = {plural: device.pop(plural, []) for plural in _BELOW}
        if site:
            device["site"] = site
        self.take(source, "device", device)
        for plural, kind in _BELOW.items():
            self._take_list(source, plural, below[plural], partial(self._take_below, kind))

    def _take_below(self, kind: str, source: str, properties: Any) -> None:
        self.take(source, kind, properties)

    def take(self, source: str, kind: str, properties: Any) -> str | None:
        """Reads one record; answers its name, None if it cannot be read."""
        record: Any = RESOURCES[kind].message()
        if not isinstance(properties, dict):
            self._problem(source, "", "must be an object")
            return None
        try:
            json_format.ParseDict(properties, record)
        except (json_format.ParseError, ValueError, TypeError, OverflowError, RecursionError) as error:
            self._problem(source, "", f"is no {kind} of the contract: {str(error)[:300]}")
            return None
        self.file.add(source, kind, record)
        return str(record.name)

    def _take_list(self, source: str, name: str, found: Any, take: Callable[[str, Any], object]) -> None:
        if not isinstance(found, list):
            self._problem(source, name, "must be an array")
            return
        for number, each in enumerate(found, 1):
            take(f"{source}, {name} {number}", each)

    def _location(self, source: str, geometry: Any) -> Mapping[str, Any]:
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind != "Point":
            self._problem(source, "geometry", f"must be a Point, not {str(kind)[:40]}")
            return {}
        position = geometry.get("coordinates")
        if (
            not isinstance(position, list)
            or len(position) not in _POINT
            or not all(_is_number(part) for part in position)
        ):
            self._problem(source, "geometry", "must have coordinates: longitude, latitude")
            return {}
        return {"longitude": position[0], "latitude": position[1]}

    def _problem(self, source: str, where: str, description: str) -> None:
        self.file.problems.append(FileProblem(source, where, description))


def read(text: str) -> FleetFile:
    """Reads a fleet from a feature collection.

    Raises:
        FileError: it is no JSON, no feature collection, of another reference system, or too large.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise FileError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise FileError(f"it is not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("type") != "FeatureCollection":
        raise FileError("it is no GeoJSON: the outermost object must be a FeatureCollection")
    if content.get("crs") is not None and not any(name in json.dumps(content["crs"]) for name in _WGS84):
        raise FileError("it is not in WGS 84, the only reference system of GeoJSON (RFC 7946, section 4)")
    features, controllers = content.get("features"), content.get("controllers", [])
    if not isinstance(features, list) or not isinstance(controllers, list):
        raise FileError("it is no GeoJSON: features, and controllers where they are, must be arrays")
    collection = _Collection()
    for number, controller in enumerate(controllers, 1):
        collection.take(f"controller {number}", "controller", controller)
    for number, feature in enumerate(features, 1):
        collection.take_feature(f"feature {number}", feature)
    return collection.file


def write(records: Iterable[fleet_service_pb2.FleetRecord]) -> str:
    """A fleet as a feature collection that ``read`` reads back as it was."""
    of_kind: dict[str, list[Any]] = defaultdict(list)
    for wrapped in records:
        kind = str(wrapped.WhichOneof("record"))
        of_kind[kind].append(getattr(wrapped, kind))
    below: dict[str, dict[str, list[Any]]] = defaultdict(lambda: {plural: [] for plural in _BELOW})
    for plural, kind in _BELOW.items():
        for record in of_kind[kind]:
            below[ancestor(record.name, 1)][plural].append(_properties(kind, record))
    standing: dict[str, list[Any]] = defaultdict(list)
    for device in of_kind["device"]:
        parts = {plural: part for plural, part in below[device.name].items() if part}
        standing[device.site].append(_properties("device", device) | parts)
    content: dict[str, Any] = {"type": "FeatureCollection", "features": list(_features(of_kind["site"], standing))}
    if of_kind["controller"]:
        content["controllers"] = [_properties("controller", record) for record in of_kind["controller"]]
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _features(sites: Iterable[Any], standing: dict[str, list[Any]]) -> Iterator[Mapping[str, Any]]:
    for site in sites:
        properties = _properties("site", site)
        location = properties.pop("location", {})
        position = [location.get("longitude", 0.0), location.get("latitude", 0.0)]
        devices = standing.pop(site.name, [])
        for device in devices:
            del device["site"]
        yield {
            "type": "Feature",
            "id": site.name,
            "geometry": {"type": "Point", "coordinates": position},
            "properties": properties | ({"devices": devices} if devices else {}),
        }
    elsewhere = [device for devices in standing.values() for device in devices]
    if elsewhere:
        yield {"type": "Feature", "geometry": None, "properties": {"devices": elsewhere}}


def _properties(kind: str, record: Any) -> dict[str, Any]:
    copy = type(record)()
    copy.CopyFrom(record)
    masks.clear_output_only(RESOURCES[kind], copy)
    properties: dict[str, Any] = json_format.MessageToDict(copy, preserving_proto_field_name=True)
    return properties


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
