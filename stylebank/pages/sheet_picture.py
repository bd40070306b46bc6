"""The contact sheet drawn as one picture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ..errors import printable
from .panels import Panel, Sheet

_BACKGROUND, _INK, _SOFT, _EMPTY, _ALARM = (246, 245, 243), (29, 29, 31), (90, 90, 95), (228, 226, 221), (160, 40, 30)
_MARGIN, _GAP, _TEXT_GAP = 24, 16, 5
_TITLE, _LABEL, _SMALL = 20, 15, 13
#: Width that a label needs at least, in pixels; a picture can be narrower.
_MIN_WIDTH = 128
_LABEL_LINES = 2
#: Longest side of a sheet in pixels; above it, the pictures are reduced. JPEG has room for 65,535.
_MAX_SIDE = 16_000
_ASPECT = 1.7
_LINE = 1.3
#: The bundled font has ASCII only. For other texts, the first of these that is installed and has all characters.
_BUNDLED = ""
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
)


def draw(sheet: Sheet) -> Image.Image:
    """Return the sheet as an image in RGB: a table if it has rows, else the photograph and the pictures in turn."""
    return _draw_table(sheet) if sheet.rows else _draw_wall(sheet)


def unprintable_labels(sheet: Sheet) -> list[str]:
    """Return the texts on the sheet with characters that no font here has."""
    texts = [sheet.title, sheet.photo.label, *(panel.label for panel in sheet.panels)]
    return [text for text in texts if not any(_has_all(name, printable(text)) for name in (_BUNDLED, *_SYSTEM_FONTS))]


@cache
def _named_font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont | None:
    """Return a font of the system, or the bundled one; None if it is not installed."""
    if name == _BUNDLED:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@cache
def _glyph(name: str, character: str) -> tuple[tuple[int, int], bytes] | None:
    font = _named_font(name, _LABEL)
    if font is None:
        return None
    mask: Any = font.getmask(character)
    return mask.size, bytes(mask)


def _has_all(name: str, text: str) -> bool:
    """Return whether a font has a shape for each character."""
    missing = _glyph(name, "\uffff")
    return missing is not None and all(_glyph(name, c) != missing for c in set(text) - {" "})


@lru_cache(maxsize=4096)
def _font(size: int, text: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the first font that has all characters, else the bundled one."""
    name = next((name for name in (_BUNDLED, *_SYSTEM_FONTS) if _has_all(name, text)), _BUNDLED)
    font = _named_font(name, size)
    assert font is not None
    return font


