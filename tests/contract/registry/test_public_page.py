"""The public register's page in a real browser: accessible to everybody (WCAG 2.2 AA), with and without scripts."""

from __future__ import annotations

import asyncio
import importlib.resources
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from mesh.http import serve_web
from registry.public.publishing import Metrics, Publisher, publish
from registry.public.serialisation import Edition
from registry.public.web import RegisterSite
from tests.unit.registry.public.made_up import DAY, NOW, ROME, register

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
AXE = (importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
FINDINGS = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: {type: "tag", values: arguments[0]}, resultTypes: ["violations", "incomplete"]}).then(
    (found) => done({
        passed: found.passes.length,
        violations: found.violations.map((rule) => [rule.id, rule.nodes.map((node) => node.html.slice(0, 200))]),
    }), (error) => done({passed: 0, violations: [String(error)]}));
"""
# Relative luminance and contrast as WCAG 2.2 defines them, for every element that holds text of its own.
CONTRASTS = """
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
        const colour = channels(getComputedStyle(node).backgroundColor);
        if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
};
const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
};
const texts = [...document.querySelectorAll("body *")].filter((element) =>
    !element.closest("svg title, svg desc, svg defs")
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
return texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    return [element.outerHTML.slice(0, 80), contrast(channels(ink), behind(element))];
});
"""
# WCAG 2.2, 2.5.8: 24 by 24 pixels, or a link in a line of text.
SMALL_TARGETS = """
return [...document.querySelectorAll("nav a, button, input, select")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width < 24 || box.height < 24;
}).map((element) => element.outerHTML);
"""
ASKED_FOR = "return performance.getEntriesByType('resource').map((entry) => entry.name)"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs Chromium: chromium, chromium-driver"),
]


@pytest.fixture
def publisher() -> Publisher:
    metrics = Metrics(prometheus_client.CollectorRegistry())
    publisher = Publisher(None, ROME, metrics, clock=lambda: NOW, period_seconds=60)
    publisher.publication = publish(Edition(register(), NOW), ROME)
    return publisher


@pytest.fixture
async def url(publisher: Publisher) -> AsyncIterator[str]:
    site = RegisterSite(publisher, publisher._metrics).application()
    async with serve_web(site, "127.0.0.1:0", grace_seconds=0.1) as address:
        yield f"http://{address}"


def _start(profile: Path, *, scripts: bool = True) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    return webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = _start(tmp_path / "profile")
    try:
        yield driver
    finally:
        driver.quit()


def _findings(browser: webdriver.Chrome, url: str) -> Any:
    browser.get(url)
    # By the debugger's road: the page's own policy lets no script in.
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE})
    return browser.execute_async_script(FINDINGS, RULES)


@pytest.mark.parametrize("language", ["it", "en"])
async def test_no_rule_of_axe_is_broken(language: str, url: str, browser: webdriver.Chrome) -> None:
    found = await asyncio.to_thread(_findings, browser, f"{url}/{language}")

    assert found["violations"] == []
    assert found["passed"] > 20


async def test_the_page_that_says_it_is_stale_is_accessible_too(
    url: str, publisher: Publisher, browser: webdriver.Chrome
) -> None:
    publisher.publication = publish(Edition(register(), NOW - DAY, stale_since=NOW), ROME)

    assert (await asyncio.to_thread(_findings, browser, f"{url}/en"))["violations"] == []
    assert "cannot be read at the moment" in browser.find_element(By.CSS_SELECTOR, "[role=status]").text


async def test_every_text_has_enough_contrast(url: str, browser: webdriver.Chrome) -> None:
    await asyncio.to_thread(browser.get, f"{url}/it")
    contrasts: list[tuple[str, float]] = await asyncio.to_thread(browser.execute_script, CONTRASTS)

    assert len(contrasts) > 60
    # Better than AA asks for (4.5): what the style sheet promises.
    assert [found for found in contrasts if found[1] < 7] == []


async def test_links_are_large_enough_to_hit(url: str, browser: webdriver.Chrome) -> None:
    await asyncio.to_thread(browser.get, f"{url}/it")

    assert await asyncio.to_thread(browser.execute_script, SMALL_TARGETS) == []


async def test_the_structure_is_one_that_a_screen_reader_can_walk(url: str, browser: webdriver.Chrome) -> None:
    await asyncio.to_thread(browser.get, f"{url}/en")

    def count(selector: str) -> int:
        return len(browser.find_elements(By.CSS_SELECTOR, selector))

    levels = [int(heading.tag_name[1]) for heading in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert (count("main"), count("header"), count("footer")) == (1, 1, 1)
    tables = count("table")
    assert tables == count("table > caption") >= 4
    assert count("thead th") == count("thead th[scope=col]")
    assert count("tbody tr") == count("tbody tr > th[scope=row]")
    assert browser.find_element(By.CSS_SELECTOR, "a[lang=it]").text == "Italiano"
    # Everybody who is on the map is in a table.
    marks = {title.get_attribute("textContent") for title in browser.find_elements(By.CSS_SELECTOR, ".map use title")}
    places = {row.text for row in browser.find_elements(By.CSS_SELECTOR, "#cameras tbody th")}
    assert {str(mark).rsplit(":", 1)[0] for mark in marks} == places


async def test_the_keyboard_gets_everywhere(url: str, browser: webdriver.Chrome) -> None:
    await asyncio.to_thread(browser.get, f"{url}/en")

    def walk() -> list[str]:
        seen = []
        for _ in range(40):
            browser.switch_to.active_element.send_keys(Keys.TAB)
            element = browser.switch_to.active_element
            if element.tag_name == "body":
                break
            seen.append(element.get_attribute("href") or element.get_attribute("aria-label") or "")
        return seen

    seen = await asyncio.to_thread(walk)

    assert seen[0] == f"{url}/en#cameras"
    assert f"{url}/it" in seen
    assert f"{url}/register.json" in seen
    assert any(name.startswith("District 7") for name in seen)
    # The map is a picture: nobody has to walk through its marks.
    assert len(seen) < 20


async def test_it_asks_for_nothing_from_elsewhere_and_breaks_no_policy(url: str, browser: webdriver.Chrome) -> None:
    await asyncio.to_thread(browser.get, f"{url}/it")
    asked: list[str] = await asyncio.to_thread(browser.execute_script, ASKED_FOR)

    assert f"{url}/register.css" in asked
    assert [address for address in asked if not address.startswith(url)] == []
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


async def test_it_works_without_scripts(url: str, tmp_path: Path) -> None:
    browser = await asyncio.to_thread(_start, tmp_path / "plain", scripts=False)
    try:
        await asyncio.to_thread(browser.get, f"{url}/it")
        assert browser.find_element(By.CSS_SELECTOR, "svg.map").size["height"] > 100
        assert "Giardini Alimonda" in browser.find_element(By.ID, "cameras").text
    finally:
        browser.quit()
