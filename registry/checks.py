"""Checks of whole records, but of rules: each unpacks a message and lets the domain judge all its fields at once."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from argo.registry.v1 import scene_pb2, site_pb2
from mesh.errors import FailedPrecondition, FieldViolation
from registry.domain import fields
from registry.domain.fields import Violations
from registry.domain.geometry import (
    MINIMUM_CALIBRATION_POINTS,
    crop_problem,
    inside_picture,
    polygon_problems,
    polyline_problems,
)
from registry.domain.names import NamePattern
from registry.domain.network import CameraNetworks, DeviceAddress, address_problem
from registry.message_checks import MAXIMUM_PARTS, check_enum, check_texts, known_values, points_of

_SITE = NamePattern(("sites",))
_MAXIMUM_FRAME_RATE = 60
_MAXIMUM_WIDTH = 7680
_MAXIMUM_VIEWERS = 1000
_DEFAULT_FRAME_RATE = 5.0
_DEFAULT_HEARTBEAT_RATE = 0.5
_HIGHEST_MOUNT_METRES = 500

VIEWERS = frozenset({"operator", "supervisor", "administrator", "investigator", "authority"})
"""Kinds of identity that a policy may let watch: auditors look at what was done, and traffic gets numbers only."""


def check_controller(controller: site_pb2.Controller, _networks: CameraNetworks) -> list[FieldViolation]:
    """A controller: a name for people and what it is."""
    found = Violations("controller")
    found.add("display_name", fields.text_problem(controller.display_name, required=True))
    check_texts(found, controller, ("contact",))
    found.require("kind", given=controller.kind in known_values(site_pb2.Controller.Kind))
    return found.found


def check_site(site: site_pb2.Site, _networks: CameraNetworks) -> list[FieldViolation]:
    """A site: a name for people and a point on earth."""
    found = Violations("site")
    found.add("display_name", fields.text_problem(site.display_name, required=True))
    check_texts(found, site, ("address", "district", "lot", "owner"))
    found.require("location", given=site.HasField("location"))
    found.add("location.latitude", fields.range_problem(site.location.latitude, -90, 90))
    found.add("location.longitude", fields.range_problem(site.location.longitude, -180, 180))
    return found.found


def check_device(device: site_pb2.Device, networks: CameraNetworks) -> list[FieldViolation]:
    """A device. What admission asks for may still be missing: the record can be made before its papers are complete."""
    found = Violations("device")
    check_texts(found, device, ("display_name", "model", "serial_number", "firmware_version"))
    if device.site and not _SITE.matches(device.site):
        found.add("site", f"must be {_SITE}")
    if device.address:
        found.add("address", address_problem(device.address, networks))
    else:
        found.require("address", given=False)
    found.add("credentials", fields.credentials_problem(device.credentials))
    found.require("view", given=device.view in known_values(site_pb2.Device.View))
    found.require("mobility", given=device.mobility in known_values(site_pb2.Device.Mobility))
    check_enum(found, "transport", device.transport, known_values(site_pb2.Device.Transport))
    check_enum(found, "legal_basis.regime", device.legal_basis.regime, known_values(site_pb2.LegalBasis.Regime))
    check_texts(found, device.legal_basis, ("dpia_reference", "sign_reference", "act"), "legal_basis.")
    if device.legal_basis.purpose and device.legal_basis.purpose not in known_values(site_pb2.LegalBasis.Purpose):
        found.add("legal_basis.purpose", "must be one of the fixed list of purposes")
    return found.found


def normalise_device(device: site_pb2.Device) -> None:
    """One spelling per address; a mobile device stands where its deployment puts it, so its own site says nothing."""
    device.address = str(DeviceAddress.parse(device.address))
    if device.mobility == site_pb2.Device.MOBILITY_MOBILE:
        device.ClearField("site")


def check_deployment(deployment: site_pb2.Deployment, _networks: CameraNetworks) -> list[FieldViolation]:
    """A deployment: where, until when, why, and by which decision."""
    found = Violations("deployment")
    if deployment.site:
        found.add("site", None if _SITE.matches(deployment.site) else f"must be {_SITE}")
    else:
        found.require("site", given=False)
    found.add("decision", fields.text_problem(deployment.decision, required=True))
    found.add("reason", fields.text_problem(deployment.reason, required=True))
    times_given = True
    for field in ("decision_time", "start_time", "end_time"):
        found.require(field, given=deployment.HasField(field))
        times_given = times_given and deployment.HasField(field)
    if times_given and not _seconds(deployment.start_time) < _seconds(deployment.end_time):
        found.add("end_time", "must be after start_time")
    return found.found


def check_deployment_change(before: site_pb2.Deployment, after: site_pb2.Deployment) -> None:
    """A longer stay, or another place, needs a new decision.

    Raises:
        FailedPrecondition: the decision is still the old one.
    """
    longer = _seconds(after.end_time) > _seconds(before.end_time) or _seconds(after.start_time) < _seconds(
        before.start_time
    )
    if (longer or after.site != before.site) and after.decision == before.decision:
        raise FailedPrecondition(
            f"{after.name} cannot be extended or moved under its present decision",
            reason="NEW_DECISION_NEEDED",
            metadata={"deployment": after.name},
        )


def check_optic(optic: site_pb2.Optic, _networks: CameraNetworks) -> list[FieldViolation]:
    """An optic: how its pictures come, where it looks, what nobody may see.

    Crops of optics that share a stream may overlap: the views that a device works out of one wide lens do.
    """
    found = Violations("optic")
    check_texts(found, optic, ("display_name",))
    if optic.ingest not in {0, *known_values(site_pb2.Optic.Ingest)}:
        found.add("ingest", "must be a known way of ingest")
    if optic.ingest != site_pb2.Optic.INGEST_WHIP:
        found.require("main_stream_path", given=bool(optic.main_stream_path))
    found.add("main_stream_path", fields.stream_path_problem(optic.main_stream_path))
    found.add("sub_stream_path", fields.stream_path_problem(optic.sub_stream_path))
    found.add("mount_height_metres", fields.range_problem(optic.mount_height_metres, 0, _HIGHEST_MOUNT_METRES))
    found.add("heading_degrees", fields.range_problem(optic.heading_degrees, 0, 360, high_included=False))
    found.add("field_of_view_degrees", fields.range_problem(optic.field_of_view_degrees, 0, 360))
    _check_policy(found, optic.policy)
    if optic.policy.stream == scene_pb2.Policy.STREAM_SUB and not optic.sub_stream_path:
        found.add("policy.stream", "must not be the sub stream where there is none: set sub_stream_path")
    if optic.HasField("crop"):
        crop = optic.crop
        found.add("crop", crop_problem(crop.left, crop.top, crop.width, crop.height))
    _check_privacy_masks(found, optic.privacy_masks)
    _check_calibration(found, optic.calibration_points)
    return found.found


def normalise_optic(optic: site_pb2.Optic) -> None:
    """The contract takes an unset ingest as RTSP; it is stored as what it means."""
    optic.ingest = optic.ingest or site_pb2.Optic.INGEST_RTSP


def check_zone(zone: scene_pb2.Zone, _networks: CameraNetworks) -> list[FieldViolation]:
    """A zone."""
    found = Violations("zone")
    check_texts(found, zone, ("display_name",))
    found.add_all("polygon", polygon_problems(points_of(zone.polygon)))
    if zone.kind not in {0, *known_values(scene_pb2.Zone.Kind)}:
        found.add("kind", "must be a known kind of zone")
    return found.found


def check_line(line: scene_pb2.Line, _networks: CameraNetworks) -> list[FieldViolation]:
    """A line."""
    found = Violations("line")
    check_texts(found, line, ("display_name",))
    found.add_all("polyline", polyline_problems(points_of(line.polyline)))
    return found.found


def check_lane(lane: scene_pb2.Lane, _networks: CameraNetworks) -> list[FieldViolation]:
    """A lane: its outline, and its course in the direction of travel."""
    found = Violations("lane")
    check_texts(found, lane, ("display_name",))
    found.add_all("polygon", polygon_problems(points_of(lane.polygon)))
    found.add_all("course", polyline_problems(points_of(lane.course)))
    return found.found


def _check_policy(found: Violations, policy: scene_pb2.Policy) -> None:
    found.add("policy.analysed_frame_rate", fields.range_problem(policy.analysed_frame_rate, 0, _MAXIMUM_FRAME_RATE))
    analysed = policy.analysed_frame_rate or _DEFAULT_FRAME_RATE
    found.add(
        "policy.heartbeat_frame_rate",
        fields.range_problem(policy.heartbeat_frame_rate or min(_DEFAULT_HEARTBEAT_RATE, analysed), 0, analysed),
    )
    found.add("policy.analysis_width", fields.range_problem(policy.analysis_width, 0, _MAXIMUM_WIDTH))
    found.add("policy.maximum_viewers", fields.range_problem(policy.maximum_viewers, 0, _MAXIMUM_VIEWERS))
    check_enum(found, "policy.recording", policy.recording, known_values(scene_pb2.Policy.Recording))
    check_enum(found, "policy.masking_style", policy.masking_style, known_values(scene_pb2.Policy.MaskingStyle))
    check_enum(found, "policy.stream", policy.stream, known_values(scene_pb2.Policy.Stream))
    check_enum(found, "policy.priority", policy.priority, known_values(scene_pb2.Priority))
    if not VIEWERS.issuperset(policy.viewers) or len(set(policy.viewers)) != len(policy.viewers):
        found.add("policy.viewers", f"must be different kinds of {', '.join(sorted(VIEWERS))}")
    if policy.HasField("retention"):
        found.add("policy.retention", fields.retention_problem(policy.retention.ToTimedelta()))


def _check_privacy_masks(found: Violations, masks: Iterable[scene_pb2.PrivacyMask]) -> None:
    for index, mask in enumerate(masks):
        if index == MAXIMUM_PARTS:
            found.add("privacy_masks", f"must be at most {MAXIMUM_PARTS}")
            return
        found.add_all(f"privacy_masks[{index}].polygon", polygon_problems(points_of(mask.polygon)))
        found.add(f"privacy_masks[{index}].reason", fields.text_problem(mask.reason))


def _check_calibration(found: Violations, points: Iterable[scene_pb2.CalibrationPoint]) -> None:
    pairs = list(points)
    if pairs and not MINIMUM_CALIBRATION_POINTS <= len(pairs) <= MAXIMUM_PARTS:
        found.add("calibration_points", f"must be none, or {MINIMUM_CALIBRATION_POINTS} to {MAXIMUM_PARTS}")
    for index, pair in enumerate(pairs[:MAXIMUM_PARTS]):
        if not inside_picture((pair.image.x, pair.image.y)):
            found.add(f"calibration_points[{index}].image", "must lie inside the picture (0..1)")


def _seconds(timestamp: Timestamp) -> tuple[int, int]:
    return timestamp.seconds, timestamp.nanos
