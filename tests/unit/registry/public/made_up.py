"""Records of a made-up city, as the public register is built of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from google.protobuf.message import Message

from argo.registry.v1 import placement_service_pb2, scene_pb2, site_pb2
from argo.type.v1 import object_class_pb2
from registry.public.disclosure import public_part, public_parts
from registry.public.document import Register, build
from registry.public.records import Admission, Records
from tests.unit.registry import lawful

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")
DAY = timedelta(days=1)


def named(record: Message, name: str) -> Message:
    record.name = name  # type: ignore[attr-defined]
    if "create_time" in record.DESCRIPTOR.fields_by_name:
        record.create_time.FromDatetime(NOW - 100 * DAY)  # type: ignore[attr-defined]
    return record


def raw() -> dict[str, list[Message]]:
    """Whole records, with all that must not get out."""
    city = site_pb2.Controller(
        display_name="Città di Torino", kind=site_pb2.Controller.KIND_CITY, contact="dpo@city.example"
    )
    shop = site_pb2.Controller(
        display_name="Panetteria Bianchi", kind=site_pb2.Controller.KIND_PRIVATE_OWNER, contact="011 5550100"
    )
    square = lawful.site(display_name="Piazza Montale <b>", district="5", address="piazza Montale 4", owner="Anna Neri")
    square.location.latitude, square.location.longitude = 45.1031, 7.6562
    fixed = lawful.device(serial_number="SN-0042", firmware_version="5.7.11", model="Acme Quad")
    fixed.legal_basis.controller = "controllers/city"
    fixed.legal_basis.act = "DGC 510/2025"
    fixed.legal_basis.dpia_time.FromDatetime(datetime(2026, 3, 31, 22, 30, tzinfo=UTC))
    mobile = lawful.mobile_device(address="10.0.0.77", display_name="Unità 3")
    mobile.legal_basis.controller = "controllers/bianchi"
    stays = [
        named(lawful.deployment(NOW - 900 * DAY, NOW - 800 * DAY, decision="COSP 1/2024"), "devices/m/deployments/old"),
        named(lawful.deployment(NOW - 40 * DAY, NOW - 10 * DAY), "devices/m/deployments/past"),
        named(lawful.deployment(NOW - DAY, NOW + DAY, site="sites/montale"), "devices/m/deployments/now"),
        named(lawful.deployment(NOW + 5 * DAY, NOW + 9 * DAY), "devices/m/deployments/planned"),
    ]
    quad = lawful.optic(sub_stream_path="/Streaming/Channels/102", heading_degrees=350, field_of_view_degrees=88)
    blind = lawful.optic(main_stream_path="/secret/2")
    blind.policy.recording = scene_pb2.Policy.RECORDING_OFF
    name = "devices/f/optics/a"
    person = object_class_pb2.OBJECT_CLASS_PERSON
    intrusion = scene_pb2.Rule(mode=scene_pb2.Rule.MODE_LIVE, classes=[person], display_name="di notte")
    intrusion.zone_intrusion.zone = f"{name}/zones/z"
    intrusion.zone_intrusion.minimum_dwell.FromTimedelta(timedelta(seconds=4321))
    return {
        "controllers": [named(shop, "controllers/bianchi"), named(city, "controllers/city")],
        "sites": [named(lawful.site(), "sites/alimonda"), named(square, "sites/montale")],
        "devices": [named(fixed, "devices/f"), named(mobile, "devices/m")],
        "deployments": stays,
        "optics": [named(quad, name), named(blind, "devices/f/optics/b")],
        "zones": [named(lawful.zone(display_name="finestra dei vicini"), f"{name}/zones/z")],
        "rules": [
            named(lawful.rule(name, mode=scene_pb2.Rule.MODE_OFF), f"{name}/rules/off"),
            named(intrusion, f"{name}/rules/on"),
            named(lawful.rule(name, mode=scene_pb2.Rule.MODE_UNSPECIFIED), f"{name}/rules/unsaid"),
        ],
        "placement_requests": [_request("DEPLOYED"), _request("ASSESSED"), _request("REFUSED")],
    }


def _request(state: str) -> Message:
    request = placement_service_pb2.PlacementRequest(
        requester="Comitato di Carla Verdi", site="sites/montale", reason="spaccio", decision="COSP 90/2026"
    )
    request.state = placement_service_pb2.PlacementRequest.State.Value(f"STATE_{state}")
    request.measures.append(placement_service_pb2.PlacementRequest.MEASURE_LIGHTING)
    request.steps.add(actor="administrator/mrossi", reason="sopralluogo")
    return named(request, f"placementRequests/{state.lower()}")


def records() -> Records:
    admissions = {
        "devices/f": Admission("sites/alimonda", ()),
        "devices/m": Admission("sites/montale", ("ADDRESS_OUTSIDE_NETWORK", "SIGN_REFERENCE_MISSING")),
    }
    public = {collection: public_parts(found) for collection, found in raw().items()}
    return Records(sequence=17, admissions=admissions, **public)  # type: ignore[arg-type]


def register(now: datetime = NOW) -> Register:
    return build(records(), now, ROME)


__all__ = ["DAY", "NOW", "ROME", "named", "public_part", "raw", "records", "register"]
