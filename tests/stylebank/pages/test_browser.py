"""The pages in a real browser, headless."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylebank.bank import Bank
from stylebank.pages import gallery as pages
from stylebank.pages import html
from stylebank.pages import map as atlas
from tests.stylebank.pages.conftest import NASTY, jpeg, style_with_pictures

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no Chromium with its driver is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    driver.set_window_size(1200, 900)
    yield driver
    driver.quit()


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    bank.add(style_with_pictures("wave", 1, ("sea",), swatch=jpeg((0, 0, 250), (32, 32))))
    bank.add(style_with_pictures("storm 🌊", 2, ("sea", "night")))
    bank.add(style_with_pictures("<b>poppies & more", 3, (NASTY,)))
    return bank


def opened(browser: Any, path: Path) -> None:
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())


def complaints(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def requested(browser: Any) -> set[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {url for url in sent if not url.startswith("data:")}


def names(browser: Any) -> list[str]:
    style_with_pictures = browser.find_elements("css selector", "article:not([hidden])")
    return [card.find_element("tag name", "h2").text for card in style_with_pictures]


def test_the_gallery_filters_by_tag_and_name(browser: Any, bank: Bank, tmp_path: Path) -> None:
    path = html.write_page(tmp_path / "gallery.html", pages.gallery(pages.read_cards(bank)[0]))
    opened(browser, path)
    every = ["<b>poppies & more", "storm 🌊", "wave"]
    assert names(browser) == every
    tags = {button.text: button for button in browser.find_elements("css selector", "#tags button")}
    assert set(tags) == {"sea", "night", NASTY}
    tags["sea"].click()
    assert names(browser) == every[1:] and tags["sea"].get_attribute("aria-pressed") == "true"
    tags["night"].click()
    assert names(browser) == ["storm 🌊"]
    assert browser.find_element("id", "count").text == "1 of 3"
    tags["night"].click()
    tags["sea"].click()
    browser.find_element("id", "find").send_keys("WAV")
    assert names(browser) == ["wave"]
    sizes = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert sizes == [40, 40, 40, 32]
    assert complaints(browser) == []
    assert requested(browser) == {path.as_uri()}


def test_the_map_shows_names_and_zooms(browser: Any, bank: Bank, tmp_path: Path) -> None:
    path = atlas.write(atlas.atlas(bank)[0], tmp_path / "map.html")
    opened(browser, path)
    titles = browser.execute_script("return [...document.querySelectorAll('title')].slice(1).map(t => t.textContent)")
    assert sorted(titles) == ["<b>poppies & more", "storm 🌊", "wave"]
    view = "return document.getElementById('map').getAttribute('viewBox').split(' ').map(Number)"
    before = browser.execute_script(view)
    browser.execute_script(
        "document.getElementById('map').dispatchEvent("
        "new WheelEvent('wheel', { deltaY: -200, clientX: 600, clientY: 400, cancelable: true }))"
    )
    after = browser.execute_script(view)
    assert after[2] < 0.8 * before[2] and before[0] < after[0] < before[0] + before[2]
    browser.execute_script("document.getElementById('map').dispatchEvent(new MouseEvent('dblclick'))")
    assert browser.execute_script(view) == before
    opacity = "return getComputedStyle(document.querySelector('g text')).opacity"
    assert browser.execute_script(opacity) == "1"
    browser.find_element("id", "names").click()
    assert browser.execute_script(opacity) == "0"
    images = "[...document.querySelectorAll('image')].map(image => image.decode())"
    loaded = f"return Promise.all({images}).then(() => 'all')"
    assert browser.execute_script(loaded) == "all"
    assert complaints(browser) == []
    assert requested(browser) == {path.as_uri()}
