"""How a gateway announces itself to the registry, and which stream a replica's name belongs to."""

from __future__ import annotations

import grpc
import pytest

from tests.contract.registry.support import Registry, Request, refusal_of
from tests.integration.registry.gateways import gateway, hold


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (Request(), ["announce"]),
        (Request(heartbeat=Request.Heartbeat()), ["announce"]),
        (Request(announce=Request.Announce(capacity=1)), ["announce.replica"]),
        (Request(announce=Request.Announce(replica="a b", capacity=10_001)), ["announce.replica", "announce.capacity"]),
    ],
)
async def test_a_gateway_has_to_announce_itself(registry: Registry, message: Request, fields: list[str]) -> None:
    refusal = await refusal_of(hold(registry, message))

    assert (refusal.code, refusal.reason, refusal.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ANNOUNCEMENT", fields,
    )  # fmt: skip


async def test_a_gateway_announces_itself_once(registry: Registry) -> None:
    announce = Request(announce=Request.Announce(replica="gw-1", capacity=1))

    assert (await refusal_of(hold(registry, announce, announce))).reason == "INVALID_ANNOUNCEMENT"


async def test_a_name_that_is_known_from_another_host_is_refused(registry: Registry) -> None:
    async with gateway(registry, "gw-1") as first:
        await first.until(lambda: first.renewals)
        await registry.pool.execute("UPDATE gateways SET host = '10.9.9.9'")
        announce = Request(announce=Request.Announce(replica="gw-1", capacity=1))
        refusal = await refusal_of(hold(registry, announce))

        assert (refusal.code, refusal.reason, refusal.metadata) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED, "REPLICA_KNOWN_ELSEWHERE", {"replica": "gw-1"},
        )  # fmt: skip


async def test_a_silent_stream_gives_way_to_one_from_another_host(registry: Registry) -> None:
    async with gateway(registry, "gw-1") as first:
        await first.until(lambda: first.renewals)
        first.silence()
        await registry.pool.execute("UPDATE gateways SET host = '10.9.9.9', heartbeat_time = now() - interval '1.2 s'")
        async with gateway(registry, "gw-1") as second:
            await second.until(lambda: second.renewals)
            await first.until(lambda: first.error)

            assert first.error is not None
            assert first.error.code == grpc.StatusCode.UNAVAILABLE
