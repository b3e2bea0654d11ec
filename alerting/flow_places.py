"""Keeps what the registry says of the lines and zones that count."""

from __future__ import annotations

import asyncio
from typing import Final, NoReturn

import structlog

from alerting.clients import RegistryClient
from alerting.store.flows import FlowStore
from mesh.errors import ArgoError

log = structlog.get_logger()

PERIOD_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 5.0


async def follow_places(registry: RegistryClient, store: FlowStore) -> NoReturn:
    """Reads them again and again, for ever; what was known stays while the registry is away."""
    while True:
        period = PERIOD_SECONDS
        try:
            await store.register_places(await registry.list_counting_places())
        except ArgoError as error:
            log.debug("flows.places_unread", error_reason=error.reason)
            period = _RETRY_SECONDS
        await asyncio.sleep(period)
