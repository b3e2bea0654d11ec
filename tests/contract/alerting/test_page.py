"""The console's page in a browser."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alerting.assembly import Parts
from mesh.postgres import Pool
from tests.contract.alerting.peers import TOKEN
from tests.integration.alerting.support import batch, delivery, event

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian package chromium)"),
]
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--window-size=1600,940",
)  # fmt: skip


class Page:
    """A page of Chromium, driven by the DevTools protocol; what it complains of is kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == number:
                result: dict[str, Any] = message["result"]
                return result
            if message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["source"] == "security":
                self.complaints.append(message["params"]["entry"]["text"])

    async def value(self, expression: str) -> Any:
        result = await self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Waits until an expression is true; the test's timeout is the limit."""
        while not await self.value(expression):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Page]:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "about:blank", stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port_file = folder / "DevToolsActivePort"
        while not port_file.exists() or not port_file.read_text().count("\n"):
            await asyncio.sleep(0.05)
        port = port_file.read_text().split("\n")[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as response:
                target = next(item for item in await response.json() if item["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await page.command(f"{domain}.enable")
                yield page
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_an_operator_signs_in_sees_an_alert_explained_and_takes_it_on(
    tmp_path: Path, url: str, parts: Parts, pool: Pool
) -> None:
    async with chromium(tmp_path / "profile") as page:
        await page.command("Page.navigate", url=f"{url}/?token={TOKEN.replace(' ', '+')}")
        await page.until("document.querySelector('#start')?.open")
        assert await page.value("document.querySelectorAll('.alert').length") == 0
        await page.value("document.querySelector('#start button').click()")
        await page.until("document.querySelector('#link').dataset.state === 'live'")
        # What the registry says is shown, never run.
        await page.until("document.querySelector('#optics').innerText.includes('<img src=x>')")
        assert await page.value("document.querySelectorAll('#optics img').length") == 0
        refused = "[...document.querySelectorAll('[data-state=refused]:has(.refusals) .refusals li')]"
        await page.until(f"{refused}.length === 2")
        assert await page.value(f"{refused}.map((item) => item.innerText)") == ["refused <0>", "refused <1>"]
        assert await page.value("document.querySelector('#streaming-count').innerText") == "1 of 3, 1 refused"

        await parts.consumers.take_events(batch(event(place_display_name="the <b>lawn</b>")), delivery())
        await page.until("document.querySelectorAll('.alert').length === 1")
        text = await page.value("document.querySelector('.alert').innerText")
        assert "dwell 4.25 s, threshold 1 s" in text
        assert "abababababab" in text
        assert await page.value("document.querySelector('.why div:nth-child(3) dd').innerText") == "the <b>lawn</b>"
        assert await page.value("document.querySelector('#announcer').textContent.includes('Person inside zone')")

        await page.value("document.querySelector('.alert button.primary').click()")
        await page.until("document.querySelector('.alert').dataset.state === 'acknowledged'")
        assert await pool.fetchval("SELECT state FROM alerts") == 2
        assert page.complaints == []


async def choose(page: Page, words: str, reason: str, **fields: str) -> None:
    """Presses a button of the first alert, fills in the dialog that it opens, and confirms."""
    await page.until(f"[...document.querySelectorAll('.alert button')].some((one) => one.innerText === '{words}')")
    await page.value(
        f"[...document.querySelectorAll('.alert button')].find((one) => one.innerText === '{words}').click()"
    )
    await page.until("document.querySelector('#ask').open")
    for name, value in (("reason", reason), *fields.items()):
        await page.value(f"document.querySelector('#ask-{name}').value = '{value}'")
    await page.value("document.querySelector('#ask-confirm').click()")
    await page.until("!document.querySelector('#ask').open")


async def press(page: Page, action: str) -> None:
    """Presses a button of the bar as soon as it is there."""
    button = f"document.querySelector('[data-action=\"{action}\"]')"
    await page.until(f"{button} !== null")
    await page.value(f"{button}.click()")


async def start_watching(page: Page, url: str) -> None:
    """Signs in, says what for, and opens a shift."""
    await page.command("Page.navigate", url=f"{url}/?token={TOKEN.replace(' ', '+')}")
    await page.until("document.querySelector('#start')?.open")
    await page.value("document.querySelector('#start button').click()")
    await page.until("document.querySelector('#link').dataset.state === 'live'")
    await press(page, "Open shift")
    await page.until("document.querySelector('#shift').innerText === '1 on duty'")


async def test_an_operator_does_every_act_there_is_on_the_page(
    tmp_path: Path, url: str, parts: Parts, pool: Pool
) -> None:
    async with chromium(tmp_path / "profile") as page:
        await start_watching(page, url)
        await parts.consumers.take_events(batch(event(), event()), delivery())
        await page.until("document.querySelectorAll('.alert').length === 1")
        state = "document.querySelector('.alert').dataset.state"

        await choose(page, "Shelve…", "works in the street", duration="60")
        await page.until(f"{state} === 'shelved'")
        assert "Shelved until" in await page.value("document.querySelector('.alert .state').innerText")
        await choose(page, "Take back…", "the works are over")
        await page.until(f"{state} === 'raised'")
        await page.value("document.querySelector('.alert button.primary').click()")
        await page.until(f"{state} === 'acknowledged'")
        await choose(page, "Send to…", "somebody is in the flower bed", recipient="questura")
        await page.until(f"{state} === 'dispatched'")
        await choose(page, "Hand over…", "I go off duty", person="operator/bianchi")
        await page.until("document.querySelector('.alert .facts-line').innerText.includes(\"bianchi's\")")
        await choose(page, "Close…", "a patrol is there")
        await page.until(f"{state} === 'closed'")

        rows = await pool.fetch("SELECT act, actor FROM alert_transitions ORDER BY ordinal")
        assert [row["act"] for row in rows] == [
            "raise", "shelve", "unshelve", "acknowledge", "dispatch", "hand-over", "close",
        ]  # fmt: skip
        assert {row["actor"] for row in rows[1:]} == {"operator/rossi"}
        assert page.complaints == []


async def test_a_shift_ends_with_a_note_and_the_load_is_shown(tmp_path: Path, url: str, pool: Pool) -> None:
    async with chromium(tmp_path / "profile") as page:
        await start_watching(page, url)
        assert await page.value("document.querySelector('#load').innerText") == "0 (target below 1)"
        await press(page, "Close shift…")
        await page.until("document.querySelector('#ask').open")
        await page.value("document.querySelector('#ask-reason').value = 'a quiet night'")
        await page.value("document.querySelector('#ask-confirm').click()")
        await page.until("document.querySelector('#shift').innerText === 'none open'")

        assert await pool.fetchval("SELECT note FROM shifts") == "a quiet night"
        assert page.complaints == []
