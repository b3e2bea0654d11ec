"""Every method for every kind of identity, generated from the contract."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory

from argo.registry.v1 import lease_service_pb2, registry_service_pb2
from mesh.authority import CertificateAuthority
from registry.permissions import GATEWAYS, POLICY, READERS, WRITERS
from tests.contract.registry.support import Registry, explain

SERVICES = (
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    lease_service_pb2.DESCRIPTOR.services_by_name["LeaseService"],
)
METHODS: list[Any] = [method for service in SERVICES for method in service.methods]
IDENTITIES = (
    "administrator/mrossi", "operator/lbianchi", "authority/questura", "system/5t",
    "service/registry", "service/camera-gateway", "service/detector", "service/anonymizer", "service/alerting",
)  # fmt: skip


def path_of(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def expected(method: Any) -> tuple[str, ...]:
    """What the design says, told apart from the product's own table."""
    if method.name == "HoldLeases":
        return GATEWAYS
    return READERS if method.name.startswith(("Get", "List", "Watch")) else WRITERS


def test_the_policy_names_every_method_and_no_other() -> None:
    assert {path_of(method): expected(method) for method in METHODS} == dict(POLICY)


@pytest.mark.parametrize("identity", IDENTITIES)
async def test_an_identity_reaches_only_its_methods(registry: Registry, identity: str) -> None:
    async with registry.channel(identity) as channel:
        for method in METHODS:
            allowed = any(fnmatchcase(identity, pattern) for pattern in expected(method))
            code, reason = await call(channel, method)
            if allowed:
                assert code not in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED), method.name
            else:
                assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_ALLOWED"), method.name


async def call(channel: grpc.aio.Channel, method: Any) -> tuple[grpc.StatusCode, str]:
    """Calls with an empty message; answers how it ended."""
    request_type: Any = message_factory.GetMessageClass(method.input_type)
    response_type: Any = message_factory.GetMessageClass(method.output_type)
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    callable_ = getattr(channel, kind)(
        path_of(method),
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )

    async def requests() -> AsyncIterator[Any]:
        yield request_type()

    answer = callable_(requests() if method.client_streaming else request_type())
    try:
        if method.server_streaming:
            await answer.read()
            answer.cancel()
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code(), explain(error).reason
    return grpc.StatusCode.OK, ""


async def test_a_certificate_of_another_authority_reaches_nothing(registry: Registry, tmp_path: Path) -> None:
    strangers = dataclasses.replace(registry, authority=CertificateAuthority(tmp_path / "strangers"))

    async with strangers.channel("administrator/mrossi") as channel:
        code, _ = await call(channel, METHODS[0])

    assert code == grpc.StatusCode.UNAVAILABLE
