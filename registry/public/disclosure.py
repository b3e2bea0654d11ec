"""Which field of a record is public: one decision per field, and nothing is public that is not listed here.

Records lose everything else before the register is built of them, so a document cannot hold what it must not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.type import latlng_pb2

from argo.registry.v1 import placement_service_pb2, scene_pb2, site_pb2

M = TypeVar("M", bound=Message)

ROOTS: tuple[type[Message], ...] = (
    site_pb2.Controller,
    site_pb2.Site,
    site_pb2.Device,
    site_pb2.Deployment,
    site_pb2.Optic,
    scene_pb2.Zone,
    scene_pb2.Rule,
    placement_service_pb2.PlacementRequest,
)
"""The kinds of record that the register is built of; lines, lanes, holds and proposals are no part of it."""


class Disclosure(Enum):
    """What becomes of a field."""

    PUBLISHED = "published"
    """Its value, or one derived from it, stands in the register."""
    JOINED = "joined"
    """It ties records to each other and is not published itself."""
    WITHHELD = "withheld"
    """It never leaves the record."""


class _Fields(NamedTuple):
    published: str = ""
    joined: str = ""
    withheld: str = ""


_RULE_KINDS: Sequence[Any] = scene_pb2.Rule.DESCRIPTOR.oneofs_by_name["parameters"].fields


def _parameters(message: Descriptor) -> _Fields:
    """Of any kind of rule: its zone tells what kind of area is watched; thresholds would tell how to evade it."""
    joined = [field.name for field in message.fields if field.name == "zone"]
    withheld = [field.name for field in message.fields if field.name != "zone"]
    return _Fields(joined=" ".join(joined), withheld=" ".join(withheld))


_TABLE: Mapping[type[Message], _Fields] = {
    site_pb2.Controller: _Fields(
        published="name display_name kind contact",
        withheld="create_time update_time etag",
    ),
    site_pb2.Site: _Fields(
        published="name display_name location district controller",
        # The owner of a place may be a person.
        withheld="address lot owner create_time update_time etag",
    ),
    latlng_pb2.LatLng: _Fields(published="latitude longitude"),
    site_pb2.Device: _Fields(
        published="name site view mobility legal_basis create_time",
        # Refusals name what is wrong inside the network; the register has words of its own for them.
        withheld="display_name model serial_number firmware_version address credentials refusals update_time etag "
        "transport",
    ),
    site_pb2.LegalBasis: _Fields(published="purpose dpia_reference dpia_time sign_reference controller act regime"),
    site_pb2.Deployment: _Fields(
        published="site decision decision_time reason start_time end_time",
        joined="name",
        withheld="create_time etag",
    ),
    site_pb2.Optic: _Fields(
        published="heading_degrees field_of_view_degrees policy",
        joined="name",
        withheld="display_name ingest main_stream_path sub_stream_path mount_height_metres privacy_masks "
        "calibration_points create_time update_time etag refusals crop scene",
    ),
    scene_pb2.Policy: _Fields(
        published="retention recording",
        withheld="analysed_frame_rate analysis_width maximum_viewers masking_style viewers stream priority "
        "heartbeat_frame_rate",
    ),
    scene_pb2.Zone: _Fields(
        published="kind",
        joined="name",
        withheld="display_name polygon version update_time etag",
    ),
    scene_pb2.Rule: _Fields(
        # Of the parameters only which kind they are.
        published=" ".join(["mode classes", *(kind.name for kind in _RULE_KINDS)]),
        joined="name",
        withheld="display_name priority schedules version update_time etag",
    ),
    **{message_factory.GetMessageClass(kind.message_type): _parameters(kind.message_type) for kind in _RULE_KINDS},
    placement_service_pb2.PlacementRequest: _Fields(
        published="site measures state decision decision_time",
        # Who asked, why, and who took the steps: words about persons and by persons.
        withheld="name requester reason steps deployment etag create_time controller",
    ),
}


def _decisions() -> Mapping[str, Mapping[str, Disclosure]]:
    return MappingProxyType(
        {
            message.DESCRIPTOR.full_name: MappingProxyType(
                {name: disclosure for disclosure in Disclosure for name in getattr(fields, disclosure.value).split()}
            )
            for message, fields in _TABLE.items()
        }
    )


DECISIONS: Mapping[str, Mapping[str, Disclosure]] = _decisions()
"""By full name of the message and name of the field."""


def public_part(record: M) -> M:
    """A copy of a record without what is withheld; a field that nobody has decided on is withheld."""
    part = type(record)()
    _copy(record, part)
    return part


def public_parts(records: Iterable[M]) -> list[M]:
    """``public_part`` of each."""
    return [public_part(record) for record in records]


def _copy(source: Any, target: Any) -> None:
    for field, value in source.ListFields():
        if not _leaves(source.DESCRIPTOR, field):
            continue
        if field.message_type is None or field.message_type.full_name.startswith("google.protobuf."):
            _set(target, field, value)
        elif field.is_repeated:
            for item in value:
                _copy(item, getattr(target, field.name).add())
        else:
            part = getattr(target, field.name)
            # An empty message says something too: which kind of rule this is.
            part.SetInParent()
            _copy(value, part)


def _leaves(message: Descriptor, field: FieldDescriptor) -> bool:
    decision = DECISIONS.get(message.full_name, {}).get(field.name, Disclosure.WITHHELD)
    return decision is not Disclosure.WITHHELD


def _set(target: Any, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(target, field.name).extend(value)
    elif field.message_type is not None:
        getattr(target, field.name).CopyFrom(value)
    else:
        setattr(target, field.name, value)
