"""Keeps the register published: made once per change, kept in memory, and served whatever becomes of PostgreSQL."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NoReturn
from zoneinfo import ZoneInfo

import prometheus_client
import structlog

from mesh.errors import Unavailable
from mesh.logging import version
from mesh.postgres import Pool
from registry.public.document import Register, build
from registry.public.language import CODES
from registry.public.page import Page
from registry.public.records import Rows, read_rows, read_sequence, to_records
from registry.public.serialisation import Edition, as_geojson, content, head

log = structlog.get_logger()

STALE_AFTER = timedelta(seconds=60)
"""For so long PostgreSQL may be away before the register says so: a change of its primary takes less."""


@dataclass(frozen=True)
class Representation:
    """The register in one form, ready to be sent.

    Attributes:
        media_type: with its character set where it has one.
        body: as it is.
        compressed: with gzip.
        tag: changes when the content does; the same for equal content at every replica.
        language: code, or empty.
    """

    media_type: str
    body: bytes
    compressed: bytes
    tag: str
    language: str = ""

    @classmethod
    def of(cls, media_type: str, text: str, tag: str, language: str = "") -> Representation:
        """Of a text."""
        body = text.encode()
        return cls(media_type, body, gzip.compress(body, mtime=0), tag, language)


@dataclass(frozen=True)
class Publication:
    """An edition in all its forms.

    Attributes:
        edition: what it says.
        forms: by name: ``json``, ``geojson`` and the codes of the languages.
    """

    edition: Edition
    forms: Mapping[str, Representation]


def publish(edition: Edition, zone: ZoneInfo) -> Publication:
    """Renders an edition in all its forms."""
    body = content(edition.register)
    texts = {
        "json": ("application/json", json.dumps(head(edition) | body, ensure_ascii=False)),
        "geojson": ("application/geo+json", json.dumps(as_geojson(edition), ensure_ascii=False)),
        **{code: ("text/html; charset=utf-8", Page(code, zone).render(edition)) for code in CODES},
    }
    # The time of its making is no part of the content: replicas that made the same one give it the same tag.
    identity = [version(), str(edition.stale_since), body]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    forms = {
        name: Representation.of(media_type, text, f"{digest}-{name}", name if name in CODES else "")
        for name, (media_type, text) in texts.items()
    }
    return Publication(edition, MappingProxyType(forms))


class Metrics:
    """What the register measures."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.responses = prometheus_client.Counter(
            "argo_registry_register_responses", "Answers of the public register.", ["status"], registry=registry
        )
        self.age = prometheus_client.Gauge(
            "argo_registry_register_age_seconds",
            "Since when nobody could look whether the public register is what the records say.",
            registry=registry,
        )


class Publisher:
    """Follows the records and publishes anew when the public part of them has changed."""

    def __init__(
        self, pool: Pool, zone: ZoneInfo, metrics: Metrics, *, clock: Callable[[], datetime], period_seconds: float
    ) -> None:
        """Takes what it works with.

        Args:
            pool: on the registry's migrated schema.
            zone: the city's.
            metrics: are set at every look.
            clock: the present time, aware.
            period_seconds: between looks at the records.
        """
        self._pool = pool
        self._zone = zone
        self._metrics = metrics
        self._clock = clock
        self._period_seconds = period_seconds
        self._confirmed: datetime | None = None
        self._revision = -1
        self._fresh_until: datetime | None = None
        self._failed = False
        self.publication: Publication | None = None

    @property
    def age(self) -> timedelta:
        """How long ago the publication was found to be what the records say."""
        return self._clock() - self._confirmed if self._confirmed is not None else timedelta(0)

    async def run(self) -> NoReturn:
        """Publishes for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self._period_seconds)

    async def look(self) -> None:
        """Looks at the records once. A fault in here must not take the gate down with it: the last edition stays."""
        try:
            await self._follow()
        except Unavailable:
            await self._tell_stale()
        except Exception:
            if not self._failed:
                log.exception("register.failed")
            self._failed = True
            await self._tell_stale()
        else:
            self._failed = False
        self._metrics.age.set(self.age.total_seconds())

    async def _follow(self) -> None:
        now = self._clock()
        if await read_sequence(self._pool) != self._revision or self._outlived(now):
            rows = await read_rows(self._pool)
            register = await asyncio.to_thread(_build, rows, now, self._zone)
            await self._publish(register, now)
        elif self.publication is not None and self.publication.edition.stale_since is not None:
            await self._publish(self.publication.edition.register, now)
        self._confirmed = now

    def _outlived(self, now: datetime) -> bool:
        return self._fresh_until is not None and now >= self._fresh_until

    async def _publish(self, register: Register, now: datetime) -> None:
        last = self.publication
        if last is None or last.edition.register != register or last.edition.stale_since is not None:
            self.publication = await asyncio.to_thread(publish, Edition(register, now), self._zone)
            log.info("register.published", revision=register.revision, cameras=len(register.cameras))
        self._revision, self._fresh_until = register.revision, register.fresh_until

    async def _tell_stale(self) -> None:
        last = self.publication
        if last is None or last.edition.stale_since is not None or self.age < STALE_AFTER:
            return
        stale = Edition(last.edition.register, last.edition.generated, stale_since=self._confirmed)
        self.publication = await asyncio.to_thread(publish, stale, self._zone)
        log.warning("register.stale", age_seconds=round(self.age.total_seconds()))


def _build(rows: Rows, now: datetime, zone: ZoneInfo) -> Register:
    return build(to_records(rows), now, zone)
