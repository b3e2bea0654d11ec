"""Both languages have a word for everything that the register can say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import pytest

from argo.registry.v1 import placement_service_pb2, scene_pb2, site_pb2
from argo.type.v1 import object_class_pb2
from registry.public.document import PUBLIC_REASONS, TECHNICAL, enum_word
from registry.public.language import CODES, LANGUAGES, preferred
from tests.unit.registry.public.made_up import NOW, ROME

ENUMS: Mapping[str, Any] = MappingProxyType(
    {
        "mobility": site_pb2.Device.Mobility,
        "view": site_pb2.Device.View,
        "purpose": site_pb2.LegalBasis.Purpose,
        "regime": site_pb2.LegalBasis.Regime,
        "controller": site_pb2.Controller.Kind,
        "zone": scene_pb2.Zone.Kind,
        "class": object_class_pb2.ObjectClass,
        "measure": placement_service_pb2.PlacementRequest.Measure,
    }
)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("section", ENUMS)
def test_every_value_of_the_contract_has_a_word(code: str, section: str) -> None:
    enum = ENUMS[section]
    words = {enum_word(enum, number) for number in enum.values()} - {""}

    assert LANGUAGES[code].words[section].keys() == words


@pytest.mark.parametrize("code", CODES)
def test_every_kind_of_rule_and_every_refusal_has_a_word(code: str) -> None:
    words = LANGUAGES[code].words

    assert words["rule"].keys() == {
        field.name for field in scene_pb2.Rule.DESCRIPTOR.oneofs_by_name["parameters"].fields
    }
    assert words["refusal"].keys() == {*PUBLIC_REASONS.values(), TECHNICAL}


def test_both_languages_have_the_same_keys() -> None:
    italian, english = (LANGUAGES[code].words for code in CODES)

    assert {section: set(words) for section, words in italian.items()} == {
        section: set(words) for section, words in english.items()
    }


def test_dates_and_times_are_those_of_the_city() -> None:
    assert LANGUAGES["it"].minute(NOW, ROME) == "22 novembre 2026, 13:00"
    assert LANGUAGES["en"].day(date(2026, 3, 1)) == "1 March 2026"
    assert LANGUAGES["en"].minute(datetime(2026, 7, 1, 22, 30, tzinfo=NOW.tzinfo), ROME) == "2 July 2026, 00:30"


def test_a_value_without_a_word_is_shown_as_it_is() -> None:
    assert LANGUAGES["it"].word("rule", "levitating_vehicle") == "levitating vehicle"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "it"),
        ("en", "en"),
        ("en-GB,en;q=0.9,it;q=0.8", "en"),
        ("de-DE, it;q=0.5, en;q=0.4", "it"),
        ("fr", "it"),
        ("EN-us;q=0.2, it;q=0.1", "en"),
        ("en;q=0, it;q=0.001", "it"),
        ("en;q=nonsense", "it"),
        ("*;q=0.5,,;", "it"),
    ],
)
def test_the_language_that_a_browser_wants(header: str, code: str) -> None:
    assert preferred(header) == code
