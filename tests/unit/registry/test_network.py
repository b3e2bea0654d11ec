from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.network import CameraNetworks, DeviceAddress, address_problem

NETWORKS = CameraNetworks((ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("fd00:a::/32")))
NAMED = CameraNetworks(NETWORKS.networks, host_names_allowed=True)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.20.0.7", "10.20.0.7"),
        ("10.20.0.7:554", "10.20.0.7"),
        ("10.20.0.7:8554", "10.20.0.7:8554"),
        ("fd00:a:0:0::7", "fd00:a::7"),
        ("FD00:A::7", "fd00:a::7"),
        ("[fd00:a::7]", "fd00:a::7"),
        ("[fd00:a::7]:554", "fd00:a::7"),
        ("[fd00:a::0:7]:8554", "[fd00:a::7]:8554"),
        ("::ffff:10.20.0.7", "10.20.0.7"),
        ("[2002:a14:7::]:8554", "10.20.0.7:8554"),
        ("64:ff9b::a14:7", "10.20.0.7"),
        ("Camera-12.Piazza.example:8554", "camera-12.piazza.example:8554"),
    ],
)
def test_every_address_has_one_spelling(text: str, canonical: str) -> None:
    assert str(DeviceAddress.parse(text)) == canonical
    assert str(DeviceAddress.parse(canonical)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10.20.0.7:0",
        "10.20.0.7:65536",
        "10.20.0.7:",
        "10.20.0.7:abc",
        "[fd00:a::7",
        "[]:554",
        "[10.20.0.256]",
        "fe80::1%eth0",
        "10.20.0.256",
        "-camera",
        "camera_12",
        "camera 12",
        "10.20.0.7/24",
        "x" * 300,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert address_problem(text, NAMED) is not None


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("10.20.255.255", True),
        ("10.21.0.0", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("fd00:a::7", True),
        ("fd00:b::7", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_the_camera_networks_are_admitted(text: str, allowed: bool) -> None:  # noqa: FBT001
    assert (address_problem(text, NETWORKS) is None) == allowed


def test_a_name_needs_the_setting() -> None:
    assert "host names" in str(address_problem("camera-12.example", NETWORKS))
    assert address_problem("camera-12.example", NAMED) is None


@pytest.mark.parametrize(
    "text", ["admin:hunter2@10.20.0.7", "rtsp://10.20.0.7", "rtsp://admin:hunter2@10.20.0.7/1", "//10.20.0.7"]
)
def test_a_refusal_never_repeats_a_password(text: str) -> None:
    problem = address_problem(text, NAMED)

    assert problem is not None
    assert "hunter2" not in problem


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(1, 65535))
def test_spellings_agree_about_admission(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    canonical = DeviceAddress.parse(f"{host}:{port}")

    assert DeviceAddress.parse(str(canonical)) == canonical
    assert NETWORKS.admits(canonical) == any(
        canonical.host in network
        for network in NETWORKS.networks
        if network.version == canonical.host.version  # type: ignore[union-attr]
    )
