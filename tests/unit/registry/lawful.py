"""Records that are lawful and complete; each function takes changes by field, None clears one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from argo.registry.v1 import scene_pb2, site_pb2
from argo.type.v1 import geometry_pb2
from registry.domain import rule_kinds as kinds

M = TypeVar("M", bound=Message)


def controller(**changes: Any) -> site_pb2.Controller:
    record = site_pb2.Controller(
        display_name="Amiat", kind=site_pb2.Controller.KIND_PRIVATE_OWNER, contact="dpo@amiat.example"
    )
    return _changed(record, changes)


def site(**changes: Any) -> site_pb2.Site:
    record = site_pb2.Site(display_name="Giardini Alimonda", district="7", lot="3bis")
    record.location.latitude, record.location.longitude = 45.0775, 7.7009
    return _changed(record, changes)


def device(**changes: Any) -> site_pb2.Device:
    record = site_pb2.Device(
        display_name="Palo 12",
        site="sites/alimonda",
        address="10.0.0.12",
        credentials="cameras/alimonda",
        view=site_pb2.Device.VIEW_HYBRID,
        mobility=site_pb2.Device.MOBILITY_FIXED,
        legal_basis=site_pb2.LegalBasis(
            purpose=site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY,
            dpia_reference="DPIA 2026/4",
            sign_reference="C-118",
            controller="controllers/city",
        ),
    )
    return _changed(record, changes)


def mobile_device(**changes: Any) -> site_pb2.Device:
    return device(**{"mobility": site_pb2.Device.MOBILITY_MOBILE, "site": "", **changes})


def deployment(start: datetime, end: datetime, **changes: Any) -> site_pb2.Deployment:
    record = site_pb2.Deployment(site="sites/alimonda", decision="COSP 88/2026", reason="risse serali")
    record.decision_time.FromDatetime(start - timedelta(days=3))
    record.start_time.FromDatetime(start)
    record.end_time.FromDatetime(end)
    return _changed(record, changes)


def optic(**changes: Any) -> site_pb2.Optic:
    record = site_pb2.Optic(display_name="verso nord", main_stream_path="/Streaming/Channels/101", heading_degrees=12.5)
    record.policy.retention.FromTimedelta(timedelta(days=3))
    return _changed(record, changes)


def polygon(*points: tuple[float, float]) -> geometry_pb2.Polygon:
    return geometry_pb2.Polygon(points=[geometry_pb2.Point(x=x, y=y) for x, y in points])


def polyline(*points: tuple[float, float]) -> geometry_pb2.Polyline:
    return geometry_pb2.Polyline(points=[geometry_pb2.Point(x=x, y=y) for x, y in points])


def zone(**changes: Any) -> scene_pb2.Zone:
    record = scene_pb2.Zone(
        display_name="area giochi",
        polygon=polygon((0.1, 0.1), (0.9, 0.1), (0.5, 0.75)),
        kind=scene_pb2.Zone.KIND_RESTRICTED,
    )
    return _changed(record, changes)


def line(**changes: Any) -> scene_pb2.Line:
    return _changed(scene_pb2.Line(display_name="varco", polyline=polyline((0.25, 0.5), (0.75, 0.5))), changes)


def lane(**changes: Any) -> scene_pb2.Lane:
    record = scene_pb2.Lane(
        display_name="corsia est",
        polygon=polygon((0.1, 0.1), (0.3, 0.1), (0.3, 0.9), (0.1, 0.9)),
        course=polyline((0.2, 0.1), (0.2, 0.9)),
    )
    return _changed(record, changes)


def rule(parent: str = "devices/palo-12/optics/nord", **changes: Any) -> scene_pb2.Rule:
    record = scene_pb2.Rule(
        display_name="attraversamento",
        mode=scene_pb2.Rule.MODE_SHADOW,
        priority=scene_pb2.PRIORITY_MEDIUM,
        line_crossing=scene_pb2.LineCrossing(
            line=f"{parent}/lines/varco", direction=scene_pb2.LineCrossing.DIRECTION_ANY
        ),
    )
    return _changed(record, changes)


RULE_KINDS: tuple[str, ...] = tuple(
    field.name for field in scene_pb2.Rule.DESCRIPTOR.oneofs_by_name["parameters"].fields
)
"""The kinds of rule in the contract."""

PLACES = {"line": "varco", "zone": "giochi", "lane": "corsia"}
"""What rules watch, and the id that it has in the tests."""


def parameters(kind: str, parent: str = "devices/palo-12/optics/nord") -> Any:
    """The parameters of a kind of rule with every field set to something lawful that is not its default."""
    message: Any = getattr(scene_pb2.Rule(), kind)
    for field_of in message.DESCRIPTOR.fields:
        if field_of.name in PLACES:
            setattr(message, field_of.name, f"{parent}/{field_of.name}s/{PLACES[field_of.name]}")
        elif field_of.enum_type is not None:
            setattr(message, field_of.name, field_of.enum_type.values[-1].number)
        else:
            _set_number(message, field_of, kinds.RULE_KINDS[kind].bounds[field_of.name])
    return message


def _set_number(message: Any, field_of: FieldDescriptor, bounds: kinds.Bounds) -> None:
    middle = bounds.low + (bounds.high - bounds.low) / 4
    if field_of.message_type is not None:
        getattr(message, field_of.name).FromTimedelta(timedelta(seconds=middle))
    elif field_of.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        setattr(message, field_of.name, middle)
    else:
        setattr(message, field_of.name, round(middle))


def rule_of(kind: str, parent: str = "devices/palo-12/optics/nord", **changes: Any) -> scene_pb2.Rule:
    """A lawful rule of a kind."""
    return rule(parent, **{"line_crossing": None, kind: parameters(kind, parent), **changes})


def _changed(record: M, changes: dict[str, Any]) -> M:
    for name, value in changes.items():
        field_of = record.DESCRIPTOR.fields_by_name[name]
        record.ClearField(name)
        if value is None:
            continue
        if field_of.is_repeated:
            getattr(record, name).extend(value)
        elif field_of.message_type is not None:
            getattr(record, name).CopyFrom(value)
        else:
            setattr(record, name, value)
    return record
