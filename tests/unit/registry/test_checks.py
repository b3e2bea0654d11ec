from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.type.latlng_pb2 import LatLng

from argo.registry.v1 import scene_pb2, site_pb2
from argo.type.v1 import geometry_pb2
from mesh.errors import FailedPrecondition
from registry.checks import check_deployment_change
from registry.domain.network import CameraNetworks
from registry.resources import RESOURCES
from tests.unit.registry import lawful
from tests.unit.registry.lawful import polygon, polyline

NETWORKS = CameraNetworks((ipaddress.ip_network("10.0.0.0/8"),))
NOW = datetime(2026, 11, 22, tzinfo=UTC)
OPTIC = "devices/palo-12/optics/nord"
BOW_TIE = polygon((0, 0), (1, 1), (1, 0), (0, 1))


def deployment(**changes: Any) -> site_pb2.Deployment:
    return lawful.deployment(NOW, NOW + timedelta(days=7), **changes)


def rule(**changes: Any) -> scene_pb2.Rule:
    return lawful.rule(OPTIC, **{"name": f"{OPTIC}/rules/r", **changes})


def violations(record: Any) -> list[str]:
    kind = type(record).DESCRIPTOR.name.lower()
    return [violation.field for violation in RESOURCES[kind].check(record, NETWORKS)]


def pairs(count: int, x: float = 0.5) -> list[scene_pb2.CalibrationPoint]:
    return [
        scene_pb2.CalibrationPoint(
            image=geometry_pb2.Point(x=x, y=index / 100), ground=geometry_pb2.GroundPoint(east_metres=index)
        )
        for index in range(count)
    ]


LAWFUL: list[Callable[..., Any]] = [
    lawful.controller, lawful.site, lawful.device, lawful.mobile_device, deployment, lawful.optic, lawful.zone,
    lawful.line, lawful.lane, rule,
]  # fmt: skip


@pytest.mark.parametrize("make", LAWFUL)
def test_a_lawful_record_has_no_violation(make: Callable[..., Any]) -> None:
    assert violations(make()) == []


WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (lawful.controller, {"display_name": ""}, "controller.display_name"),
    (lawful.controller, {"kind": None}, "controller.kind"),
    (lawful.lane, {"polygon": BOW_TIE}, "lane.polygon"),
    (lawful.lane, {"course": polyline((0.5, 0.5))}, "lane.course"),
    (lawful.site, {"display_name": ""}, "site.display_name"),
    (lawful.site, {"display_name": "  "}, "site.display_name"),
    (lawful.site, {"display_name": "x" * 501}, "site.display_name"),
    (lawful.site, {"address": "via\nRoma"}, "site.address"),
    (lawful.site, {"location": None}, "site.location"),
    (lawful.site, {"location": LatLng(latitude=90.1)}, "site.location.latitude"),
    (lawful.site, {"location": LatLng(longitude=-180.1)}, "site.location.longitude"),
    (lawful.site, {"location": LatLng(latitude=float("nan"))}, "site.location.latitude"),
    (lawful.device, {"site": "alimonda"}, "device.site"),
    (lawful.device, {"address": ""}, "device.address"),
    (lawful.device, {"address": "8.8.8.8"}, "device.address"),
    (lawful.device, {"address": "camera.example"}, "device.address"),
    (lawful.device, {"address": "user:pass@10.0.0.1"}, "device.address"),
    (lawful.device, {"credentials": "user:pass"}, "device.credentials"),
    (lawful.device, {"credentials": "user@host"}, "device.credentials"),
    (lawful.device, {"view": 0}, "device.view"),
    (lawful.device, {"view": 77}, "device.view"),
    (lawful.device, {"mobility": 0}, "device.mobility"),
    (lawful.device, {"model": "x" * 501}, "device.model"),
    (lawful.device, {"legal_basis": site_pb2.LegalBasis(purpose=77)}, "device.legal_basis.purpose"),  # type: ignore[arg-type]
    (lawful.device, {"legal_basis": site_pb2.LegalBasis(act="\t")}, "device.legal_basis.act"),
    (deployment, {"site": ""}, "deployment.site"),
    (deployment, {"site": "devices/x"}, "deployment.site"),
    (deployment, {"decision": ""}, "deployment.decision"),
    (deployment, {"reason": " "}, "deployment.reason"),
    (deployment, {"decision_time": None}, "deployment.decision_time"),
    (deployment, {"start_time": None}, "deployment.start_time"),
    (deployment, {"end_time": None}, "deployment.end_time"),
    (lawful.optic, {"main_stream_path": ""}, "optic.main_stream_path"),
    (lawful.optic, {"main_stream_path": "Streaming"}, "optic.main_stream_path"),
    (lawful.optic, {"main_stream_path": "//evil/1"}, "optic.main_stream_path"),
    (lawful.optic, {"main_stream_path": "/x?u=rtsp://8.8.8.8"}, "optic.main_stream_path"),
    (lawful.optic, {"main_stream_path": "/x y"}, "optic.main_stream_path"),
    (lawful.optic, {"sub_stream_path": "/live?user=admin&password=x"}, "optic.sub_stream_path"),
    (lawful.optic, {"ingest": 9}, "optic.ingest"),
    (lawful.optic, {"mount_height_metres": -1.0}, "optic.mount_height_metres"),
    (lawful.optic, {"heading_degrees": 360.0}, "optic.heading_degrees"),
    (lawful.optic, {"field_of_view_degrees": 361.0}, "optic.field_of_view_degrees"),
    (lawful.optic, {"policy": scene_pb2.Policy(analysed_frame_rate=61)}, "optic.policy.analysed_frame_rate"),
    (lawful.optic, {"policy": scene_pb2.Policy(analysis_width=7681)}, "optic.policy.analysis_width"),
    (lawful.optic, {"policy": scene_pb2.Policy(maximum_viewers=1001)}, "optic.policy.maximum_viewers"),
    (lawful.optic, {"policy": scene_pb2.Policy(recording=9)}, "optic.policy.recording"),  # type: ignore[arg-type]
    (lawful.optic, {"policy": scene_pb2.Policy(masking_style=9)}, "optic.policy.masking_style"),  # type: ignore[arg-type]
    (lawful.optic, {"policy": scene_pb2.Policy(priority=9)}, "optic.policy.priority"),  # type: ignore[arg-type]
    (lawful.optic, {"policy": scene_pb2.Policy(stream=9)}, "optic.policy.stream"),  # type: ignore[arg-type]
    (lawful.optic, {"policy": scene_pb2.Policy(stream=scene_pb2.Policy.STREAM_SUB)}, "optic.policy.stream"),
    (lawful.optic, {"policy": scene_pb2.Policy(heartbeat_frame_rate=5.5)}, "optic.policy.heartbeat_frame_rate"),
    (
        lawful.optic,
        {"policy": scene_pb2.Policy(analysed_frame_rate=2, heartbeat_frame_rate=3)},
        "optic.policy.heartbeat_frame_rate",
    ),
    (lawful.optic, {"policy": scene_pb2.Policy(heartbeat_frame_rate=-1)}, "optic.policy.heartbeat_frame_rate"),
    (lawful.optic, {"policy": scene_pb2.Policy(viewers=["everybody"])}, "optic.policy.viewers"),
    (lawful.optic, {"policy": scene_pb2.Policy(viewers=["operator", "operator"])}, "optic.policy.viewers"),
    (lawful.optic, {"crop": geometry_pb2.Box(width=1, height=0)}, "optic.crop"),
    (lawful.optic, {"crop": geometry_pb2.Box(left=0.5, width=0.6, height=0.5)}, "optic.crop"),
    (lawful.optic, {"crop": geometry_pb2.Box(top=-0.1, width=0.5, height=0.5)}, "optic.crop"),
    (lawful.optic, {"crop": geometry_pb2.Box(left=math.nan, width=0.5, height=0.5)}, "optic.crop"),
    (lawful.optic, {"ingest": site_pb2.Optic.INGEST_MJPEG, "main_stream_path": ""}, "optic.main_stream_path"),
    (lawful.device, {"transport": 9}, "device.transport"),
    (
        lawful.optic,
        {"policy": scene_pb2.Policy(retention=Duration(seconds=7 * 86400 + 1))},
        "optic.policy.retention",
    ),
    (lawful.optic, {"policy": scene_pb2.Policy(retention=Duration(seconds=-1))}, "optic.policy.retention"),
    (lawful.optic, {"calibration_points": pairs(3)}, "optic.calibration_points"),
    (lawful.optic, {"calibration_points": pairs(4, x=1.5)}, "optic.calibration_points[0].image"),
    (lawful.optic, {"privacy_masks": [scene_pb2.PrivacyMask(polygon=BOW_TIE)]}, "optic.privacy_masks[0].polygon"),
    (
        lawful.optic,
        {"privacy_masks": [scene_pb2.PrivacyMask(polygon=lawful.zone().polygon)] * 65},
        "optic.privacy_masks",
    ),
    (lawful.zone, {"polygon": None}, "zone.polygon"),
    (lawful.zone, {"polygon": polygon((0, 0), (1, 1))}, "zone.polygon"),
    (lawful.zone, {"polygon": BOW_TIE}, "zone.polygon"),
    (lawful.zone, {"polygon": polygon((0, 0), (1, 0), (1, 1.1))}, "zone.polygon"),
    (lawful.zone, {"kind": 9}, "zone.kind"),
    (lawful.line, {"polyline": None}, "line.polyline"),
    (lawful.line, {"polyline": polyline((0.5, 0.5))}, "line.polyline"),
    (rule, {"line_crossing": None}, "rule.parameters"),
    (rule, {"line_crossing": scene_pb2.LineCrossing()}, "rule.line_crossing.line"),
    (rule, {"line_crossing": scene_pb2.LineCrossing(line=f"{OPTIC}/zones/z")}, "rule.line_crossing.line"),
    (
        rule,
        {"line_crossing": scene_pb2.LineCrossing(line="devices/palo-12/optics/sud/lines/v")},
        "rule.line_crossing.line",
    ),
    (
        rule,
        {"line_crossing": scene_pb2.LineCrossing(line=f"{OPTIC}/lines/v", direction=9)},  # type: ignore[arg-type]
        "rule.line_crossing.direction",
    ),
    (rule, {"zone_intrusion": scene_pb2.ZoneIntrusion()}, "rule.zone_intrusion.zone"),
    (
        rule,
        {"zone_intrusion": scene_pb2.ZoneIntrusion(zone="devices/other/optics/nord/zones/z")},
        "rule.zone_intrusion.zone",
    ),
    (
        rule,
        {"zone_intrusion": scene_pb2.ZoneIntrusion(zone=f"{OPTIC}/zones/z", minimum_dwell=Duration(seconds=-1))},
        "rule.zone_intrusion.minimum_dwell",
    ),
    (rule, {"mode": 9}, "rule.mode"),
    (rule, {"priority": 9}, "rule.priority"),
    (rule, {"classes": [0]}, "rule.classes"),
    (rule, {"classes": [1, 1]}, "rule.classes"),
    (rule, {"schedules": [scene_pb2.Schedule(days_of_week=[8], end_minute=60)]}, "rule.schedules[0]"),
    (rule, {"schedules": [scene_pb2.Schedule(start_minute=1440, end_minute=60)]}, "rule.schedules[0]"),
    (rule, {"schedules": [scene_pb2.Schedule(start_minute=60, end_minute=60)]}, "rule.schedules[0]"),
]


