"""The words of the page in its two languages, and which one a browser wants."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

DEFAULT = "it"
CODES = (DEFAULT, "en")


@dataclass(frozen=True)
class Language:
    """One language of the page.

    Attributes:
        code: as in ``lang`` (BCP 47).
        name: in itself.
        words: by section and key, see ``registry/public/words``.
    """

    code: str
    name: str
    words: Mapping[str, Mapping[str, str]]
    months: tuple[str, ...]

    def word(self, section: str, key: str) -> str:
        """What a value of the register is called; what has no word yet is shown as it is."""
        return self.words[section].get(key, key.replace("_", " "))

    def phrase(self, key: str, **parts: object) -> str:
        """A phrase with its parts filled in."""
        return self.words["phrase"][key].format(**parts)

    def day(self, day: date) -> str:
        """A date as people write it."""
        return f"{day.day} {self.months[day.month - 1]} {day.year}"

    def minute(self, instant: datetime, zone: ZoneInfo) -> str:
        """An instant to the minute, in the city's time."""
        local = instant.astimezone(zone)
        return f"{self.day(local.date())}, {local:%H:%M}"


def load(code: str) -> Language:
    """Reads the words of a language from the package."""
    text = (importlib.resources.files("registry.public") / "words" / f"{code}.toml").read_text(encoding="utf-8")
    content: dict[str, Any] = tomllib.loads(text)
    words = {section: MappingProxyType(keys) for section, keys in content.items() if isinstance(keys, dict)}
    return Language(code, content["language"], MappingProxyType(words), tuple(content["months"]))


LANGUAGES: Mapping[str, Language] = MappingProxyType({code: load(code) for code in CODES})


def preferred(accept_language: str) -> str:
    """The code of the language that suits an ``Accept-Language`` header best (RFC 9110, section 12.5.4)."""
    best, best_quality = DEFAULT, 0.0
    for item in accept_language.split(","):
        tag, _, parameter = item.partition(";")
        code = tag.strip().lower().split("-")[0]
        quality = _quality(parameter)
        if code in CODES and quality > best_quality:
            best, best_quality = code, quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
