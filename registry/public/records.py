"""All records that the public register is built of, as of one change number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format

from argo.registry.v1 import placement_service_pb2, scene_pb2, site_pb2
from mesh.postgres import Pool, load_queries
from registry.database import borrowed
from registry.public.disclosure import public_parts
from registry.records import columns_read, from_record
from registry.resources import RESOURCES, Resource

_QUERIES = load_queries("registry.sql", "register.sql")
_KINDS = ("controller", "site", "device", "deployment", "optic", "zone", "rule")


@dataclass(frozen=True)
class Admission:
    """What the gate has on record about a device.

    Attributes:
        site: ``sites/{site}`` where it stands; empty: nowhere.
        reasons: names of ``Refusal.Reason`` without prefix; none: it may stream.
    """

    site: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """Records of every kind, each in the order of names and without what is withheld.

    Attributes:
        sequence: number of the last change in them.
        admissions: by name of the device.
    """

    sequence: int
    controllers: Sequence[site_pb2.Controller] = ()
    sites: Sequence[site_pb2.Site] = ()
    devices: Sequence[site_pb2.Device] = ()
    deployments: Sequence[site_pb2.Deployment] = ()
    optics: Sequence[site_pb2.Optic] = ()
    zones: Sequence[scene_pb2.Zone] = ()
    rules: Sequence[scene_pb2.Rule] = ()
    placement_requests: Sequence[placement_service_pb2.PlacementRequest] = ()
    admissions: Mapping[str, Admission] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """Records as PostgreSQL gives them: the values of ``columns_read`` by kind, and placement requests as JSON."""

    sequence: int
    rows: Mapping[str, Sequence[Sequence[Any]]]
    placement_requests: Sequence[str]
    admissions: Mapping[str, Admission]


async def read_sequence(pool: Pool) -> int:
    """The number of the last change.

    Raises:
        Unavailable: PostgreSQL is away.
    """
    async with borrowed(pool) as connection:
        sequence: int = await connection.fetchval(_QUERIES["sequence"])
        return sequence


async def read_rows(pool: Pool) -> Rows:
    """Everything as of one change number.

    Raises:
        Unavailable: PostgreSQL is away.
    """
    async with borrowed(pool) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        sequence: int = await connection.fetchval(_QUERIES["sequence"])
        rows = {kind: await connection.fetch(_record_query(RESOURCES[kind])) for kind in _KINDS}
        requests = [row[0] for row in await connection.fetch(_QUERIES["placement_requests"])]
        admissions = {
            row["name"]: Admission(row["site"] or "", tuple(row["reasons"]))
            for row in await connection.fetch(_QUERIES["admissions"])
        }
    return Rows(sequence, MappingProxyType(rows), requests, MappingProxyType(admissions))


def to_records(rows: Rows) -> Records:
    """The public parts of the records in the rows. It takes a while for a whole fleet: call it in a thread."""
    records: dict[str, list[Any]] = {
        RESOURCES[kind].plural: public_parts(from_record(RESOURCES[kind], row) for row in found)
        for kind, found in rows.rows.items()
    }
    requests = [json_format.Parse(text, placement_service_pb2.PlacementRequest()) for text in rows.placement_requests]
    return Records(
        sequence=rows.sequence, admissions=rows.admissions, placement_requests=public_parts(requests), **records
    )


def _record_query(resource: Resource) -> str:
    # Names of tables and columns are constants of the program.
    columns = ", ".join(columns_read(resource))
    return _QUERIES["records"].replace("{columns}", columns).replace("{table}", resource.plural)