@pytest.mark.parametrize(
    ("make", "change", "field"), WRONG, ids=[f"{field}-{n}" for n, (_, _, field) in enumerate(WRONG)]
)
def test_each_violation_is_named(make: Callable[..., Any], change: dict[str, Any], field: str) -> None:
    assert field in violations(make(**change))


def test_every_kind_of_record_is_checked() -> None:
    assert {field.split(".")[0] for _, _, field in WRONG} == set(RESOURCES)


def test_all_violations_come_at_once() -> None:
    record = site_pb2.Device(site="x", address="8.8.8.8", credentials="a:b")

    assert violations(record) == [
        "device.site",
        "device.address",
        "device.credentials",
        "device.view",
        "device.mobility",
    ]


def test_no_violation_repeats_a_secret() -> None:
    record = lawful.device(address="u:hunter2@10.0.0.1", credentials="u:hunter2")
    path = lawful.optic(main_stream_path="/x?password=hunter2")

    texts = [
        v.description for r in (record, path) for v in RESOURCES[type(r).DESCRIPTOR.name.lower()].check(r, NETWORKS)
    ]

    assert len(texts) == 3
    assert not any("hunter2" in text for text in texts)


def test_an_end_before_its_start_is_refused() -> None:
    assert violations(lawful.deployment(NOW, NOW)) == ["deployment.end_time"]
    assert violations(lawful.deployment(NOW, NOW - timedelta(days=1))) == ["deployment.end_time"]


