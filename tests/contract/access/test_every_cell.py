"""The permission matrix, cell by cell: every method of every contract, called by every kind of caller."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import mesh.access
from mesh.access import matrix
from mesh.authority import CertificateAuthority
from mesh.identity import current_identity
from mesh.rpc.server import GrpcServer
from mesh.rpc.status import from_rpc_error
from mesh.settings import ServiceSettings
from mesh.testing import calling, certificate_authority, serving, settings_of
from tests.contract.access.methods import METHODS, SERVICES, kind_of

FILE = tomllib.loads((Path(mesh.access.__file__).parent / "permissions.toml").read_text())
PEOPLE = ("operator", "supervisor", "administrator", "investigator", "auditor", "mobility")
MACHINES = (
    "system/5t", "service/registry", "service/camera-gateway", "service/detector", "service/anonymizer",
    "service/alerting",
)  # fmt: skip
CALLERS = (
    *(f"{kind}/mrossi" for kind in PEOPLE),
    *(f"tenants/amiat/{kind}/lbianchi" for kind in PEOPLE),
    "authority/questura",
    *MACHINES,
)


def expected(method: str, path: str) -> str:
    """What the file says of a caller who shows a certificate: the reason of the refusal, empty if there is none."""
    _, service, name = method.split("/")
    row = FILE["methods"][service][name]
    callers = {one for each in row["callers"] for one in FILE["groups"].get(each, [each])}
    role_path = "/".join(path.split("/")[-2:])
    kind = role_path.split("/")[0]
    stranger = path.startswith("tenants/") and not service.startswith(tuple(FILE["tenants"]["welcome"]))
    if stranger or not callers & {kind, role_path}:
        return "METHOD_NOT_ALLOWED"
    if path in MACHINES:
        return ""
    role = FILE["roles"][kind]
    if row.get("right") and row["right"] not in role["rights"]:
        return "RIGHT_MISSING"
    purposes = row.get("purposes", role["purposes"])
    return "" if set(purposes) & set(role["purposes"]) else "PURPOSE_NOT_ALLOWED"


def register(server: GrpcServer) -> None:
    """Every service of the contracts; each method answers with the path of its caller."""

    async def answer(_request: Any, _context: Any) -> bytes:
        return current_identity().path.encode()

    async def answers(_request: Any, _context: Any) -> AsyncIterator[bytes]:
        yield current_identity().path.encode()

    def add(_servicer: object, grpc_server: grpc.aio.Server) -> None:
        handlers = {}
        for path, method in METHODS.items():
            make = getattr(grpc, f"{kind_of(method)}_rpc_method_handler")
            handlers[path] = make(answers if method.server_streaming else answer)
        for name, service in SERVICES.items():
            own = {method.name: handlers[f"/{name}/{method.name}"] for method in service.methods}
            grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, own),))

    server.add(add, object(), "argo.AllServices")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return certificate_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def server(authority: CertificateAuthority) -> AsyncIterator[GrpcServer]:
    async with serving(settings_of(authority, "service/registry", ServiceSettings), register) as running:
        yield running


async def outcome(channel: grpc.aio.Channel, path: str) -> str:
    """The reason of a refusal; empty when the handler was reached and saw the caller."""
    method = METHODS[path]
    call: Any = getattr(channel, kind_of(method))(path)
    try:
        started = call() if method.client_streaming else call(b"")
        if method.client_streaming:
            await started.done_writing()
        answer = await started.read() if method.server_streaming else await started
        if answer is grpc.aio.EOF:
            raise AssertionError(f"{path} ended without a word: {await started.code()}")
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason
    assert isinstance(answer, bytes)
    return "" if answer else "NOBODY"


def test_every_method_has_its_row_and_no_row_is_without_a_method() -> None:
    assert set(METHODS) == set(matrix().rows), "rows stand in mesh/access/permissions.toml"


@pytest.mark.parametrize("path", CALLERS)
async def test_a_caller_reaches_what_the_file_says_and_no_more(
    server: GrpcServer, authority: CertificateAuthority, path: str
) -> None:
    said = {method: expected(method, path) for method in METHODS}

    async with calling(server, authority, path, peer="service/registry", settings_type=ServiceSettings) as channel:
        found = {method: await outcome(channel, method) for method in METHODS}

    assert said == found