@dataclass(frozen=True)
class _Canvas:
    image: Image.Image
    draw: ImageDraw.ImageDraw

    @staticmethod
    def of(width: float, height: float) -> _Canvas:
        image = Image.new("RGB", (math.ceil(width), math.ceil(height)), _BACKGROUND)
        return _Canvas(image, ImageDraw.Draw(image))

    def text(
        self, place: tuple[float, float], lines: Sequence[str], size: int, ink: tuple[int, int, int] = _INK
    ) -> None:
        for number, line in enumerate(lines):
            self.draw.text((place[0], place[1] + number * _LINE * size), line, ink, _font(size, line))

    def panel(self, panel: Panel, place: tuple[int, int], cell: tuple[int, int]) -> None:
        """Draw a picture at the top left of its cell, or the reason for a missing one."""
        left, top = place
        width, height = cell
        if panel.image is None:
            self.draw.rectangle((left, top, left + width - 1, top + height - 1), fill=_EMPTY)
            self.text((left + 10, top + 8), ["no picture"], _LABEL, _ALARM)
            rest = int((height - 16 - _LINE * _LABEL) // (_LINE * _SMALL))
            lines = _wrapped(panel.error, _SMALL, width - 20, max(rest, 0))
            self.text((left + 10, top + 8 + _LINE * _LABEL), lines, _SMALL, _SOFT)
            return
        size = _fitted(panel.image.size, cell)
        image = panel.image if size == panel.image.size else panel.image.resize(size, Image.Resampling.LANCZOS)
        self.image.paste(image, place)


def _draw_wall(sheet: Sheet) -> Image.Image:
    panels = (sheet.photo, *sheet.panels)
    labels = _LABEL_LINES * _LINE * _LABEL + _TEXT_GAP
    cell = _cell(panels)
    columns = _best_columns(len(panels), (cell[0] + _GAP, cell[1] + labels + _GAP))
    rows = math.ceil(len(panels) / columns)
    cell = _reduced(cell, columns, rows)
    wrapped = [_wrapped(panel.label, _LABEL, cell[0], _LABEL_LINES) for panel in panels]
    heights = [
        cell[1] + _TEXT_GAP + max(map(len, wrapped[start : start + columns])) * _LINE * _LABEL + _GAP
        for start in range(0, len(panels), columns)
    ]
    width = 2 * _MARGIN + columns * (cell[0] + _GAP) - _GAP
    title = _wrapped(sheet.title, _TITLE, width - 2 * _MARGIN, 3)
    top = _MARGIN + len(title) * _LINE * _TITLE + _GAP / 2
    canvas = _Canvas.of(width, top + sum(heights) - _GAP + _MARGIN)
    canvas.text((_MARGIN, _MARGIN), title, _TITLE)
    for row in range(rows):
        for column in range(columns):
            index = row * columns + column
            if index < len(panels):
                left = _MARGIN + column * (cell[0] + _GAP)
                canvas.panel(panels[index], (left, round(top)), cell)
                canvas.text((left, top + cell[1] + _TEXT_GAP), wrapped[index], _LABEL)
        top += heights[row]
    return canvas.image


def _draw_table(sheet: Sheet) -> Image.Image:
    columns, rows = len(sheet.columns), len(sheet.rows)
    cell = _reduced(_cell((sheet.photo, *sheet.panels)), columns + 1, rows + 1)
    side = max(math.ceil(max(_width(line, _LABEL) for line in label.split(" "))) for label in sheet.rows) + 12
    header = max(len(_wrapped(label, _LABEL, cell[0], _LABEL_LINES)) for label in sheet.columns) * _LINE * _LABEL
    width = max(2 * _MARGIN + side + columns * (cell[0] + _GAP) - _GAP, 2 * _MARGIN + 2 * cell[0] + _GAP)
    photo_label = _wrapped(sheet.photo.label, _LABEL, cell[0], _LABEL_LINES)
    title = _wrapped(sheet.title, _TITLE, width - 2 * _MARGIN - cell[0] - _GAP, 6)
    above = max(cell[1] + _TEXT_GAP + len(photo_label) * _LINE * _LABEL, len(title) * _LINE * _TITLE)
    top = _MARGIN + above + _GAP
    first = top + header + _TEXT_GAP
    canvas = _Canvas.of(width, first + rows * (cell[1] + _GAP) - _GAP + _MARGIN)
    canvas.panel(sheet.photo, (_MARGIN, _MARGIN), cell)
    canvas.text((_MARGIN, _MARGIN + cell[1] + _TEXT_GAP), photo_label, _LABEL)
    canvas.text((_MARGIN + cell[0] + _GAP, _MARGIN), title, _TITLE)
    for column, label in enumerate(sheet.columns):
        left = _MARGIN + side + column * (cell[0] + _GAP)
        canvas.text((left, top), _wrapped(label, _LABEL, cell[0], _LABEL_LINES), _LABEL)
    for row, label in enumerate(sheet.rows):
        y = round(first + row * (cell[1] + _GAP))
        canvas.text((_MARGIN, y), label.split(" "), _LABEL)
        for column in range(columns):
            place = _MARGIN + side + column * (cell[0] + _GAP), y
            canvas.panel(sheet.panels[row * columns + column], place, cell)
    return canvas.image


def _cell(panels: Iterable[Panel]) -> tuple[int, int]:
    """Return the size of a cell that holds every picture."""
    sizes = [panel.image.size for panel in panels if panel.image is not None]
    return max(_MIN_WIDTH, *(width for width, _ in sizes)), max((height for _, height in sizes), default=_MIN_WIDTH)


def _reduced(cell: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """Return the cell, reduced so that the sheet stays below `_MAX_SIDE`."""
    ratio = min(1.0, _MAX_SIDE / (columns * cell[0]), _MAX_SIDE / (rows * cell[1]))
    return max(1, int(cell[0] * ratio)), max(1, int(cell[1] * ratio))


def _best_columns(count: int, cell: tuple[float, float]) -> int:
    """Return the number of columns for a sheet wider than high, with few empty places."""

    def score(columns: int) -> float:
        rows = math.ceil(count / columns)
        shape = abs(math.log(columns * cell[0] / (rows * cell[1]) / _ASPECT))
        return shape + (columns * rows - count) / (columns * rows)

    return min(range(1, count + 1), key=score)


def _fitted(size: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    ratio = min(1.0, cell[0] / size[0], cell[1] / size[1])
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _width(text: str, size: int) -> float:
    return float(_font(size, text).getlength(text))


def _wrapped(text: str, size: int, width: float, count: int) -> list[str]:
    """Break a text into at most `count` lines of a width in pixels; what is too long ends in three dots."""
    lines: list[str] = []
    rest = printable(text)
    while rest and len(lines) < count:
        fitting = _fitting(rest, size, width)
        if fitting == len(rest):
            return [*lines, rest]
        if len(lines) == count - 1:
            return [*lines, rest[: _fitting(rest, size, width - _width("...", size))].rstrip() + "..."]
        ends = [match.end() for match in re.finditer(r"[\s_/.,-]", rest[: fitting + 1])]
        breaks = [end for end in ends if len(rest[:end].rstrip()) <= fitting]
        end = max((place for place in breaks if place > fitting // 3), default=fitting)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines


def _fitting(text: str, size: int, width: float) -> int:
    """Return how many characters of a text fit into a width, one at least."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _width(text[:middle], size) <= width else (low, middle - 1)
    return low
