"""The public register as a document: a pure function of the public parts of the records and an instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from argo.registry.v1 import placement_service_pb2, scene_pb2, site_pb2
from argo.type.v1 import object_class_pb2
from registry.domain.admission import Reason
from registry.domain.names import ancestor
from registry.public.records import Admission, Records


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)

PAST = timedelta(days=365)
"""How long after its end a deployment stays in the register."""

LONGEST_RETENTION_DAYS = 7
"""DL 11/2009, art. 6, par. 8; what a policy that says nothing means."""

PUBLIC_REASONS: Mapping[Reason, str] = {
    Reason.SITE_MISSING: "no_site",
    Reason.PURPOSE_MISSING: "no_purpose",
    Reason.DPIA_REFERENCE_MISSING: "no_impact_assessment",
    Reason.SIGN_REFERENCE_MISSING: "no_sign",
    Reason.DECISION_MISSING: "no_decision",
    Reason.PLACEMENT_NOT_STARTED: "placement_not_started",
    Reason.PLACEMENT_ENDED: "placement_ended",
}
"""The gate's reasons in the register's words. Whatever is not here is technical, and said no more of."""

TECHNICAL = "technical"

PRIVATE_OWNERS = "controllers/private-owner"
"""Stands for every private owner."""

_DIRECTIONS = ("north", "north_east", "east", "south_east", "south", "south_west", "west", "north_west")
_WIDTH_STEP_DEGREES = 15
_DECIDED = {
    placement_service_pb2.PlacementRequest.STATE_DECIDED,
    placement_service_pb2.PlacementRequest.STATE_DEPLOYED,
    placement_service_pb2.PlacementRequest.STATE_REFUSED,
}


@dataclass(frozen=True)
class Controller:
    """Who answers for cameras. Private owners, who may be persons, are one controller without a name or a contact."""

    name: str
    kind: str
    display_name: str
    contact: str


@dataclass(frozen=True)
class Site:
    """A place; degrees are WGS 84."""

    name: str
    display_name: str
    district: str
    latitude: float
    longitude: float
    controller: str


@dataclass(frozen=True)
class Sector:
    """Roughly where a lens looks.

    Attributes:
        direction: one of eight compass points.
        width_degrees: in steps of 15; 360: all round.
    """

    direction: str
    width_degrees: int


@dataclass(frozen=True)
class Rule:
    """What is watched for, and by how many lenses of the camera.

    Attributes:
        kind: name of the rule's parameters in the contract, e.g. ``line_crossing``.
        mode: ``live`` (it calls an operator) or ``shadow`` (it is only scored).
        zone_kind: of the area that it watches; empty: none, or not said.
        classes: kinds of object that it looks at; none: all.
        optics: lenses that it watches on.
    """

    kind: str
    mode: str
    zone_kind: str
    classes: tuple[str, ...]
    optics: int


@dataclass(frozen=True)
class Placement:
    """A stay of a mobile camera, in the half-open interval from start to end; ``planned``, ``present`` or ``past``."""

    state: str
    site: str
    decision: str
    decision_date: date
    reason: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Camera:
    """A device, with what its optics do.

    Attributes:
        site: where it stands now; empty: nowhere.
        retention_days: the longest of its optics; 0: nothing is recorded.
        sectors: of the optics whose view is on record.
        refusals: why it is dark; empty: it may stream. Nothing about momentary faults.
        registered: the day its record was made.
    """

    name: str
    site: str
    mobility: str
    view: str
    purpose: str
    regime: str
    act: str
    controller: str
    impact_assessment: str
    impact_assessment_date: date | None
    sign: str
    registered: date
    optics: int
    sectors: tuple[Sector, ...]
    retention_days: float
    rules: tuple[Rule, ...]
    placements: tuple[Placement, ...]
    refusals: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What became of a request for a camera or for light. ``state`` is ``decided``, ``deployed`` or ``refused``."""

    site: str
    state: str
    measures: tuple[str, ...]
    decision: str
    decision_date: date | None


@dataclass(frozen=True)
class Register:
    """The register.

    Attributes:
        revision: number of the last change of the records that it was built of.
        fresh_until: when time alone will change it; None: never.
    """

    revision: int = field(compare=False)
    fresh_until: datetime | None = field(compare=False)
    controllers: tuple[Controller, ...]
    sites: tuple[Site, ...]
    cameras: tuple[Camera, ...]
    decisions: tuple[Decision, ...]


