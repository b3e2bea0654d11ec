"""The registry as ``argo-registry`` calls it: over mutual TLS, with the caller's own certificate."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from argo.registry.v1 import fleet_service_pb2, fleet_service_pb2_grpc
from mesh.errors import StartupError
from mesh.rpc.channel import open_channel
from mesh.settings import ServiceSettings

_IMPORT_SECONDS = 120
_LOCAL_IDENTITY = "administrator/local"


@dataclass(frozen=True)
class Access:
    """Where the registry is, and as whom to call it.

    Attributes:
        target: ``host:port``, or a gRPC name.
        certificate: PEM file of the caller's certificate.
        key: PEM file of its key.
        authority: PEM file of the authorities that are trusted.
    """

    target: str
    certificate: Path
    key: Path
    authority: Path

    @classmethod
    def to_local_mesh(cls, state: Path) -> Access:
        """That of the administrator of the mesh that ``argo up`` runs on this machine.

        Args:
            state: its folder.

        Raises:
            StartupError: no mesh has run there.
        """
        try:
            mesh = json.loads((state / "endpoints.json").read_text(encoding="utf-8"))
            me, authority = mesh["certificates"][_LOCAL_IDENTITY], mesh["certificates"]["authority"]
            return cls(mesh["grpc"]["registry"], Path(me["certificate"]), Path(me["key"]), Path(authority))
        except (OSError, ValueError, KeyError, TypeError):
            raise StartupError(
                f"no local mesh is known in {state}",
                "start one with `argo up`, or name a registry with --registry, --certificate, --key and --authority",
            ) from None


class FleetClient:
    """Calls FleetService."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Takes a channel to the registry."""
        self._stub: Any = fleet_service_pb2_grpc.FleetServiceStub(channel)

    async def send(
        self,
        rows: Sequence[fleet_service_pb2.ImportFleetRequest.Row],
        reason: str,
        *,
        validate_only: bool = False,
        partial: bool = False,
    ) -> fleet_service_pb2.ImportFleetResponse:
        """See ``ImportFleet``.

        Raises:
            AioRpcError: the registry refuses, or does not answer.
        """
        request = fleet_service_pb2.ImportFleetRequest(
            rows=rows, reason=reason, validate_only=validate_only, partial=partial
        )
        answer: fleet_service_pb2.ImportFleetResponse = await self._stub.ImportFleet(request, timeout=_IMPORT_SECONDS)
        return answer

    async def receive(self) -> list[fleet_service_pb2.FleetRecord]:
        """See ``ExportFleet``.

        Raises:
            AioRpcError: the registry refuses, or does not answer.
        """
        answers = self._stub.ExportFleet(fleet_service_pb2.ExportFleetRequest(), timeout=_IMPORT_SECONDS)
        return [record async for answer in answers for record in answer.records]


@asynccontextmanager
async def fleet_client(access: Access) -> AsyncIterator[FleetClient]:
    """A client for the block.

    Raises:
        StartupError: the certificate files cannot be read.
    """
    settings = ServiceSettings.model_validate(
        {"tls_certificate": access.certificate, "tls_key": access.key, "tls_ca": access.authority}
    )
    async with open_channel(access.target, settings, peer="service/registry") as channel:
        yield FleetClient(channel)
