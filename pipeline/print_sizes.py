"""Sizes of prints: what a text such as ``30x20cm`` or ``A4`` means in pixels, and how a photograph lies on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stylebank.errors import UsageError
from stylebank.images import SMALLEST_SIDE, fit

from .validation import shown

#: Dots per inch of a print without a density.
PRINT_DPI = 300.0
FITS = ("crop", "border")
_MM_PER_INCH = 25.4
#: Millimetres per unit, and the unit of the normalised text with its millimetres.
_UNITS = {"mm": (1.0, "cm", 10.0), "cm": (10.0, "cm", 10.0), "in": (_MM_PER_INCH, "in", _MM_PER_INCH)}
_UNIT_NAMES = {"inch": "in", "inches": "in", '"': "in", "\u2033": "in"}
#: Short and long side of the named formats in millimetres: ISO 216, and ANSI of North America.
FORMATS = {
    "A0": (841.0, 1189.0),
    "A1": (594.0, 841.0),
    "A2": (420.0, 594.0),
    "A3": (297.0, 420.0),
    "A4": (210.0, 297.0),
    "A5": (148.0, 210.0),
    "A6": (105.0, 148.0),
    "Letter": (8.5 * _MM_PER_INCH, 11 * _MM_PER_INCH),
    "Legal": (8.5 * _MM_PER_INCH, 14 * _MM_PER_INCH),
    "Tabloid": (11 * _MM_PER_INCH, 17 * _MM_PER_INCH),
}
#: Largest number of a written size, in its unit: 100 m in mm.
_MAX_SIDE = 100_000
_MEASURED = re.compile(
    r"(\d+(?:\.\d+)?)\s*[x\u00d7*]\s*(\d+(?:\.\d+)?)\s*(mm|cm|in|inch|inches|\"|\u2033)", re.IGNORECASE
)

#: Left, top, right and bottom edge as fractions of width and height.
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class PrintSize:
    """Size of a sheet of paper.

    Attributes
    ----------
    text : str
        The normalised text; equal sizes in mm and cm have one text.
    width, height : float
        Millimetres. Of a named format, `width` is the shorter one.
    turns : bool
        Whether the sheet lies as the photograph does. Only named formats turn.
    """

    text: str
    width: float
    height: float
    turns: bool

    def pixels(self, dpi: float, subject_size: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        """Return width and height in pixels, for a photograph of (width, height) in any unit."""
        sides = round(self.width / _MM_PER_INCH * dpi), round(self.height / _MM_PER_INCH * dpi)
        return sides[::-1] if self.turns and subject_size[0] > subject_size[1] else sides

    @property
    def turned_text(self) -> str:
        """The text of a written size in the other orientation."""
        width, height = self.text.split("x")
        return f"{height[:-2]}x{width}{height[-2:]}"


def parse(text: str) -> PrintSize:
    """Return the print size that a text names: ``30x20cm``, ``300x200mm``, ``12x8in``, or a named format.

    Raises
    ------
    UsageError
    """
    by_key = {name.casefold(): name for name in FORMATS}
    name = by_key.get(text.strip().casefold())
    if name is not None:
        return PrintSize(name, *FORMATS[name], True)
    parts = _MEASURED.fullmatch(text.strip())
    if parts is None or not all(0 < float(side) <= _MAX_SIDE for side in parts.groups()[:2]):
        raise UsageError(
            f"print {shown(text)}: expected width x height with a unit, such as 30x20cm, 300x200mm or 12x8in, "
            f"or one of {', '.join(FORMATS)}."
        )
    unit = parts[3].lower()
    millimetres, shown_unit, per_unit = _UNITS[_UNIT_NAMES.get(unit, unit)]
    width, height = float(parts[1]) * millimetres, float(parts[2]) * millimetres
    return PrintSize(f"{width / per_unit:.6g}x{height / per_unit:.6g}{shown_unit}", width, height, False)


def longest_side(text: str, dpi: float) -> int:
    """Return the longest side of a print in pixels.

    Raises
    ------
    UsageError
        If the text is no size, or the shorter side has too few pixels.
    """
    size = parse(text).pixels(dpi)
    if min(size) < SMALLEST_SIDE:
        raise UsageError(
            f"print {text}: {size[0]} x {size[1]} pixels at {dpi:g} dpi; each side needs at least {SMALLEST_SIDE}. "
            "Choose a larger print or a higher --dpi."
        )
    return max(size)


@dataclass(frozen=True)
class Layout:
    """How a photograph lies on a sheet.

    Attributes
    ----------
    paper : (int, int)
        Width and height of the sheet in pixels.
    size : (int, int)
        Width and height of the picture on it; with ``crop``, those of the sheet.
    box : Box
        Part of the photograph that is used, in fractions.
    dpi : float
        Dots of the photograph per inch of paper.
    """

    paper: tuple[int, int]
    size: tuple[int, int]
    box: Box
    dpi: float


def lay_out(subject_size: tuple[int, int], text: str, dpi: float, how: str) -> Layout:
    """Return how a photograph of (width, height) pixels lies on a sheet.

    Parameters
    ----------
    text
        As for `parse`.
    how : {"crop", "border"}
        ``crop`` fills the sheet with the centre of the photograph; ``border`` puts all of it in the centre.

    Raises
    ------
    UsageError
        If the picture on the sheet is too thin.
    """
    width, height = subject_size
    paper = parse(text).pixels(dpi, subject_size)
    if how == "border":
        ratio = min(paper[0] / width, paper[1] / height)
        try:
            size = fit(subject_size, min(round(max(subject_size) * ratio), max(paper)))
        except UsageError:
            raise UsageError(
                f"print {text}: a picture of {width} x {height} pixels would have less than {SMALLEST_SIDE} on its "
                f"shorter side at {dpi:g} dpi. Choose a larger print, a higher --dpi, or --fit crop."
            ) from None
        return Layout(paper, (min(size[0], paper[0]), min(size[1], paper[1])), (0.0, 0.0, 1.0, 1.0), dpi / ratio)
    ratio = min(width / paper[0], height / paper[1])
    left, top = (1 - paper[0] * ratio / width) / 2, (1 - paper[1] * ratio / height) / 2
    return Layout(paper, paper, (left, top, 1 - left, 1 - top), dpi * ratio)


def overridden(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings over those below them; a print replaces the size below it, and a size the print."""
    rivals = {"print": {"size"}, "size": {"print", "fit"}}
    without = {rival for key, rivals_of_key in rivals.items() if above.get(key) is not None for rival in rivals_of_key}
    return {**{key: value for key, value in below.items() if key not in without}, **above}