def build(records: Records, now: datetime, zone: ZoneInfo) -> Register:
    """Builds the register.

    Args:
        records: public parts, see ``registry.public.disclosure``.
        now: aware; says which deployments are planned, present, or past for less than a year.
        zone: the city's, in which an instant has a date.
    """
    scenes = _Scenes(records)
    stays = _by_parent(records.deployments, 1)
    private = {controller.name for controller in records.controllers if _is_private(controller)}
    view = _View(now, zone, frozenset(private))
    return Register(
        revision=records.sequence,
        fresh_until=_fresh_until(records.deployments, now),
        controllers=tuple(dict.fromkeys(_controller(controller) for controller in records.controllers)),
        sites=tuple(_site(site, view) for site in records.sites),
        cameras=tuple(
            _camera(device, stays.get(device.name, ()), scenes, records.admissions.get(device.name), view)
            for device in records.devices
        ),
        decisions=tuple(
            _decision(request, view) for request in records.placement_requests if request.state in _DECIDED
        ),
    )


class _View(NamedTuple):
    """When and where the register is looked at from, and which controllers have no name in it."""

    now: datetime
    zone: ZoneInfo
    private: frozenset[str]

    def controller(self, name: str) -> str:
        return PRIVATE_OWNERS if name in self.private else name

    def day(self, timestamp: Timestamp) -> date:
        return _time(timestamp).astimezone(self.zone).date()


class _Scenes:
    """Optics by device, rules and kinds of zone."""

    def __init__(self, records: Records) -> None:
        self.optics = _by_parent(records.optics, 1)
        self.rules = _by_parent(records.rules, 1)
        self.zone_kinds = {zone.name: enum_word(scene_pb2.Zone.Kind, zone.kind) for zone in records.zones}


def enum_word(enum: object, number: int) -> str:
    """An enum's value as the register says it: ``PURPOSE_URBAN_SECURITY`` is ``urban_security``; not said: empty."""
    if number == 0:
        return ""
    values = enum.DESCRIPTOR.values_by_number  # type: ignore[attr-defined]  # every generated enum has one
    prefix = str(values[0].name).removesuffix("UNSPECIFIED")
    return str(values[number].name).removeprefix(prefix).lower() if number in values else "other"


def _controller(controller: site_pb2.Controller) -> Controller:
    private = _is_private(controller)
    return Controller(
        name=PRIVATE_OWNERS if private else controller.name,
        kind=enum_word(site_pb2.Controller.Kind, controller.kind),
        display_name="" if private else controller.display_name,
        contact="" if private else controller.contact,
    )


def _is_private(controller: site_pb2.Controller) -> bool:
    return controller.kind == site_pb2.Controller.KIND_PRIVATE_OWNER


def _site(site: site_pb2.Site, view: _View) -> Site:
    point, controller = site.location, view.controller(site.controller)
    return Site(site.name, site.display_name, site.district, point.latitude, point.longitude, controller)


def _camera(
    device: site_pb2.Device,
    stays: Sequence[site_pb2.Deployment],
    scenes: _Scenes,
    admission: Admission | None,
    view: _View,
) -> Camera:
    basis = device.legal_basis
    optics = scenes.optics.get(device.name, ())
    return Camera(
        name=device.name,
        site=_standing_at(device, stays, view.now),
        mobility=enum_word(site_pb2.Device.Mobility, device.mobility),
        view=enum_word(site_pb2.Device.View, device.view),
        purpose=enum_word(site_pb2.LegalBasis.Purpose, basis.purpose),
        # Not said is taken as GDPR, as everywhere.
        regime=enum_word(site_pb2.LegalBasis.Regime, basis.regime or site_pb2.LegalBasis.REGIME_GDPR),
        act=basis.act,
        controller=view.controller(basis.controller),
        impact_assessment=basis.dpia_reference,
        impact_assessment_date=view.day(basis.dpia_time) if basis.HasField("dpia_time") else None,
        sign=basis.sign_reference,
        registered=view.day(device.create_time),
        optics=len(optics),
        sectors=tuple(sector for optic in optics if (sector := _sector(optic)) is not None),
        retention_days=max((_retention_days(optic.policy) for optic in optics), default=0),
        rules=_rules(scenes.rules.get(device.name, ()), scenes.zone_kinds),
        placements=tuple(_placement(stay, view) for stay in _in_order(stays) if _time(stay.end_time) > view.now - PAST),
        # Nobody has looked at it yet: then it does not stream either.
        refusals=_refusals(admission.reasons) if admission is not None else (TECHNICAL,),
    )


