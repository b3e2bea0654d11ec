"""The anonymizer's view of the registry."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import grpc

from anonymizer.domain.holding import HeldInterval, Holds
from argo.registry.v1 import hold_service_pb2, hold_service_pb2_grpc
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

_PAGE = 1000


class HoldsClient:
    """Asks the registry what must not be erased."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = hold_service_pb2_grpc.HoldServiceStub(channel)

    async def read(self) -> Holds:
        """All that is held now.

        Raises:
            Unavailable: the registry does not say all of it, for whatever reason.
        """
        intervals: list[HeldInterval] = []
        token = ""
        while True:
            request = hold_service_pb2.ListHeldIntervalsRequest(page_size=_PAGE, page_token=token)
            try:
                page = await self._stub.ListHeldIntervals(request)
            except grpc.aio.AioRpcError as error:
                # Also when it refuses: whatever the reason, nothing may be erased as if nothing were held.
                raise Unavailable(
                    f"the registry does not say what is held ({error.code().name})", reason="HOLDS_UNKNOWN"
                ) from error
            try:
                intervals += [_interval(held) for held in page.held_intervals]
            except (ValueError, OverflowError) as error:
                # Half a hold holds nothing: whoever made it meant something that would be erased.
                raise Unavailable("the registry's answer cannot be read", reason="HOLDS_UNKNOWN") from error
            if page.next_page_token and page.next_page_token == token:
                raise Unavailable("the registry's answer does not end", reason="HOLDS_UNKNOWN")
            token = page.next_page_token
            if not token:
                return Holds(frozenset(intervals))


def _interval(held: hold_service_pb2.HeldInterval) -> HeldInterval:
    interval = held.interval
    has_times = interval.HasField("start_time") and interval.HasField("end_time") and held.HasField("expire_time")
    if not (held.optic and has_times):
        raise ValueError("a held interval lacks its optic or one of its times")
    return HeldInterval(
        held.optic, _time(interval.start_time), _time(interval.end_time), _time(held.expire_time), held.hold
    )


def _time(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(UTC)
