"""A service for the tests of the life cycle, run as a process of its own. The first argument is what it does."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mesh.errors import StartupError
from mesh.lifecycle import Application, main
from mesh.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BEHAVIOUR = os.environ.pop("BEHAVIOUR")


def say(what: str) -> None:
    print(f"said {what}", flush=True)


@asynccontextmanager
async def resource(name: str) -> AsyncIterator[None]:
    say(f"open {name}")
    try:
        yield
    finally:
        say(f"close {name}")


async def raises() -> None:
    await asyncio.sleep(0.05)
    raise RuntimeError("the disk of rtsp://admin:hunter2@camera is full")


async def returns() -> None:
    await asyncio.sleep(0.05)


async def waits() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        say("task cancelled")


async def compose(app: Application[ServiceSettings]) -> None:
    await app.enter(resource("pool"))
    await app.enter(resource("bus"))
    app.spawn("consumer", waits())

    async def drain(name: str) -> None:
        say(f"drain {name}")
        if BEHAVIOUR == "hangs":
            await asyncio.Event().wait()

    app.on_drain("streams", lambda: drain("streams"))
    app.on_drain("sessions", lambda: drain("sessions"))
    if BEHAVIOUR == "raises":
        app.spawn("decoder", raises())
    if BEHAVIOUR == "returns":
        app.spawn("decoder", returns())
    if BEHAVIOUR == "dies_while_warming":
        app.spawn("decoder", raises())
        await asyncio.Event().wait()
    if BEHAVIOUR == "warms":
        say("warming")
        await asyncio.Event().wait()
    if BEHAVIOUR == "refuses":
        raise StartupError("the model yolox has a wrong digest", "fetch it again with argo models pull")
    if BEHAVIOUR == "breaks":
        raise RuntimeError("a bug")


async def migrate(settings: ServiceSettings, arguments: list[str]) -> int:
    say(f"migrate {settings.environment} {arguments}")
    return 7


if __name__ == "__main__":
    sys.exit(main("registry", ServiceSettings, compose, commands={"migrate": migrate}))