def test_whip_needs_no_path_and_a_stay_on_seven_days_is_lawful() -> None:
    policy = scene_pb2.Policy(retention=Duration(seconds=7 * 86400))

    assert violations(lawful.optic(ingest=site_pb2.Optic.INGEST_WHIP, main_stream_path="", policy=policy)) == []


def test_the_quarters_of_a_mosaic_are_lawful() -> None:
    for left, top in ((0, 0), (0.5, 0), (0, 0.5), (2 / 3, 1 / 3)):
        crop = geometry_pb2.Box(left=left, top=top, width=1 / 3, height=0.5)
        assert violations(lawful.optic(crop=crop)) == []


def test_a_full_policy_is_lawful() -> None:
    policy = scene_pb2.Policy(
        analysed_frame_rate=0.25,
        masking_style=scene_pb2.Policy.MASKING_STYLE_BOX,
        viewers=["operator", "authority"],
        stream=scene_pb2.Policy.STREAM_SUB,
        priority=scene_pb2.PRIORITY_HIGH,
        heartbeat_frame_rate=0.25,
    )

    assert violations(lawful.optic(policy=policy, sub_stream_path="/sub")) == []
    assert violations(lawful.optic(policy=scene_pb2.Policy(analysed_frame_rate=0.25))) == []


@pytest.mark.parametrize(
    ("start", "end", "change", "refused"),
    [
        (0, 8, {}, True),
        (-1, 7, {}, True),
        (0, 7, {"site": "sites/montale"}, True),
        (0, 8, {"decision": "COSP 91/2026"}, False),
        (0, 6, {}, False),
        (1, 7, {"reason": "nuova"}, False),
    ],
)
def test_a_longer_stay_needs_a_new_decision(start: int, end: int, change: dict[str, Any], refused: bool) -> None:  # noqa: FBT001
    after = lawful.deployment(NOW + timedelta(days=start), NOW + timedelta(days=end), **change)
    after.decision_time.CopyFrom(deployment().decision_time)

    if refused:
        with pytest.raises(FailedPrecondition) as error:
            check_deployment_change(deployment(), after)
        assert error.value.reason == "NEW_DECISION_NEEDED"
    else:
        check_deployment_change(deployment(), after)


@pytest.mark.parametrize(
    ("given", "stored"), [("10.0.0.1:554", "10.0.0.1"), ("[::ffff:10.0.0.1]:8554", "10.0.0.1:8554")]
)
def test_addresses_are_stored_in_one_spelling(given: str, stored: str) -> None:
    record = lawful.device(address=given)
    RESOURCES["device"].normalise(record)

    assert record.address == stored


def test_a_mobile_device_keeps_no_site_of_its_own() -> None:
    record = lawful.mobile_device(site="sites/alimonda")
    RESOURCES["device"].normalise(record)

    assert record.site == ""
