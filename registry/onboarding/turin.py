"""A made-up but lawful fleet of the size of Turin's, for tests and scale.

The places exist, at about these coordinates; cameras, addresses, decisions and references are invented.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources

from argo.registry.v1 import fleet_service_pb2, scene_pb2, site_pb2

FULL_SIZE = 257
"""Devices: 150 with four optics and 107 older ones with one."""

_MULTI_OPTIC = 150
_SITES = 123
_MOBILE_SHARE = 0.2
_OPTICS = 4
_FIRST_MOBILE_PLACES = ("giardini-alimonda", "giardini-montanaro", "piazza-montale")
_PURPOSES: Mapping[site_pb2.LegalBasis.Purpose.ValueType, tuple[str, timedelta]] = {
    site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY: ("DPIA 2024/11", timedelta(days=7)),
    site_pb2.LegalBasis.PURPOSE_TRAFFIC: ("DPIA 2024/12", timedelta(days=1)),
    site_pb2.LegalBasis.PURPOSE_EVENTS: ("DPIA 2025/3", timedelta(days=3)),
    site_pb2.LegalBasis.PURPOSE_ENVIRONMENT: ("DPIA 2025/4", timedelta(days=3)),
}
"""By purpose: the reference of the impact assessment, and how long masked video is kept."""
_DPIA_TIME = datetime(2025, 1, 20, tzinfo=UTC)

Record = fleet_service_pb2.FleetRecord


@dataclass(frozen=True)
class _Place:
    site_id: str
    name: str
    address: str
    district: str
    latitude: float
    longitude: float
    purpose: site_pb2.LegalBasis.Purpose.ValueType
    mobile: bool


def turin_fleet(seed: int = 0, *, now: datetime, devices: int = FULL_SIZE) -> list[Record]:
    """A fleet in importable order: sites, devices, optics, deployments.

    At full size: 123 sites, 257 devices (51 of them mobile), 707 optics. All of it is admitted at ``now`` where the
    camera networks hold 10.0.0.0/8 and fd00:a::/32.

    Args:
        seed: the same seed and day give the same fleet.
        now: aware; deployments of mobile devices began before it and end after it.
        devices: how many, 1 to 257; sites, kinds and mobility keep their shares.

    Raises:
        ValueError: there are not so many devices, or less than one.
    """
    if not 1 <= devices <= FULL_SIZE:
        raise ValueError(f"a fleet has 1 to {FULL_SIZE} devices, not {devices}")
    dice = random.Random(seed)  # noqa: S311 - a made-up fleet holds no secret
    mobile = round(devices * _MOBILE_SHARE)
    standing, visited = _choose_places(dice, devices, mobile)
    multi_optic = round(devices * _MULTI_OPTIC / FULL_SIZE)
    fixed = [
        _fixed_device(dice, standing, number, multi_optic=number < multi_optic - mobile)
        for number in range(devices - mobile)
    ]
    moving = [_mobile_device(dice, visited[number % len(visited)], number) for number in range(mobile)]
    sites = [Record(site=_site(place, number)) for number, place in enumerate((*standing, *visited))]
    stays = [
        Record(deployment=stay)
        for number, device in enumerate(moving)
        for stay in _deployments(dice, device, visited, number, now)
    ]
    all_devices = fixed + moving
    optics = [Record(optic=optic) for device in all_devices for optic in _optics(dice, device)]
    return [*sites, *(Record(device=device) for device in all_devices), *optics, *stays]


def _places() -> list[_Place]:
    text = (resources.files("registry.onboarding") / "turin_places.csv").read_text(encoding="utf-8")
    return [
        _Place(
            row["id"], row["name"], row["address"], row["district"], float(row["latitude"]), float(row["longitude"]),
            site_pb2.LegalBasis.Purpose.Value(row["purpose"]), bool(row["mobile"]),
        )
        for row in csv.DictReader(text.splitlines())
    ]  # fmt: skip


def _choose_places(dice: random.Random, devices: int, mobile: int) -> tuple[list[_Place], list[_Place]]:
    """Places of fixed devices, each of which gets one, and places of mobile ones."""
    places = _places()
    dice.shuffle(places)
    visited = [place for place in places if place.mobile]
    visited.sort(key=lambda place: place.site_id not in _FIRST_MOBILE_PLACES)
    visited = visited[:mobile]
    wanted = round(devices * _SITES / FULL_SIZE) - len(visited)
    standing = [place for place in places if not place.mobile]
    return standing[: min(max(wanted, 1), devices - mobile)], visited


def _site(place: _Place, number: int) -> site_pb2.Site:
    site = site_pb2.Site(
        name=f"sites/{place.site_id}",
        display_name=place.name,
        address=place.address,
        district=place.district,
        lot="3bis" if number % 3 == 0 else "3",
        owner="Città di Torino",
        controller="controllers/city",
    )
    site.location.latitude, site.location.longitude = place.latitude, place.longitude
    return site


def _fixed_device(
    dice: random.Random, standing: Sequence[_Place], number: int, *, multi_optic: bool
) -> site_pb2.Device:
    place = standing[number % len(standing)]
    turn = number // len(standing) + 1
    device = _multi_optic_device(dice) if multi_optic else _single_optic_device(dice)
    device.name = f"devices/{place.site_id}-{turn}"
    device.display_name = f"{place.name} {turn}"
    device.site = f"sites/{place.site_id}"
    device.address = f"10.4{place.district}.{number % len(standing)}.{10 + turn}"
    if number % 12 == 0:
        device.address = f"fd00:a:{place.district}::{number + 1:x}"
    _justify(device, place.purpose, number)
    return device


def _mobile_device(dice: random.Random, place: _Place, number: int) -> site_pb2.Device:
    device = _multi_optic_device(dice)
    device.name = f"devices/mobile-{number + 1:02}"
    device.display_name = f"Mobile {number + 1}"
    device.address = f"10.50.0.{10 + number}"
    device.mobility = site_pb2.Device.MOBILITY_MOBILE
    _justify(device, place.purpose, 500 + number)
    return device


def _multi_optic_device(dice: random.Random) -> site_pb2.Device:
    return site_pb2.Device(
        model="Panoptes Q4",
        serial_number=f"Q4{dice.randrange(10**8):08}",
        firmware_version=dice.choice(("5.2.1", "5.2.4", "5.3.0")),
        credentials="cameras/lot-3",
        view=dice.choice((site_pb2.Device.VIEW_CONTEXT, site_pb2.Device.VIEW_HYBRID)),
        mobility=site_pb2.Device.MOBILITY_FIXED,
        transport=site_pb2.Device.TRANSPORT_TCP,
    )


def _single_optic_device(dice: random.Random) -> site_pb2.Device:
    return site_pb2.Device(
        model=dice.choice(("Belvedere 2", "Belvedere 3", "Vedetta JPEG")),
        serial_number=f"B{dice.randrange(10**7):07}",
        firmware_version=dice.choice(("1.8.2", "2.0.0")),
        credentials="cameras/older",
        view=dice.choice((site_pb2.Device.VIEW_OBSERVATION, site_pb2.Device.VIEW_CONTEXT)),
        mobility=site_pb2.Device.MOBILITY_FIXED,
    )


def _justify(device: site_pb2.Device, purpose: site_pb2.LegalBasis.Purpose.ValueType, number: int) -> None:
    basis = device.legal_basis
    basis.purpose = purpose
    basis.dpia_reference = _PURPOSES[purpose][0]
    basis.dpia_time.FromDatetime(_DPIA_TIME)
    basis.sign_reference = f"CARTELLO {number + 1:04}"
    basis.controller = "controllers/city"
    basis.act = "DGC 118/2025"
    basis.regime = site_pb2.LegalBasis.REGIME_GDPR


def _optics(dice: random.Random, device: site_pb2.Device) -> Iterator[site_pb2.Optic]:
    lenses = _OPTICS if device.model == "Panoptes Q4" else 1
    heading = dice.randrange(0, 360, 5)
    height = dice.randrange(40, 85) / 10
    for lens in range(lenses):
        optic = site_pb2.Optic(
            name=f"{device.name}/optics/optic-{lens + 1}",
            display_name=f"{device.display_name}, optic {lens + 1}",
            ingest=site_pb2.Optic.INGEST_RTSP,
            main_stream_path=f"/Streaming/Channels/{lens + 1}01",
            sub_stream_path=f"/Streaming/Channels/{lens + 1}02",
            mount_height_metres=height,
            heading_degrees=(heading + 360 // lenses * lens) % 360,
            field_of_view_degrees=95 if lenses > 1 else dice.randrange(35, 80),
            policy=scene_pb2.Policy(analysed_frame_rate=5, masking_style=scene_pb2.Policy.MASKING_STYLE_SILHOUETTE),
        )
        if device.model == "Vedetta JPEG":
            optic.ingest = site_pb2.Optic.INGEST_MJPEG
            optic.main_stream_path, optic.sub_stream_path = "/mjpg/video.mjpg", ""
        optic.policy.retention.FromTimedelta(_PURPOSES[device.legal_basis.purpose][1])
        yield optic


def _deployments(
    dice: random.Random, device: site_pb2.Device, visited: Sequence[_Place], number: int, now: datetime
) -> Iterator[site_pb2.Deployment]:
    """The present stay; for every second device the one before, for every fourth the next, under another decision."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=dice.randrange(1, 60))
    end = today + timedelta(days=dice.randrange(10, 120))
    stays = [(number, start, end)]
    if number % 2:
        stays.insert(0, (number + 1, start - timedelta(days=90), start - timedelta(days=2)))
    if number % 4 == 0:
        stays.append((number, end, end + timedelta(days=60)))
    for turn, (where, begin, finish) in enumerate(stays):
        stay = site_pb2.Deployment(
            name=f"{device.name}/deployments/stay-{turn + 1}",
            site=f"sites/{visited[where % len(visited)].site_id}",
            decision=f"COSP {100 + number}/{turn + 1}-{begin:%Y}",
            reason=dice.choice(("risse serali", "spaccio segnalato", "deposito abusivo di rifiuti", "danneggiamenti")),
        )
        stay.decision_time.FromDatetime(begin - timedelta(days=6))
        stay.start_time.FromDatetime(begin)
        stay.end_time.FromDatetime(finish)
        yield stay
