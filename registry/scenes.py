"""Scenes in PostgreSQL: for which place each was confirmed, and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from argo.registry.v1 import site_pb2
from mesh.errors import FailedPrecondition
from mesh.postgres import Pool, load_queries
from registry import admissions
from registry.admissions import Gate
from registry.domain import scene
from registry.domain.names import ancestor
from registry.domain.scene import Place
from registry.resources import RESOURCES
from registry.sql import QUERIES
from registry.store import Author, RecordStore, check_etag

_QUERIES = load_queries("registry.sql", "scenes.sql")


class SceneStore:
    """Reads and writes what people have confirmed."""

    def __init__(self, pool: Pool, records: RecordStore) -> None:
        """Takes a pool on the registry's migrated schema, and the records in it."""
        self._pool = pool
        self._records = records

    async def confirm(self, optic: str, etag: str, now: datetime, author: Author) -> Any:
        """Stores that the scene of an optic fits the place where its device stands at ``now``, with history and audit.

        Returns:
            The optic.

        Raises:
            NotFound: there is none of that name in the author's sight.
            Aborted: the etag is stale.
            FailedPrecondition: the device stands nowhere.
        """
        async with self._records.changing(author) as connection:
            record = await self._records.lock(connection, RESOURCES["optic"], optic, author)
            check_etag(record, optic, etag)
            device = ancestor(optic, 1)
            gate = admissions.gates(await connection.fetch(QUERIES["gate_of_devices"], [device]))[device]
            place = scene.present_place(gate.device, gate.stays, now)
            if place is None:
                raise FailedPrecondition(
                    f"{device} stands nowhere now, so there is no scene to confirm",
                    reason="DEVICE_STANDS_NOWHERE",
                    metadata={"device": device},
                )
            await connection.execute(_QUERIES["confirm_scene"], optic, place.site, place.deployment or None)
            await self._records.record(connection, author, optic)
            return record


async def confirmed_places(connection: Any, devices: Sequence[str]) -> dict[str, Place]:
    """The places for which the scenes of the optics of devices were confirmed last, by name of the optic."""
    rows = await connection.fetch(_QUERIES["confirmed_places"], list(devices))
    return {row["name"]: Place(row["site"], row["deployment"] or "") for row in rows}


async def versions(connection: Any, devices: Sequence[str]) -> dict[str, int]:
    """How often the scenes of the optics of devices were confirmed, by name of the optic."""
    rows = await connection.fetch(_QUERIES["scene_versions"], list(devices))
    return {row["name"]: row["version"] for row in rows}


def unconfirmed(optics: Iterable[str], places: Mapping[str, Place], gate: Gate, now: datetime) -> tuple[str, ...]:
    """Which optics of a device have no valid scene at ``now``, in the order of their names.

    Args:
        optics: of the device.
        places: for which their scenes were confirmed, by name of the optic.
        gate: of the device.
        now: aware.
    """
    return tuple(
        sorted(name for name in optics if not scene.is_confirmed(places.get(name), gate.device, gate.stays, now))
    )


def describe(
    optics: Iterable[site_pb2.Optic], places: Mapping[str, Place], gates: Mapping[str, Gate], now: datetime
) -> None:
    """Says of every optic whether its scene fits the place.

    Args:
        optics: are changed.
        places: for which their scenes were confirmed, by name of the optic.
        gates: of their devices, by name; an optic whose device is gone meanwhile is left as it is.
        now: aware.
    """
    for optic in optics:
        gate = gates.get(ancestor(optic.name, 1))
        if gate is not None:
            valid = scene.is_confirmed(places.get(optic.name), gate.device, gate.stays, now)
            optic.scene = site_pb2.Optic.SCENE_CONFIRMED if valid else site_pb2.Optic.SCENE_UNCONFIRMED
