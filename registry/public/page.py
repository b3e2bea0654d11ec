"""The page: the register in one language, as HTML that needs no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import jinja2

from registry.public.algorithms import algorithms
from registry.public.document import Camera, Controller, Register, Rule, Sector
from registry.public.language import LANGUAGES, Language
from registry.public.map import draw
from registry.public.serialisation import VERSION, Edition

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("registry.public"),
    # A name of a place is shown, never run.
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Row:
    """A camera in the table of its district; ``anchor`` is its id on the page."""

    camera: Camera
    place: str
    anchor: str


@dataclass(frozen=True)
class Section:
    """The cameras of a district; ``district`` is empty for places without one, and None for cameras without a place."""

    district: str | None
    anchor: str
    rows: tuple[Row, ...]


class Page:
    """Renders editions in one language."""

    def __init__(self, code: str, zone: ZoneInfo) -> None:
        """Takes the language's code and the city's time zone."""
        self._language = LANGUAGES[code]
        self._zone = zone
        self._template = _ENVIRONMENT.get_template("register.html")

    def render(self, edition: Edition) -> str:
        """The page."""
        register = edition.register
        return self._template.render(
            language=self._language,
            w=self._language.word,
            others=[language for language in LANGUAGES.values() if language is not self._language],
            tell=_Teller(self._language, self._zone, register),
            edition=edition,
            register=register,
            version=VERSION,
            figures=_figures(register),
            map=draw(register),
            sections=sections(register),
            algorithms=algorithms(register),
        )


class _Teller:
    """Values of the register in words."""

    def __init__(self, language: Language, zone: ZoneInfo, register: Register) -> None:
        self._language = language
        self._zone = zone
        self._sites = {site.name: site.display_name for site in register.sites}
        self._controllers = {controller.name: controller for controller in register.controllers}

    def minute(self, instant: datetime) -> str:
        return self._language.minute(instant, self._zone)

    def machine(self, instant: datetime) -> str:
        """As in the attribute ``datetime``."""
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def place(self, site: str) -> str:
        return self._sites.get(site, "")

    def controller(self, name: str) -> str:
        return self.named(self._controllers[name]) if name in self._controllers else ""

    def named(self, controller: Controller) -> str:
        return controller.display_name or self._language.word("page", "private_owner")

    def lenses(self, number: int) -> str:
        return self._language.phrase("lens" if number == 1 else "lenses", number=number)

    def sectors(self, sectors: Iterable[Sector]) -> list[str]:
        """Each once: two lenses that look the same way say nothing more."""
        return list(dict.fromkeys(self._sector(sector) for sector in sectors))

    def retention(self, days: float) -> str:
        if not days:
            return self._language.phrase("not_recorded")
        return self._language.phrase("one_day" if days == 1 else "days", number=f"{days:g}")

    def rule(self, rule: Rule) -> str:
        """What it watches for, where and whom."""
        word = self._language.word
        parts = [
            word("rule", rule.kind),
            word("zone", rule.zone_kind) if rule.zone_kind else "",
            self.classes(rule.classes),
        ]
        return ", ".join(part for part in parts if part)

    def classes(self, classes: Sequence[str]) -> str:
        names = [self._language.word("class", name) for name in classes]
        return ", ".join(names) or self._language.phrase("all_classes")

    def _sector(self, sector: Sector) -> str:
        if sector.width_degrees >= 360:  # noqa: PLR2004 - the full circle
            return self._language.phrase("all_round")
        direction = self._language.word("direction", sector.direction)
        return self._language.phrase("sector", direction=direction, width=sector.width_degrees)


def sections(register: Register) -> list[Section]:
    """The cameras by district, in the order of districts, places and names; those without a place come last."""
    sites = {site.name: site for site in register.sites}
    rows: dict[str | None, list[Row]] = {}
    for camera in register.cameras:
        site = sites.get(camera.site)
        row = Row(camera, site.display_name if site else "", camera.name.replace("/", "-"))
        rows.setdefault(site.district if site else None, []).append(row)
    return [
        Section(
            district,
            f"district-{number}",
            tuple(sorted(rows[district], key=lambda row: (row.place, row.camera.name))),
        )
        for number, district in enumerate(sorted(rows, key=_district_order))
    ]


def _district_order(district: str | None) -> tuple[int, int, str]:
    """Numbers by their value, then other names, then no district, then no place."""
    if not district:
        return (2 if district == "" else 3, 0, "")
    return (0, int(district), "") if district.isdecimal() else (1, 0, district)


def _figures(register: Register) -> list[tuple[str, int]]:
    cameras = register.cameras
    return [
        ("sites", len({camera.site for camera in cameras if camera.site})),
        ("cameras", len(cameras)),
        ("optics", sum(camera.optics for camera in cameras)),
        ("mobile", sum(camera.mobility == "mobile" for camera in cameras)),
        ("authorised", sum(not camera.refusals for camera in cameras)),
        ("dark", sum(bool(camera.refusals) for camera in cameras)),
    ]
