"""The contact sheet: as a picture, and as a page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank.errors import OutputRefused, UsageError
from stylebank.pages import sheet, sheet_picture
from stylebank.pages.panels import Panel, Sheet
from stylebank.pages.sheet_picture import unprintable_labels
from tests.browser import browser, complaints, open_page
from tests.stylebank.pages.conftest import NASTY

__all__ = ["browser"]
COLORS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 0, 250)]


def flat(color: tuple[int, int, int], size: tuple[int, int] = (160, 100)) -> Image.Image:
    return Image.new("RGB", size, color)


def wall(*labels: str, **options: Any) -> Sheet:
    panels = [Panel(label, flat(COLORS[index + 1]), command=f"stylebank {index}") for index, label in enumerate(labels)]
    return Sheet("photo.jpg in some styles", Panel("photo.jpg", flat(COLORS[0])), tuple(panels), **options)


def place(image: Image.Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, width and height of a colour."""
    rows, columns = np.nonzero((np.asarray(image) == color).all(axis=-1))
    return columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1


def test_every_picture_stands_at_its_size_in_reading_order_after_the_photograph() -> None:
    drawn = sheet.draw(wall("a", "b", "c", "d", "e"))
    places = [place(drawn, color) for color in COLORS]
    assert {each[2:] for each in places} == {(160, 100)}
    assert sorted(places, key=lambda each: (each[1], each[0])) == places


def test_a_label_stands_below_its_picture() -> None:
    drawn = np.asarray(sheet.draw(wall("a", "b"))).astype(int)
    for color in COLORS[:3]:
        left, top, width, height = place(Image.fromarray(drawn.astype(np.uint8)), color)
        below = drawn[top + height : top + height + 22, left : left + width].sum(axis=-1)
        assert (below < 300).sum() > 5, color


def test_a_table_has_a_row_for_each_row_label() -> None:
    table = wall("1", "2", "3", "4", columns=("strength 0.5", "strength 1"), rows=("seed 0", "seed 1"))
    drawn = sheet.draw(table)
    first, second, third, fourth = (place(drawn, color) for color in COLORS[1:5])
    assert first[1] == second[1] < third[1] == fourth[1]
    assert first[0] == third[0] < second[0] == fourth[0]
    assert place(drawn, COLORS[0])[1] < first[1]


def test_a_picture_that_is_missing_has_its_reason() -> None:
    missing = Sheet("t", Panel("p", flat(COLORS[0])), (Panel("bad", None, "memory is used up"),))
    assert missing.failed == missing.panels
    assert "memory is used up" in sheet.html(missing)
    empty = Sheet("t", Panel("p", flat(COLORS[0])), (Panel("bad", None),))
    assert np.asarray(sheet.draw(missing)).tobytes() != np.asarray(sheet.draw(empty)).tobytes()


def test_large_sheets_are_reduced_to_what_a_jpeg_holds(tmp_path: Path) -> None:
    panels = tuple(Panel(str(n), flat(COLORS[1], (900, 16))) for n in range(1500))
    drawn = sheet.draw(Sheet("t", Panel("p", flat(COLORS[0], (900, 16))), panels))
    assert max(drawn.size) < 65_500


@pytest.mark.parametrize("label", ["x" * 400, "two words " * 60, "", "a\nb"])
def test_labels_of_any_length_stay_on_the_sheet(label: str) -> None:
    drawn = sheet.draw(wall(label))
    assert drawn.width < 2 * 160 + 100


@pytest.fixture
def only_the_bundled_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sheet_picture, "_SYSTEM_FONTS", ())
    sheet_picture._font.cache_clear()
    yield
    sheet_picture._font.cache_clear()


@pytest.mark.usefixtures("only_the_bundled_font")
def test_characters_that_the_font_lacks_are_reported(tmp_path: Path) -> None:
    assert unprintable_labels(wall("wave", "wave-2 (x)_~")) == []
    assert unprintable_labels(wall("wave", "北斎")) == ["北斎"]
    notes: list[str] = []
    sheet.write(wall("北斎"), tmp_path / "a.png", note=notes.append)
    assert len(notes) == 1 and "北斎" in notes[0]
    sheet.write(wall("北斎"), tmp_path / "a.html", note=notes.append)
    assert len(notes) == 1 and "北斎" in (tmp_path / "a.html").read_text("utf-8")


def test_a_font_of_the_system_writes_what_the_bundled_one_lacks() -> None:
    dejavu = pytest.importorskip("matplotlib.font_manager").findfont("DejaVu Sans")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sheet_picture, "_SYSTEM_FONTS", ("no such font.ttf", dejavu))
        sheet_picture._font.cache_clear()
        assert unprintable_labels(wall("Café", "Étretat")) == []
        accented, plain = sheet.draw(wall("É")), sheet.draw(wall("È"))
        assert accented.tobytes() != plain.tobytes()
    sheet_picture._font.cache_clear()


@pytest.mark.parametrize(("name", "format"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "PNG")])
def test_the_suffix_chooses_the_format(tmp_path: Path, name: str, format: str) -> None:
    path = sheet.write(wall("a"), tmp_path / "new" / name)
    with Image.open(path) as image:
        assert image.format == format


def test_other_suffixes_and_existing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a sheet is a"):
        sheet.require_output(tmp_path / "a.tiff")
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(OutputRefused, match="already exists"):
        sheet.write(wall("a"), tmp_path / "a.png")
    sheet.write(wall("a"), tmp_path / "a.png", overwrite=True)


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.commands: list[str | None] = []
        self.loads: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "data-command" in values:
            self.commands.append(values["data-command"])
        self.loads += [values[key] for key in ("src", "href") if key in values]


def test_a_page_holds_every_command_and_loads_nothing() -> None:
    nasty = wall(NASTY, "\"quoted\" & 'more'")
    parser = _Attributes()
    parser.feed(sheet.html(nasty))
    assert parser.commands == ["stylebank 0", "stylebank 1"]
    assert all(address and address.startswith("data:") for address in parser.loads)
    assert NASTY not in sheet.html(nasty)


def test_a_button_copies_its_command(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    table = wall("1", "2", "3", "4", columns=("strength 0.5", "strength 1"), rows=("seed 0", "seed 1"))
    open_page(browser, sheet.write(table, tmp_path / "sheet.html"))
    assert complaints(browser) == []
    buttons = browser.find_elements(By.TAG_NAME, "button")
    assert [button.accessible_name for button in buttons] == [f"Copy the command for {n}" for n in "1234"]
    assert len(browser.find_elements(By.CSS_SELECTOR, "th[scope=row]")) == 2
    buttons[2].click()
    said = browser.find_element(By.ID, "said")
    WebDriverWait(browser, 10).until(lambda _: said.text)
    assert said.text == "Copied:"
    assert browser.find_element(By.ID, "command").text == "stylebank 2"
    assert complaints(browser) == []


def test_a_page_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    before = browser.get_window_size()
    browser.set_window_size(500, 800)  # the least that Chromium's window takes
    try:
        open_page(browser, sheet.write(wall("a", "b" * 80), tmp_path / "sheet.html"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.set_window_size(before["width"], before["height"])
