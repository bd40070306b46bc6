"""The report: what it shows of a record, and that it works in a browser."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.jobs import report
from pipeline.jobs.record import Entry, Record
from stylebank import images
from stylebank.errors import OutputRefused, UsageError
from tests.browser import browser, complaints, open_page
from tests.jobs.test_record import ENTRY

__all__ = ["browser"]


def _picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> str:
    pixels = np.tile(np.array(colour, np.float32), (size[1], size[0], 1))
    return images.save(path, pixels, format="png", quality=90)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of three red subjects turned blue, one of them failed."""
    subject = _picture(tmp_path / "red.png", (250, 10, 10))
    out = tmp_path / "out"
    out.mkdir()
    record = Record(out)
    for number, (name, style, loss) in enumerate([("a", "wave", 0.5), ("b", "stars", 0.25), ("c", "wave", None)]):
        output = _picture(out / f"{name}.png", (10, 10, 250)) if loss else None
        record.append(
            dataclasses.replace(
                ENTRY,
                subject=str(tmp_path / "red.png"),
                subject_sha256=subject,
                style=style,
                output=f"{name}.png",
                output_sha256=output,
                status="done" if loss else "failed",
                error=None if loss else "c.png: <b>the disk</b> is full. Free some space.",
                start_loss=1.0 if loss else None,
                final_loss=loss,
                seconds=10.0 * (3 - number) if loss else None,
                losses=[1.0, 0.7, loss] if loss else None,
                timings={"decode": 0.5, "setup": 1.0, "compute": 8.0, "encode": 0.25} if loss else None,
            )
        )
    return out


def test_the_page_holds_everything_and_asks_for_nothing(made: Path) -> None:
    page = report.write(made).read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 5  # three subjects, two outputs
    assert "http:" not in page and "https:" not in page and 'src="/' not in page
    assert "2 done, 1 failed" in page
    assert "&lt;b&gt;the disk&lt;/b&gt; is full" in page and "<b>the disk" not in page
    assert "compute 16.0 s" in page and page.count("<polyline") == 2
    assert "loss 1 to 0.25 in 20.0 s" in page


def test_the_last_line_of_an_output_counts(made: Path) -> None:
    record = Record(made)
    record.append(dataclasses.replace(record.entries()[2], status="failed", error="again"))
    record.append(dataclasses.replace(record.entries()[0], status="skipped"))
    entries = report.latest(record.entries())
    assert [(entry.output, entry.status) for entry in entries] == [
        ("a.png", "done"),
        ("b.png", "done"),
        ("c.png", "failed"),
    ]
    assert "2 done, 1 failed" in report.write(made).read_text("utf-8")


def test_files_that_changed_or_went_are_said_not_shown(made: Path) -> None:
    _picture(made / "a.png", (0, 0, 0))
    (made / "b.png").unlink()
    Path(Record(made).entries()[0].subject).unlink()
    page = report.write(made).read_text("utf-8")
    assert "the output has changed since the run" in page and "the output is missing" in page
    assert page.count("the subject is missing") == 3
    assert "data:image/jpeg" not in page


def test_a_subject_named_from_a_folder_above_is_found(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record(made)
    entries = [dataclasses.replace(entry, subject="red.png") for entry in record.entries()]
    record.path.unlink()
    record.append(*entries)
    monkeypatch.chdir(made)
    assert report.write(".").read_text("utf-8").count("data:image/jpeg;base64,") == 5


def test_a_line_without_losses_is_shown_and_one_of_wrong_types_is_passed_over(made: Path) -> None:
    lines = [json.loads(line) for line in Record(made).path.read_text().splitlines()]
    del lines[0]["timings"]
    (made / "stylebank.losses.jsonl").unlink()
    lines[1].update(losses="x", timings=[1], settings=7, seconds="long", final_loss=float("nan"), subject=5)
    Record(made).path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = report.write(made).read_text("utf-8")
    assert "<polyline" not in page and "1 done, 1 failed" in page


def test_a_folder_without_a_record_and_a_page_that_is_none_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"elsewhere: no such folder"):
        report.write(tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no record of pictures"):
        report.write(tmp_path / "empty")
    with pytest.raises(UsageError, match=r"a\.png: not the name of a page"):
        report.write(made, made / "a.png")
    (tmp_path / "file").touch()
    with pytest.raises(OutputRefused):
        report.write(made, tmp_path / "file/page.html")


def _shown(browser: Any) -> list[str]:
    return list(
        browser.execute_script(
            "return [...document.querySelectorAll('article')].filter(c => !c.hidden).map(c => c.dataset.name)"
        )
    )


def _give(browser: Any, identity: str, value: str) -> None:
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        identity,
        value,
    )


