"""A real browser without a window, for pages this project writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Nothing but the page itself uses the network.
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
BINARIES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium through its driver; skips only where none is installed."""
    binary = next((path for name in BINARIES if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with its driver is installed (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options, webdriver.ChromeService(driver))
    window.set_window_size(1200, 900)
    try:
        yield window
    finally:
        window.quit()


def open_page(browser: Any, page: Path) -> None:
    """Load a page from disk until it is parsed whole, with what was logged before forgotten."""
    from selenium.webdriver.support.ui import WebDriverWait

    for kind in ("browser", "performance"):
        browser.get_log(kind)
    address = page.resolve().as_uri()
    browser.get(address)
    parsed = "return document.readyState === 'complete' && location.href.startsWith(arguments[0])"
    WebDriverWait(browser, 60).until(lambda window: window.execute_script(parsed, address))


def complaints(browser: Any) -> list[str]:
    """Everything the console said since `open_page`."""
    return [entry["message"] for entry in browser.get_log("browser")]
