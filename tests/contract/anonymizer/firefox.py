"""Firefox without a window, driven over WebDriver BiDi, which it speaks by itself: no geckodriver."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BINARY: Final = shutil.which("firefox-esr") or shutil.which("firefox")
PLUGIN: Final = os.environ.get("ARGO_FIREFOX_OPENH264", "")
"""Folder of Cisco's OpenH264 plug-in (libgmpopenh264.so, gmpopenh264.info): only with it Firefox offers H.264 over
WebRTC. It fetches it from Cisco by itself, which a machine without the Internet cannot."""
_PREFERENCES: Final = {
    "media.peerconnection.ice.loopback": True,
    "media.gmp.insecure.allow": True,
    "media.gmp-gmpopenh264.enabled": True,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


class Page:
    """A page in Firefox."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def open(self, url: str) -> None:
        """Begins the session and shows a page."""
        await self._call("session.new", capabilities={})
        tree = await self._call("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]
        await self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """What an expression of JavaScript gives, once it does, as text, number or truth."""
        answer = await self._call(
            "script.evaluate", expression=expression, target={"context": self._context}, awaitPromise=True
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    async def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != number:
            pass
        assert message["type"] == "success", message
        return message["result"]


@asynccontextmanager
async def firefox(profile: Path) -> AsyncIterator[Page]:
    """A Firefox with a profile of its own, within the block."""
    assert BINARY is not None
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    process = await asyncio.create_subprocess_exec(
        BINARY, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={**os.environ, "MOZ_GMP_PATH": PLUGIN},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = ""
        while "listening on ws://" not in line:
            line = (await process.stderr.readline()).decode()
            assert line, "Firefox ended before it listened"
        address = line.split()[-1]
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}/session") as socket:
            yield Page(socket)
    finally:
        process.terminate()
        await process.wait()
