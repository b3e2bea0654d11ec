"""How an error reaches the caller, and what of it does not."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2

from mesh import testing
from mesh.errors import ERRORS, ArgoError, FieldViolation, InvalidArgument
from mesh.rpc.channel import open_channel
from mesh.rpc.status import from_rpc_error
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER, details_of, failure_of


@pytest.mark.parametrize("code", sorted(ERRORS))
async def test_every_error_reaches_the_caller_with_one_error_info(stub: Any, echo: Any, code: str) -> None:
    async def fail(_request: StringValue, _context: Any) -> StringValue:
        raise ERRORS[code]("told to the caller", reason="TOLD", metadata={"limit": "7"})

    echo.get = fail

    error = await failure_of(stub.create(StringValue()))

    assert error.code().name == code
    assert error.details() == "told to the caller"
    assert details_of(error) == [error_details_pb2.ErrorInfo(reason="TOLD", domain="argo", metadata={"limit": "7"})]


async def test_violations_and_retry_delay_are_told_and_read_back(stub: Any, echo: Any) -> None:
    violations = (FieldViolation("zone.polygon[2].x", "must lie within 0 and 1"),)

    async def fail(_request: StringValue, _context: Any) -> StringValue:
        raise InvalidArgument("wrong", reason="ZONE_INVALID", violations=violations, retry_after=1.5)

    echo.get = fail

    error = await failure_of(stub.get(StringValue()))
    read = from_rpc_error(error)

    assert isinstance(read, InvalidArgument)
    assert (read.message, read.reason, read.violations) == ("wrong", "ZONE_INVALID", violations)
    assert details_of(error)[2].retry_delay.ToMilliseconds() == 1500


async def test_error_of_a_stream_reaches_the_caller(stub: Any, echo: Any) -> None:
    async def fail_after_one(request: StringValue, _context: Any) -> Any:
        yield request
        raise ERRORS["OUT_OF_RANGE"]("too old", reason="RESUME_TOKEN_TOO_OLD")

    echo.watch = fail_after_one
    call = stub.watch(StringValue(value="x"))

    assert await call.read() == StringValue(value="x")
    error = await failure_of(call.read())
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    assert details_of(error)[0].reason == "RESUME_TOKEN_TOO_OLD"


@pytest.mark.parametrize("method", ["create", "watch"])
async def test_unexpected_error_leaks_nothing_and_is_logged(stub: Any, echo: Any, method: str) -> None:
    async def fail(_request: StringValue, _context: Any) -> StringValue:
        raise RuntimeError("postgresql://argo:hunter2@db/argo")

    echo.get = fail
    echo.watch = fail

    with structlog.testing.capture_logs() as logs:
        call = getattr(stub, method)(StringValue(), metadata=(("x-request-id", "abc123"),))
        error = await failure_of(call if method == "create" else call.read())

    told = repr((error.details(), error.trailing_metadata(), details_of(error)))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error"
    assert "hunter2" not in told
    assert "RuntimeError" not in told
    assert details_of(error)[0].metadata["requestId"] == "abc123"
    failed = [entry for entry in logs if entry["event"] == "rpc.failed"]
    assert len(failed) == 1
    assert failed[0]["log_level"] == "error"


async def test_a_peer_that_is_away_is_unavailable_and_not_internal(
    stub: Any, echo: Any, authority: Any, stub_of: Any
) -> None:
    settings = testing.settings_of(authority, PEER, ServiceSettings)

    async def call_on(request: StringValue, _context: Any) -> StringValue:
        async with open_channel("127.0.0.1:1", settings, peer="service/alerting") as channel:
            answer: StringValue = await stub_of(channel).create(request)
            return answer

    echo.get = call_on

    error = await failure_of(stub.create(StringValue()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert details_of(error)[0].reason == "DEPENDENCY_UNAVAILABLE"
    assert "127.0.0.1" not in json.dumps(error.details())


def test_every_error_has_a_code_of_grpc() -> None:
    assert set(ERRORS) <= {code.name for code in grpc.StatusCode}
    assert all(issubclass(kind, ArgoError) for kind in ERRORS.values())