def test_in_a_browser_the_slider_moves_the_filter_filters_and_the_sort_sorts(made: Path, browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    open_page(browser, report.write(made))
    assert _shown(browser) == ["a.png", "b.png", "c.png"]

    def middle() -> tuple[int, ...]:
        """Colour at three eighths of the first pair, as it is on the screen."""
        pair = browser.find_element(By.CSS_SELECTOR, ".pair")
        shot = Image.open(BytesIO(pair.screenshot_as_png)).convert("RGB")
        width = pair.find_element(By.CSS_SELECTOR, "input").size["width"]
        place = (shot.width - width) // 2 + width * 3 // 8, shot.height // 2
        return tuple(int(value) for value in shot.getpixel(place))

    red, _green, blue = middle()
    assert red > 200 and blue < 60  # left of the middle the subject shows
    slider = browser.find_element(By.CSS_SELECTOR, ".pair input")
    width = slider.size["width"]
    ActionChains(browser).move_to_element(slider).click_and_hold().move_by_offset(-width // 4, 0).release().perform()
    assert 15 < int(slider.get_property("value")) < 35
    red, _green, blue = middle()
    assert red < 60 and blue > 200  # and now the output

    browser.find_element(By.ID, "words").send_keys("b.png")
    assert _shown(browser) == ["b.png"]
    browser.find_element(By.ID, "words").clear()
    _give(browser, "words", "")
    _give(browser, "style", "wave")
    assert _shown(browser) == ["a.png", "c.png"]
    _give(browser, "status", "failed")
    assert _shown(browser) == ["c.png"]
    assert browser.find_element(By.ID, "shown").text == "1 of 3"
    _give(browser, "style", "")
    _give(browser, "status", "")
    for order, names in (
        ("status", ["c.png", "a.png", "b.png"]),
        ("seconds", ["a.png", "b.png", "c.png"]),
        ("loss", ["a.png", "b.png", "c.png"]),
        ("style", ["b.png", "a.png", "c.png"]),
    ):
        _give(browser, "sort", order)
        assert _shown(browser) == names, order
    assert complaints(browser) == []


def test_five_hundred_pictures_load_and_the_page_stays_small(tmp_path: Path, browser: Any) -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (12, 18, 3)).astype(np.float32)
    picture = tmp_path / "picture.jpg"
    digest = images.save(picture, images.resize(noise, (360, 240)), format="jpg", quality=90)
    entries: list[Entry] = []
    for number in range(500):
        failed = number % 50 == 7
        entries.append(
            dataclasses.replace(
                ENTRY,
                subject=str(picture),
                subject_sha256=digest,
                output=f"../picture{number:03d}.jpg" if failed else f"../{number:03d}/../picture.jpg",
                output_sha256=digest,
                status="failed" if failed else "done",
                error="no" if failed else None,
                losses=[1 / (step + 1) for step in range(80)],
            )
        )
        (tmp_path / f"{number:03d}").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "stylebank.jsonl").write_text("".join(f"{entry.json()}\n" for entry in entries))
    page = report.write(out)
    assert page.stat().st_size < 12_000_000
    open_page(browser, page)
    assert len(_shown(browser)) == 500
    decoded = browser.execute_async_script(
        "const done = arguments[0];"
        "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
        ".then(w => done(w.filter(x => x > 0).length), e => done(String(e)))"
    )
    assert decoded == 990
    _give(browser, "status", "failed")
    assert len(_shown(browser)) == 10
    assert complaints(browser) == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [event["params"]["request"]["url"] for event in asked if event["method"] == "Network.requestWillBeSent"]
    assert addresses and all(address.startswith(("file:", "data:")) for address in addresses)
