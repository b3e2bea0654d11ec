from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.names import NamePattern, ancestor, has_wildcard, is_id, like_pattern

ZONES = NamePattern(("devices", "optics", "zones"))
ids = st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("text", ["a", "palo-12", "a" * 63])
def test_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "1a", "-a", "a-", "A", "a_b", "a/b", "à", "a" * 64, "a\n", "-"])
def test_no_id(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    ("name", "matches", "matches_with_wildcard"),
    [
        ("devices/a/optics/b/zones/c", True, True),
        ("devices/-/optics/b/zones/-", False, True),
        ("devices/a/optics/b", False, False),
        ("devices/a/optics/b/lines/c", False, False),
        ("devices/a/optics/b/zones/", False, False),
        ("/devices/a/optics/b/zones/c", False, False),
        ("devices/a/optics/b/zones/c/", False, False),
        ("", False, False),
    ],
)
def test_names(name: str, matches: bool, matches_with_wildcard: bool) -> None:  # noqa: FBT001
    assert ZONES.matches(name) == matches
    assert ZONES.matches(name, wildcard=True) == matches_with_wildcard


def test_a_pattern_explains_itself() -> None:
    assert str(ZONES) == "devices/{device}/optics/{optic}/zones/{zone}"
    assert str(ZONES.parent) == "devices/{device}/optics/{optic}"


@given(ids, ids, ids)
def test_building_and_taking_apart(device: str, optic: str, zone: str) -> None:
    name = ZONES.child(ZONES.parent.child(f"devices/{device}", optic), zone)

    assert ZONES.matches(name)
    assert ancestor(name, 1) == f"devices/{device}"
    assert ancestor(name, 2) == f"devices/{device}/optics/{optic}"
    assert not has_wildcard(name)


def test_wildcards() -> None:
    assert has_wildcard("devices/-/optics/b")
    assert not has_wildcard("devices/a-b")
    assert like_pattern("devices/-/optics/b") == "devices/%/optics/b"
    assert like_pattern("devices/a-b") == "devices/a-b"
