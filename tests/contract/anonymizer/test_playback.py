"""A clip as it comes from ReadClip plays in Chromium, from its first picture to its last."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from mesh.http import serve_web
from tests.contract.anonymizer import archive
from tests.contract.anonymizer.archive import NOON, World

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
PAGE = '<video src="clip.mp4" muted></video>'
SEEK = """
const video = document.querySelector("video"), answer = arguments[1];
video.addEventListener("seeked", () => answer([video.videoWidth, video.videoHeight, video.currentTime]), {once: true});
video.currentTime = arguments[0];
"""
PLAY = """
const video = document.querySelector("video"), answer = arguments[0];
video.addEventListener("ended", () => answer(video.getVideoPlaybackQuality().totalVideoFrames), {once: true});
video.playbackRate = 4;
video.play();
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs Chromium: chromium, chromium-driver"),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    driver.set_script_timeout(120)
    try:
        yield driver
    finally:
        driver.quit()


def shown(browser: webdriver.Chrome, address: str) -> tuple[float, list[float], int]:
    """The clip's duration, what a seek to its middle shows, and how many pictures are shown until its end."""
    browser.get(f"http://{address}/")
    state = "const video = document.querySelector('video'); return video.readyState >= 2 ? video.duration : null;"
    duration: float = WebDriverWait(browser, 60).until(lambda page: page.execute_script(state))
    middle: list[float] = browser.execute_async_script(SEEK, 2.5)
    pictures: int = browser.execute_async_script(PLAY)
    return duration, middle, pictures


async def test_a_clip_plays_in_chromium(world: World, browser: webdriver.Chrome, tmp_path: Path) -> None:
    await world.record(NOON, 10)
    await world.record(NOON + timedelta(seconds=2), 10)
    content, _ = await world.read(archive.read_request(NOON, NOON + timedelta(seconds=10)))
    (tmp_path / "clip.mp4").write_bytes(content)

    async def clip(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(tmp_path / "clip.mp4")

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    application = web.Application()
    application.router.add_get("/clip.mp4", clip)
    application.router.add_get("/", page)
    async with serve_web(application, "127.0.0.1:0") as address:
        duration, middle, pictures = await asyncio.to_thread(shown, browser, address)

    assert duration == pytest.approx(4.0, abs=0.3)
    assert middle == [128, 96, pytest.approx(2.5, abs=0.2)]
    assert pictures > 5
