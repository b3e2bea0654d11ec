"""Puts the public register together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import prometheus_client
from aiohttp import web

from mesh.postgres import Pool
from registry.public.publishing import Metrics, Publisher
from registry.public.web import RegisterSite
from registry.settings import RegistrySettings


@dataclass(frozen=True)
class PublicRegister:
    """The public register.

    Attributes:
        publisher: somebody has to run it.
        site: to be served.
    """

    publisher: Publisher
    site: web.Application


def public_register(
    pool: Pool,
    settings: RegistrySettings,
    registry: prometheus_client.CollectorRegistry,
    *,
    clock: Callable[[], datetime],
) -> PublicRegister:
    """Puts it together.

    Args:
        pool: on the registry's migrated schema.
        settings: the registry's.
        registry: where its metrics are registered.
        clock: the present time, aware.
    """
    metrics = Metrics(registry)
    zone = ZoneInfo(settings.time_zone)
    publisher = Publisher(pool, zone, metrics, clock=clock, period_seconds=settings.register_seconds)
    return PublicRegister(publisher, RegisterSite(publisher, metrics).application())
