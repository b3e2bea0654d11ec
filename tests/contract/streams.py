"""Reading a streaming call message by message."""

from __future__ import annotations

from typing import Protocol, TypeVar

M = TypeVar("M")


class Readable(Protocol):
    """A call whose answers are a stream."""

    async def read(self) -> object: ...


async def next_message(call: Readable, kind: type[M]) -> M:
    """The next message of a stream that goes on; the test fails when the stream has ended."""
    message = await call.read()
    assert isinstance(message, kind), "the stream has ended"
    return message
