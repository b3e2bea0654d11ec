"""The contract of searches as domain values, and back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from alerting import contracts
from alerting.domain.observations import signed
from alerting.domain.search import chains
from alerting.domain.search.atlas import Atlas
from alerting.domain.search.chains import Chain
from alerting.domain.search.query import Circle, Movement, Query, Sighting
from alerting.domain.search.scoring import Scored
from alerting.domain.tokens import invalid
from alerting.fingerprint import without_page
from argo.alerting.v1 import search_service_pb2 as v1
from argo.detector.v1 import bus_pb2
from argo.type.v1 import geometry_pb2, object_class_pb2

_LONGEST: Final = timedelta(days=7)
_MOST_TOLERANCE: Final = timedelta(days=1)
_MOST_NAMES: Final = 100
_MOST_COUNT: Final = 100
_LARGEST_RADIUS: Final = 20_000.0
_HIGHEST_SPEED: Final = 100.0
_PLACE: Final = re.compile(
    r"(devices/[a-z0-9-]+/optics/[a-z0-9-]+)/((?:zones|lines)/[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)"
)
_RULE: Final = re.compile(r"devices/[a-z0-9-]+/optics/[a-z0-9-]+/rules/[a-z0-9-]+|[A-Za-z]+/[A-Za-z]+")
_CLIP_MARGIN: Final = timedelta(seconds=5)
"""On either side of what a clip shows."""


@dataclass(frozen=True)
class Asked:
    """A search that is asked for.

    Attributes:
        query: the testimony.
        purpose: what for.
        case: reference of the proceeding.
        reason: why.
        canonical: the whole request as JSON, without page and approval, the same for the same question.
        approval: ``approvals/{approval}``, or empty.
    """

    query: Query
    purpose: str
    case: str
    reason: str
    canonical: str
    approval: str


def asked(request: v1.SearchObservationsRequest) -> Asked:
    """What a request asks for.

    Raises:
        InvalidArgument: a field is missing or wrong, or persons are to be followed (``CHAIN_OF_PERSONS``).
    """
    purpose = contracts.text_of(request.purpose, "purpose", required=True)
    case = contracts.text_of(request.case_reference, "case_reference", required=True)
    reason = contracts.text_of(request.reason, "reason", required=True)
    return Asked(_query(request), purpose, case, reason, canonical(request), request.approval)


def canonical(request: v1.SearchObservationsRequest) -> str:
    """See ``Asked.canonical``."""
    counted = without_page(request)
    return json.dumps(MessageToDict(counted), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _query(request: v1.SearchObservationsRequest) -> Query:
    if request.HasField("vehicle") and request.classes:
        raise invalid("vehicle", "and classes exclude each other: a vehicle has types")
    if not 0 <= request.minimum_count <= _MOST_COUNT:
        raise invalid("minimum_count", f"must lie between 0 and {_MOST_COUNT}")
    then = request.vehicle.then
    if len(then) >= chains.MOST_SIGHTINGS:
        raise invalid("vehicle.then", f"holds at most {chains.MOST_SIGHTINGS - 1} sightings")
    if then and request.minimum_count > 1:
        raise invalid("minimum_count", "is of one place; a chain follows one vehicle")
    query = Query(
        classes=_classes(request),
        colours=_numbers(request.vehicle.colours, bus_pb2.VehicleColour, "vehicle.colours"),
        sightings=(
            _sighting(request, ""),
            *(_sighting(each, f"vehicle.then[{number}].") for number, each in enumerate(then)),
        ),
        minimum_count=max(1, request.minimum_count),
    )
    chains.check(query)
    return query


def _classes(request: v1.SearchObservationsRequest) -> frozenset[int]:
    if not request.HasField("vehicle"):
        return _numbers(request.classes, object_class_pb2.ObjectClass, "classes")
    types = v1.SearchObservationsRequest.VehicleType
    return _numbers(request.vehicle.types, types, "vehicle.types") or frozenset(types.values()) - {0}


def _numbers(values: Iterable[int], enum: Any, field: str) -> frozenset[int]:
    numbers = frozenset(values)
    if 0 in numbers or not numbers <= frozenset(enum.values()):
        raise invalid(field, "holds a value that is not known")
    return numbers


def _sighting(message: Any, prefix: str) -> Sighting:
    """Of a request, or of what came after."""
    if not message.HasField("interval"):
        raise invalid(f"{prefix}interval", "is required")
    start, end = contracts.time_of(message.interval, "start_time"), contracts.time_of(message.interval, "end_time")
    if not timedelta(0) < end - start <= _LONGEST:
        raise invalid(f"{prefix}interval", "must end after its start, and within seven days of it")
    tolerance = contracts.duration_of(message, "interval_tolerance")
    if tolerance > _MOST_TOLERANCE:
        raise invalid(f"{prefix}interval_tolerance", "must be a day at most")
    place = message.WhichOneof("place")
    return Sighting(
        start_time=start,
        end_time=end,
        tolerance=tolerance,
        sites=_sites(message.sites.names, f"{prefix}sites") if place == "sites" else frozenset(),
        circle=_circle(message.circle, f"{prefix}circle") if place == "circle" else None,
        movement=_movement(message.movement, f"{prefix}movement"),
        rules=_few(_matching(message.rules, _RULE, f"{prefix}rules"), f"{prefix}rules"),
    )


def _sites(names: Iterable[str], field: str) -> frozenset[str]:
    sites = _few((contracts.site_name(name, field) for name in names), field)
    if not sites or "" in sites:
        raise invalid(field, "must name sites")
    return sites


def _circle(message: v1.SearchObservationsRequest.Circle, field: str) -> Circle:
    circle = Circle(message.center.latitude, message.center.longitude, message.radius_metres)
    if not (abs(circle.latitude) <= 85 and abs(circle.longitude) <= 180):  # noqa: PLR2004 - degrees
        raise invalid(f"{field}.center", "must be a point of the city")
    if not 0 < circle.radius <= _LARGEST_RADIUS:
        raise invalid(f"{field}.radius_metres", f"must lie between 0 and {_LARGEST_RADIUS:.0f}")
    return circle


def _movement(message: v1.SearchObservationsRequest.Movement, field: str) -> Movement:
    optional = {
        name: getattr(message, name) if message.HasField(name) else None
        for name in ("heading_degrees", "minimum_speed", "maximum_speed")
    }
    heading, least, most = optional.values()
    if heading is not None and not 0 <= heading <= 360:  # noqa: PLR2004 - degrees
        raise invalid(f"{field}.heading_degrees", "must lie between 0 and 360")
    if not 0 <= message.heading_tolerance_degrees <= 180:  # noqa: PLR2004 - degrees
        raise invalid(f"{field}.heading_tolerance_degrees", "must lie between 0 and 180")
    if any(speed is not None and not 0 <= speed <= _HIGHEST_SPEED for speed in (least, most)):
        raise invalid(f"{field}.minimum_speed", f"and maximum_speed must lie between 0 and {_HIGHEST_SPEED:.0f} m/s")
    if least is not None and most is not None and least > most:
        raise invalid(f"{field}.minimum_speed", "must not be more than maximum_speed")
    return Movement(
        heading=heading,
        heading_tolerance=message.heading_tolerance_degrees or Movement.heading_tolerance,
        minimum_speed=least,
        maximum_speed=most,
        minimum_dwell=_seconds(message, "minimum_dwell"),
        minimum_stop=_seconds(message, "minimum_stop"),
        places=_places(message.places, f"{field}.places"),
    )


def _seconds(message: v1.SearchObservationsRequest.Movement, field: str) -> float | None:
    return contracts.duration_of(message, field).total_seconds() or None


def _places(names: Iterable[str], field: str) -> frozenset[tuple[str, str]]:
    found = _few(_matching(names, _PLACE, field), field)
    matches = [_PLACE.fullmatch(name) for name in found]
    return frozenset((match[1], match[2]) for match in matches if match is not None)


def _matching(names: Iterable[str], pattern: re.Pattern[str], field: str) -> Iterable[str]:
    for name in names:
        if pattern.fullmatch(name) is None:
            raise invalid(field, "holds a name that is not valid")
        yield name


def _few(names: Iterable[str], field: str) -> frozenset[str]:
    found = frozenset(names)
    if len(found) > _MOST_NAMES:
        raise invalid(field, f"holds at most {_MOST_NAMES} names")
    return found


def match_message(
    scored: Scored, explanations: Iterable[str], atlas: Atlas, payload: bytes | None, together: int = 0
) -> v1.Match:
    """A match as the contract shows it.

    Args:
        scored: the track and how well it fits.
        explanations: in words.
        atlas: where it was.
        payload: the serialised ``argo.detector.v1.Observation``; none: it has gone meanwhile.
        together: how many there were at once; 0: that was not asked.
    """
    track = scored.track
    match = v1.Match(
        optic=track.optic,
        object_class=object_class_pb2.ObjectClass.ValueType(track.object_class),
        plausibility=scored.plausibility,
        explanations=explanations,
        site=track.site,
        together=together,
    )
    _fill(match.interval, track.start_time, track.end_time)
    match.clip.optic = track.optic
    _fill(match.clip.interval, track.start_time - _CLIP_MARGIN, track.end_time + _CLIP_MARGIN)
    match.expire_time.FromDatetime(track.expire_time)
    match.path.CopyFrom(_path(payload))
    x = (track.from_x + track.to_x) / 2.0 if track.from_x is not None and track.to_x is not None else None
    position = atlas.position(track.optic, track.site, x)
    if position is not None:
        match.position.center.latitude = position.center.latitude
        match.position.center.longitude = position.center.longitude
        match.position.radius_metres = position.radius
    return match


def chain_message(chain: Chain, matches: Iterable[v1.Match]) -> v1.Chain:
    """A chain as the contract shows it."""
    return v1.Chain(
        matches=matches,
        plausibility=chain.plausibility,
        alternatives=chain.alternatives,
        explanations=chain.explanations,
    )


def blind_optics(seconds: Mapping[str, float]) -> list[v1.SearchObservationsResponse.BlindOptic]:
    """Optics with how long they were blind, the longest first."""
    found = []
    for optic, blind in sorted(seconds.items(), key=lambda item: (-item[1], item[0])):
        message = v1.SearchObservationsResponse.BlindOptic(optic=optic)
        message.duration.FromTimedelta(timedelta(seconds=math.ceil(blind)))
        found.append(message)
    return found


def rules_fired(events: Iterable[bytes], asked_rules: frozenset[str]) -> dict[tuple[str, int], set[str]]:
    """By optic and track (signed, as they are kept), which of the asked rules fired; by their names or kinds."""
    fired: dict[tuple[str, int], set[str]] = {}
    for payload in events:
        event = bus_pb2.Event.FromString(payload)
        named = {event.rule, event.topic} & asked_rules
        for track in event.tracks if named else ():
            fired.setdefault((event.optic, signed(track)), set()).update(named)
    return fired


def _path(payload: bytes | None) -> geometry_pb2.Polyline:
    if payload is None:
        return geometry_pb2.Polyline()
    try:
        observation = bus_pb2.Observation.FromString(payload)
    except DecodeError:
        return geometry_pb2.Polyline()
    return geometry_pb2.Polyline(points=[point.image for point in observation.path])


def _fill(interval: Any, start: datetime, end: datetime) -> None:
    interval.start_time.FromDatetime(start)
    interval.end_time.FromDatetime(end)
