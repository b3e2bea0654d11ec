"""The made-up fleet: of the right size, lawful, and where it should be."""

from __future__ import annotations

import ipaddress
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argo.registry.v1 import site_pb2
from registry.admissions import admit, by_device
from registry.domain.admission import Admitted
from registry.domain.network import CameraNetworks
from registry.onboarding.rows import KINDS
from registry.onboarding.turin import FULL_SIZE, turin_fleet
from registry.resources import RESOURCES

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NETWORKS = CameraNetworks((ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00:a::/32")))
# Rough boxes (south, north, west, east) around the eight districts, drawn by hand; they tell a point on the wrong side
# of the city, or with its coordinates swapped, not one across the street.
DISTRICTS = {
    "1": (45.050, 45.080, 7.655, 7.700), "2": (45.005, 45.052, 7.605, 7.662), "3": (45.050, 45.080, 7.605, 7.668),
    "4": (45.073, 45.095, 7.605, 7.672), "5": (45.085, 45.120, 7.605, 7.685), "6": (45.080, 45.140, 7.675, 7.760),
    "7": (45.062, 45.095, 7.675, 7.775), "8": (45.010, 45.066, 7.648, 7.720),
}  # fmt: skip


def parts(fleet: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for record in fleet:
        kind = str(record.WhichOneof("record"))
        found[kind].append(getattr(record, kind))
    return found


def test_it_has_the_size_of_the_city() -> None:
    found = parts(turin_fleet(0, now=NOW))

    optics = Counter(optic.name.split("/")[1] for optic in found["optic"])
    mobile = [device for device in found["device"] if device.mobility == site_pb2.Device.MOBILITY_MOBILE]
    assert (len(found["site"]), len(found["device"]), len(found["optic"])) == (123, 257, 707)
    assert Counter(optics.values()) == {4: 150, 1: 107}
    assert round(len(mobile) / len(found["device"]), 2) == 0.2
    assert {site.lot for site in found["site"]} == {"3", "3bis"}
    assert {device.view for device in found["device"]} == {1, 2, 3}
    assert any(optic.ingest == site_pb2.Optic.INGEST_MJPEG for optic in found["optic"])
    assert {":" in device.address for device in found["device"]} == {True, False}
    places = {stay.site for stay in found["deployment"]}
    assert {"sites/giardini-alimonda", "sites/giardini-montanaro", "sites/piazza-montale"} < places


def test_every_site_lies_in_its_district() -> None:
    sites = parts(turin_fleet(0, now=NOW))["site"]

    assert {site.district for site in sites} == set(DISTRICTS)
    for site in sites:
        south, north, west, east = DISTRICTS[site.district]
        assert south < site.location.latitude < north, site.name
        assert west < site.location.longitude < east, site.name


@given(seed=st.integers(0, 2**32), devices=st.integers(1, FULL_SIZE))
@settings(max_examples=40, deadline=None)
def test_it_is_lawful_and_consistent_at_every_size(seed: int, devices: int) -> None:
    found = parts(turin_fleet(seed, now=NOW, devices=devices))

    names = [record.name for records in found.values() for record in records]
    addresses = [device.address for device in found["device"]]
    assert (len(names), len(addresses), len(found["device"])) == (len(set(names)), len(set(addresses)), devices)
    for kind, records in found.items():
        assert [RESOURCES[kind].check(record, NETWORKS) for record in records] == [[]] * len(records)
    sites = {site.name for site in found["site"]}
    standing = {device.site for device in found["device"] if device.site}
    assert standing | {stay.site for stay in found["deployment"]} <= sites
    stays = by_device(found["deployment"])
    for device in found["device"]:
        assert isinstance(admit(device, stays.get(device.name, ()), NOW, NETWORKS), Admitted), device.name


def test_the_same_seed_gives_the_same_fleet() -> None:
    assert turin_fleet(7, now=NOW) == turin_fleet(7, now=NOW.replace(hour=23)) != turin_fleet(8, now=NOW)


@pytest.mark.parametrize("devices", [0, -1, FULL_SIZE + 1])
def test_other_sizes_are_refused(devices: int) -> None:
    with pytest.raises(ValueError, match="1 to 257"):
        turin_fleet(0, now=NOW, devices=devices)
