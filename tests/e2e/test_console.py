"""The operators' page in a real browser: masked live video plays, alerts come, an alert is acknowledged."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from argo.alerting.v1 import alert_service_pb2 as alerting
from tests.e2e.street import OPTIC, Street, until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,950",
    "--autoplay-policy=no-user-gesture-required",
)
PLAYING = """
const video = document.querySelector("video");
return video && video.videoWidth > 0 && !video.paused ? video.currentTime : null;
"""
MARKS = """return [...document.querySelectorAll(".tile .tile-watermark span")].map((mark) => mark.textContent);"""
CLIP = """
const video = document.querySelector('video[src*="/clip"]');
return video && video.readyState >= 2 ? [video.videoWidth, video.duration] : null;
"""
COLOURS = """
const video = document.querySelector("video");
const canvas = Object.assign(document.createElement("canvas"), {width: video.videoWidth, height: video.videoHeight});
const context = canvas.getContext("2d");
context.drawImage(video, 0, 0);
return [...context.getImageData(0, 0, canvas.width, canvas.height).data].reduce((sum, value) => sum + value, 0);
"""

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
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
    try:
        yield driver
    finally:
        driver.quit()


def _start_watching(browser: webdriver.Chrome, url: str) -> None:
    browser.get(url)
    wait = WebDriverWait(browser, 30)
    wait.until(lambda page: page.find_element(By.ID, "start-purpose").is_displayed())
    Select(browser.find_element(By.ID, "start-purpose")).select_by_index(0)
    browser.find_element(By.CSS_SELECTOR, "#start button").click()
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "#optics button"))


def _plays(browser: webdriver.Chrome) -> float:
    """Seconds of live video that were shown, once it plays."""
    wait = WebDriverWait(browser, 60)
    first: float = wait.until(lambda page: page.execute_script(PLAYING))
    return float(wait.until(lambda page: (now := page.execute_script(PLAYING)) and now > first + 1 and now))


def _acknowledge(browser: webdriver.Chrome) -> None:
    wait = WebDriverWait(browser, 60)
    button = "//ol[@id='alerts']//button[normalize-space()='Acknowledge']"
    wait.until(lambda page: page.find_elements(By.XPATH, button))
    # The list moves while alerts come in, so the script clicks what is there now.
    browser.execute_script("document.evaluate(arguments[0], document, null, 9, null).singleNodeValue.click()", button)
    if browser.find_elements(By.CSS_SELECTOR, "dialog#ask[open]"):
        browser.find_element(By.ID, "ask-reason").send_keys("looking at it")
        browser.find_element(By.ID, "ask-confirm").click()


def _clip(browser: webdriver.Chrome, alert: str) -> list[float]:
    """Width in pixels and length in seconds of an alarm's clip, once it plays."""
    wait = WebDriverWait(browser, 60)
    button = f'[data-action="Clip {alert}"]'
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, button))
    browser.execute_script("document.querySelector(arguments[0]).click()", button)
    shown: list[float] = wait.until(lambda page: page.execute_script(CLIP))
    return shown


async def test_an_operator_watches_masked_video_and_acknowledges_an_alert(
    street: Street, browser: webdriver.Chrome
) -> None:
    await street.streaming(OPTIC)
    await street.raised_alert()
    await asyncio.to_thread(_start_watching, browser, street.mesh.console_url)

    shown = await asyncio.to_thread(_plays, browser)
    await asyncio.to_thread(_acknowledge, browser)

    async def acknowledged() -> alerting.Alert | None:
        by_console = [
            alert
            for alert in await street.alerts()
            if any(
                step.state == alerting.Alert.STATE_ACKNOWLEDGED and step.actor == "operator/console"
                for step in alert.transitions
            )
        ]
        return by_console[0] if by_console else None

    alert = await until("an acknowledged alert", acknowledged)
    await street.recorded(OPTIC, alert.capture_time.ToDatetime(tzinfo=UTC))
    width, seconds = await asyncio.to_thread(_clip, browser, alert.name)
    marks = await asyncio.to_thread(browser.execute_script, MARKS)
    assert shown > 1
    assert width > 0
    assert seconds > 0
    # Who watches stands over every picture, twelve times, with the time; a camera of another test may be among them.
    assert marks
    assert len(marks) % 12 == 0
    assert all(re.fullmatch(r"console \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", mark) for mark in marks)
    assert await asyncio.to_thread(browser.execute_script, COLOURS) > 0
    if picture := os.environ.get("ARGO_TEST_SCREENSHOT"):
        await asyncio.to_thread(browser.save_screenshot, picture)


async def test_without_a_session_the_console_shows_nothing(street: Street, browser: webdriver.Chrome) -> None:
    address = street.mesh.console_url.partition("?")[0]

    await asyncio.to_thread(browser.get, address)

    assert browser.find_elements(By.ID, "alerts") == []
    assert "sign" in browser.find_element(By.TAG_NAME, "body").text.lower()
