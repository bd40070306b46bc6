"""The page in a real browser: a whole stylisation, by mouse and by keyboard, at the width of a phone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from stylebank.bank import Bank
from tests import styles
from tests.browser import browser, complaints
from tests.conftest import DATA
from tests.web.test_server import ROOT, Server, serving

__all__ = ["browser"]


@pytest.fixture
def paintings(small_bank: Path, tmp_path: Path) -> Bank:
    """A bank of two styles, the second one with other statistics."""
    bank = Bank(tmp_path / "paintings")
    style = Bank(small_bank).get("wave")
    bank.add(style)
    scales = {}
    for scale, layers in style.scales.items():
        scales[scale] = {
            name: dataclasses.replace(gaussian, mean=gaussian.mean * 0.7 if name != "pixels" else gaussian.mean)
            for name, gaussian in layers.items()
        }
    bank.add(dataclasses.replace(style, header=dataclasses.replace(style.header, name="calm"), scales=scales))
    return bank


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "china.png"
    with Image.open(DATA / "subjects/china.jpg") as image:
        image.resize((96, 64)).save(path)
    return path


class Window:
    """What a user sees and does."""

    def __init__(self, driver: Any, server: Server) -> None:
        self.driver, self.server = driver, server
        for kind in ("browser", "performance"):
            driver.get_log(kind)
        driver.get(server.address)
        self.until(lambda: self.all(".style .pick"))

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def until(self, condition: Callable[[], Any], seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, self.one("body").text
            time.sleep(0.05)
        return value

    def put(self, identifier: str, value: Any) -> None:
        text = "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        self.script(text + "for (const n of ['input', 'change']) e.dispatchEvent(new Event(n));", identifier, value)

    def choose_photo(self, path: Path) -> None:
        self.one("#files").send_keys(str(path))
        self.until(lambda: self.script("return document.getElementById('before').naturalWidth"))

    def jobs(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self.server.request("GET", "/api/jobs")["jobs"]
        return jobs

    def shown(self) -> str:
        """Digest of the pixels of the picture in view; empty if there is none."""
        text = """const i = document.getElementById("after"); if (i.hidden || !i.naturalWidth) return "";
            const c = document.createElement("canvas"); c.width = i.naturalWidth; c.height = i.naturalHeight;
            c.getContext("2d").drawImage(i, 0, 0); return c.toDataURL();"""
        data = self.script(text)
        return hashlib.sha256(data.encode()).hexdigest() if data else ""

    def hosts(self) -> set[str]:
        """The hosts that the page asked for anything."""
        hosts = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                hosts.add(message["params"]["request"]["url"].split("/")[2])
        return hosts - {""}


@pytest.fixture
def real(paintings: Bank, tmp_path: Path, browser: Any) -> Iterator[Window]:
    """The page with the network."""
    with serving(paintings, tmp_path / "serve", fake=False) as server:
        yield Window(browser, server)


@pytest.fixture
def window(bank: Bank, tmp_path: Path, browser: Any) -> Iterator[Window]:
    """The page with negatives in place of pictures."""
    with serving(bank, tmp_path / "serve") as server:
        yield Window(browser, server)


def run_command(words: list[str], folder: Path) -> None:
    words = [sys.executable, "-m", "stylebank", *words]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_a_whole_stylisation_has_the_bytes_of_apply(real: Window, photo: Path, tmp_path: Path) -> None:
    page = real
    page.choose_photo(photo)
    page.one('.pick[data-style="wave"]').click()
    page.one('.plus[data-style="calm"]').click()
    shares = page.all(".blend input")
    assert len(shares) == 2
    page.script("arguments[0].value = 0.25; arguments[0].dispatchEvent(new Event('input'))", shares[1])
    assert [each.text for each in page.all(".blend output")] == ["80 %", "20 %"]
    page.put("strength", 0.8)
    page.put("size", 96)
    page.put("steps", 6)
    page.put("brush", 200)
    page.put("format", "png")
    page.one("#paint").click()
    box = page.one("#mask").rect
    mouse = ActionChains(page.driver).move_to_element(page.one("#mask")).click_and_hold()
    mouse.move_by_offset(int(box["width"] / 4), 20).release().perform()
    page.one("#make").click()
    first = page.until(page.shown)
    page.until(lambda: page.shown() not in {"", first})
    page.until(lambda: page.one("#download").is_displayed())
    (job,) = page.jobs()
    assert job["state"] == "done" and job["mask"] and [part["weight"] for part in job["styles"]] == [1.0, 0.25]
    page.one("#copy").click()
    line = page.until(lambda: page.one("#command").text)
    assert line.splitlines()[0] == "# china.png"
    words = shlex.split(line, comments=True)[1:]
    assert words[words.index("--mask") + 1].endswith(job["mask"])
    run_command(words, tmp_path)
    run_command([*words[:-1], "deep.png", "--depth", "16"], tmp_path)
    for selector, name in (("#download", words[-1]), ("#download-deep", "deep.png")):
        fetched = page.script(
            "const r = await fetch(arguments[0]); return Array.from(new Uint8Array(await r.arrayBuffer()));",
            page.one(selector).get_attribute("href"),
        )
        assert bytes(fetched) == (tmp_path / name).read_bytes()
    assert page.hosts() == {page.server.name}
    assert complaints(page.driver) == []


def test_a_picture_is_stopped_and_another_taken_as_it_is(window: Window, photo: Path) -> None:
    window.choose_photo(photo)
    window.one(".pick").click()
    for state, button in (("stopped", "#stop"), ("taken", "#take")):
        window.put("size", 64)
        window.put("steps", 2000)
        window.one("#make").click()
        take = window.one("#take")
        window.until(lambda take=take: take.is_displayed() and take.is_enabled() and window.shown())
        assert "step" in window.one("#progress-text").text
        window.one(button).click()
        window.until(lambda state=state: window.jobs()[-1]["state"] == state)
    window.until(lambda: window.one("#download").is_displayed())
    assert "taken before its end" in window.one("#caption").text
    assert complaints(window.driver) == []


def test_everything_works_by_keyboard(window: Window, photo: Path) -> None:
    window.choose_photo(photo)
    window.one(".pick").send_keys(Keys.SPACE)
    assert window.one(".pick").get_attribute("aria-pressed") == "true"
    window.one("#paint").send_keys(Keys.ENTER)
    canvas = window.driver.switch_to.active_element
    assert canvas.get_attribute("id") == "mask"
    window.put("brush", 150)
    canvas.send_keys(Keys.ARROW_RIGHT, Keys.SPACE, Keys.ARROW_DOWN, Keys.SPACE)
    window.put("size", 256)
    window.one("#steps").send_keys("3", Keys.ENTER)  # a form is sent by Enter
    window.until(lambda: window.one("#download").is_displayed())
    assert window.jobs()[0]["mask"]
    window.one("#compare").send_keys(Keys.ARROW_LEFT * 10)
    assert window.script("return document.getElementById('after').style.clipPath") == "inset(0px 10% 0px 0px)"
    assert complaints(window.driver) == []


def test_likeness_sorts_the_wall_and_tags_filter_it(window: Window, bank: Bank) -> None:
    bank.add(styles.style("wave-2", seed=1, tags=("quiet",)))
    window.driver.refresh()
    window.until(lambda: len(window.all(".pick")) == 3)
    window.one('.pick[data-style="wave"]').click()
    window.put("sort", "likeness")
    window.until(lambda: window.one(".pick").get_attribute("data-style") == "wave")
    distances = [float(each.text) for each in window.all(".distance")]
    assert distances == sorted(distances) and distances[0] == 0 and len(distances) == 3
    (quiet,) = [each for each in window.all("#tags button") if each.text == "quiet"]
    quiet.click()
    assert [each.get_attribute("data-style") for each in window.all(".pick")] == ["wave-2"]
    window.one("#find").send_keys("nothing")
    assert window.all(".pick") == [] and window.one("#wall-count").text == "0 of 3"
    assert complaints(window.driver) == []


def test_a_dropped_painting_asks_for_its_name_and_waits(window: Window, photo: Path) -> None:
    drop = """const [wall, bytes] = [document.getElementById("wall"), Uint8Array.from(arguments[0])];
        const data = new DataTransfer(); data.items.add(new File([bytes], "field.png", {type: "image/png"}));
        wall.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));"""
    window.script(drop, list(photo.read_bytes()))
    window.until(lambda: window.one("#painting").is_displayed())
    assert window.one("#painting-name").get_attribute("value") == "field"
    window.one("#painting-name").clear()
    window.one("#painting-name").send_keys("wave")
    window.one("#painting-add").click()
    window.until(lambda: "wave" in window.one("#painting-say").text)
    window.one("#painting-name").send_keys(" of grass")
    window.one("#painting-tags").send_keys("green, summer")
    window.one("#painting-add").click()
    window.until(lambda: not window.one("#painting").is_displayed())
    (job,) = window.jobs()
    assert (job["kind"], job["name"], job["tags"]) == ("painting", "wave of grass", ["green", "summer"])
    window.server.request("DELETE", f"/api/jobs/{job['id']}")


def test_a_pasted_picture_is_a_photograph(window: Window, photo: Path) -> None:
    paste = """const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(arguments[0])], "image.png", {type: "image/png"}));
        document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));"""
    window.script(paste, list(photo.read_bytes()))
    window.until(lambda: window.one("#caption").text == "image.png, 96 \u00d7 64")


def test_every_control_has_a_name(window: Window, photo: Path) -> None:
    window.choose_photo(photo)
    tree = window.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {
        "button",
        "slider",
        "combobox",
        "searchbox",
        "textbox",
        "spinbutton",
        "link",
        "img",
        "image",
        "progressbar",
    }
    nameless = [
        node["role"]["value"]
        for node in tree
        if node.get("role", {}).get("value") in roles and not node.get("ignored") and not node["name"]["value"]
    ]
    assert nameless == []


@pytest.mark.parametrize("width", [390, 700, 1020, 1280])
def test_nothing_is_wider_than_the_window(window: Window, photo: Path, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        window.choose_photo(photo)
        for button in window.all(".plus"):
            window.script("arguments[0].click()", button)
        window.script("document.getElementById('paint').click()")
        window.put("print", "A4")
        assert window.script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        window.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_errors_are_sentences_on_the_page(window: Window, tmp_path: Path) -> None:

    def say(room: str = "#say") -> str:
        return str(window.one(room).text)

    window.one("#make").click()
    window.until(lambda: say() == "Choose a photograph first.")
    document = tmp_path / "letter.jpg"
    document.write_bytes(b"%PDF-1.7 no picture")
    window.one("#files").send_keys(str(document))
    window.until(lambda: say("#stage-say").startswith("letter.jpg: "))
    window.server.process.kill()
    window.until(lambda: say() == "The server does not answer. Is 'stylebank serve' still running?")
    assert "Traceback" not in window.one("body").text


@pytest.mark.parametrize("size", [(96, 64), (96, 96), (60, 120)])
def test_the_thumb_at_after_shows_the_result_and_is_below_the_dividing_line(
    window: Window, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "gray.png"
    Image.new("RGB", size, (90, 90, 90)).save(path)
    window.choose_photo(path)
    window.one(".pick").click()
    window.put("size", 64)
    window.put("steps", 2)
    window.one("#make").click()
    window.until(lambda: window.one("#download").is_displayed() and window.one("#after").is_displayed())
    assert window.one("#compare").get_attribute("value") == "100"  # at "After"
    box = "const box = (id) => document.getElementById(id).getBoundingClientRect();"
    shown = """const style = getComputedStyle(document.getElementById("after")).clipPath, picture = box("after");
        if (style === "none") return [0, 1];
        const [, right = 0, , left = 0] = style.match(/[-\\d.]+/g).map(Number);
        return [left / 100, 1 - right / 100];"""
    for value, expected in ((100, [0, 1]), (0, [0, 0]), (25, [0, 0.25])):
        window.put("compare", value)
        assert window.script(box + shown) == pytest.approx(expected)
    line = """const range = box("compare"), thumb = 16, divider = box("divider");
        return [range.left + thumb / 2 + 0.25 * (range.width - thumb), (divider.left + divider.right) / 2];"""
    thumb, divider = window.script(box + line)
    assert abs(thumb - divider) < 2


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (1280, 600), (900, 700), (390, 844)])
def test_a_message_is_beside_the_field_that_it_is_about(window: Window, photo: Path, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        window.choose_photo(photo)
        window.script("document.querySelector('.pick').click()")
        window.put("print", "10x15")
        window.script("document.getElementById('make').click()")
        window.until(lambda: window.one("#say").text.startswith("print '10x15'"))
        assert window.script("return document.activeElement.id") == "print"
        # nothing lies on the field in view, nor on the label above it
        covered = """return ["print", "size"].filter((id) => {
            const label = document.getElementById(id).closest("label"), box = label.getBoundingClientRect();
            return [2, box.height - 4].some((y) => {
              const seen = document.elementFromPoint(box.left + 5, box.top + y);
              return !label.contains(seen);
            });
          });"""
        assert window.script(covered) == []
        overlap = """const make = document.querySelector(".make").getBoundingClientRect();
            const fields = document.getElementById("fields").getBoundingClientRect();
            return fields.bottom - make.top;"""
        assert window.script(overlap) <= 0.5
    finally:
        window.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_rows_of_the_queue_say_what_differs(window: Window, photo: Path) -> None:
    window.choose_photo(photo)
    window.one(".pick").click()
    window.put("size", 64)
    window.put("steps", 2)
    for detail in (0.25, 0.75):
        window.put("content_detail", detail)
        window.put("content_weight", 8)
        window.one("#make").click()
        window.until(lambda detail=detail: window.jobs() and window.jobs()[-1]["settings"]["content_detail"] == detail)
    window.until(lambda: [each.text[:4] for each in window.all(".job .details")] == ["64 \u00d7"] * 2)
    assert [job["settings"]["content_weight"] for job in window.jobs()] == [8, 8]
    texts = [each.text for each in window.all(".job .details")]
    assert ["content 8, detail 0.75" in texts[0], "content 8, detail 0.25" in texts[1]] == [True, True]