def _standing_at(device: site_pb2.Device, stays: Iterable[site_pb2.Deployment], now: datetime) -> str:
    if device.mobility != site_pb2.Device.MOBILITY_MOBILE:
        return device.site
    return next((stay.site for stay in stays if _time(stay.start_time) <= now < _time(stay.end_time)), "")


def _sector(optic: site_pb2.Optic) -> Sector | None:
    # A view of no width was never measured, and north is what an unset heading looks like.
    if optic.field_of_view_degrees <= 0:
        return None
    width = round(optic.field_of_view_degrees / _WIDTH_STEP_DEGREES) * _WIDTH_STEP_DEGREES
    step = 360 / len(_DIRECTIONS)
    return Sector(_DIRECTIONS[round(optic.heading_degrees / step) % len(_DIRECTIONS)], max(_WIDTH_STEP_DEGREES, width))


def _retention_days(policy: scene_pb2.Policy) -> float:
    if policy.recording == scene_pb2.Policy.RECORDING_OFF:
        return 0
    seconds = policy.retention.ToTimedelta().total_seconds()
    return round(seconds / 86400, 2) if seconds else LONGEST_RETENTION_DAYS


def _rules(rules: Iterable[scene_pb2.Rule], zone_kinds: Mapping[str, str]) -> tuple[Rule, ...]:
    watching: dict[tuple[str, str, str, tuple[str, ...]], set[str]] = {}
    for rule in rules:
        if rule.mode == scene_pb2.Rule.MODE_OFF:
            continue
        kind = rule.WhichOneof("parameters") or ""
        mode = enum_word(scene_pb2.Rule.Mode, rule.mode or scene_pb2.Rule.MODE_SHADOW)
        zone = getattr(getattr(rule, kind), "zone", "") if kind else ""
        classes = tuple(enum_word(object_class_pb2.ObjectClass, number) for number in sorted(rule.classes))
        watching.setdefault((kind, mode, zone_kinds.get(zone, ""), classes), set()).add(ancestor(rule.name, 2))
    return tuple(Rule(*key, optics=len(optics)) for key, optics in sorted(watching.items()))


def _placement(stay: site_pb2.Deployment, view: _View) -> Placement:
    start, end = _time(stay.start_time), _time(stay.end_time)
    return Placement(
        state="planned" if view.now < start else "present" if view.now < end else "past",
        site=stay.site,
        decision=stay.decision,
        decision_date=view.day(stay.decision_time),
        reason=stay.reason,
        start=start,
        end=end,
    )


def _refusals(reasons: Iterable[str]) -> tuple[str, ...]:
    known = {reason.value: word for reason, word in PUBLIC_REASONS.items()}
    # In order and each once: several technical reasons are one.
    return tuple(dict.fromkeys(known.get(reason, TECHNICAL) for reason in reasons))


def _decision(request: placement_service_pb2.PlacementRequest, view: _View) -> Decision:
    kinds = placement_service_pb2.PlacementRequest
    return Decision(
        site=request.site,
        state=enum_word(kinds.State, request.state),
        measures=tuple(enum_word(kinds.Measure, measure) for measure in request.measures),
        decision=request.decision,
        decision_date=view.day(request.decision_time) if request.HasField("decision_time") else None,
    )


def _fresh_until(deployments: Iterable[site_pb2.Deployment], now: datetime) -> datetime | None:
    return min((instant for stay in deployments if (instant := _next_change(stay, now)) > now), default=None)


def _next_change(stay: site_pb2.Deployment, now: datetime) -> datetime:
    start, end = _time(stay.start_time), _time(stay.end_time)
    if now < start:
        return start
    return end if now < end else end + PAST


def _in_order(stays: Iterable[site_pb2.Deployment]) -> list[site_pb2.Deployment]:
    return sorted(stays, key=lambda stay: _time(stay.start_time))


def _by_parent(records: Iterable[N], depth: int) -> dict[str, list[N]]:
    found: dict[str, list[N]] = {}
    for record in records:
        found.setdefault(ancestor(record.name, depth), []).append(record)
    return found


def _time(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(UTC)
