"""The map: styles placed in the plane by their distances."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..bank import Bank, similarity
from ..bank.embedding import approximate_distances, matrix
from ..errors import StyleFileError, UsageError, printable
from ..files import make_folder
from ..images import save
from ..math.gaussian import Array
from ..math.mds import classical_mds
from ..storage import reader
from ..style import layer_order, nearest_scale
from .gallery import Card, read_cards
from .html import data_uri, render, require_new, write_page

#: Largest number of styles for exact distances.
EXACT = 24
_WIDTH, _HEIGHT, _MARGIN = 1600, 1200, 60
_BACKGROUND, _INK = (246, 245, 243), (29, 29, 31)


@dataclass(frozen=True, eq=False)
class Atlas:
    """Styles with their positions.

    Attributes
    ----------
    shown : tuple of Card
    places : ndarray, float64, shape (n, 2)
        Positions in units of the distance.
    stress : float
        Fraction of the squared distances that the plane does not show, 0 to 1.
    exact : bool
        Whether the distances are exact.
    """

    cards: tuple[Card, ...]
    positions: Array
    stress: float
    exact: bool

    @property
    def note(self) -> str:
        """Description of the map in one sentence."""
        kind = "Wasserstein-2 distances" if self.exact else "the distances of their covariances' roots"
        return (
            f"{len(self.cards)} style{'' if len(self.cards) == 1 else 's'}, placed by classical scaling of {kind}; "
            f"the plane shows {1 - self.stress:.0%} of the distances' squares."
        )


def atlas(
    bank: Bank,
    *,
    tags: Sequence[str] = (),
    scale: int = similarity.SCALE,
    layers: Sequence[str] = (),
    exact: int = EXACT,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[Atlas, list[StyleFileError]]:
    """Place the styles of a bank that share the most common fingerprint.

    Parameters
    ----------
    tags
        Only styles that have all of them.
    scale
        Longest side of the comparison. A style without a scale within half an octave is left out.
    layers
        Layers to compare; by default those of the most common fingerprint.
    exact
        Largest number of styles for exact W2. For more, `approximate_distances` are used.
    note
        Function of a message for the user.

    Raises
    ------
    UsageError
        If the bank has no style to place.
    """
    cards, damaged = read_cards(bank, tags=tags, note=note)
    if not cards:
        which = "has none with these tags" if tags else "is empty"
        raise UsageError(f"no style to place on a map: the bank {which}. 'stylebank list' shows all.")
    fingerprint = Counter(card.header.fingerprint for card in cards).most_common(1)[0][0]
    reference = next(card.header for card in cards if card.header.fingerprint == fingerprint)
    scale = nearest_scale(reference.sizes, scale)
    chosen = layer_order(layers) if layers else fingerprint.layers
    reference.fingerprint.require(reference.name, layers=chosen)
    paths = {header.name: path for header, path in bank.entries()[0]}
    entries, left_out = similarity.comparable(
        [(card.header, paths[card.header.name]) for card in cards if card.header.name in paths],
        reference,
        scale,
        chosen,
    )
    for text in similarity.left_out_notes(left_out, len(cards)):
        note(text)
    in_full = len(entries) <= exact
    if in_full:
        loaded = []
        for entry in list(entries):
            try:
                loaded.append(reader.read(entry.path, [entry.scale]).scales[entry.scale])
            except StyleFileError as error:
                damaged.append(error)
                entries.remove(entry)
        distances = matrix(loaded, chosen)
    else:
        distances, entries, unread = approximate_distances(entries, chosen)
        damaged += unread
    if not entries:
        raise UsageError("no style to place on a map: all are damaged. 'stylebank verify' shows why.")
    names = {entry.header.name for entry in entries}
    positions = classical_mds(distances)
    squares = distances**2
    plane_squares = ((positions[:, None] - positions) ** 2).sum(axis=-1)
    stress = float(np.abs(squares - plane_squares).sum() / squares.sum()) if squares.any() else 0.0
    return Atlas(
        tuple(card for card in cards if card.header.name in names), positions, min(1.0, stress), in_full
    ), damaged


def require_output(output: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the file of a map; to be called before the distances are computed.

    Raises
    ------
    UsageError
        If the name ends in neither ``.html`` nor ``.png``.
    OutputRefused
        If the file exists and `overwrite` is False.
    """
    target = Path(output)
    if target.suffix.lower() not in {".html", ".htm", ".png"}:
        raise UsageError(f"{printable(target)}: a map is a .html or a .png file. Choose such a name.")
    require_new(target, overwrite)
    return target


def write(layout: Atlas, output: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a map as a page to pan and zoom (``.html``), or as an image (``.png``).

    Raises
    ------
    UsageError, OutputRefused
    """
    target = require_output(output, overwrite=overwrite)
    if target.suffix.lower() != ".png":
        return write_page(target, html(layout), overwrite=overwrite)
    make_folder(target.parent)
    save(target, np.asarray(picture(layout), np.float32), format="png", quality=95)
    return target


def _centers(layout: Atlas) -> tuple[Array, float]:
    """Return the centres of the pictures on a canvas of `_WIDTH` x `_HEIGHT`, and their longest side."""
    side = 1.1 * math.sqrt(_WIDTH * _HEIGHT / (len(layout.cards) + 8)) / 2
    inner = np.array([_WIDTH, _HEIGHT]) - 2 * _MARGIN - side
    extent = np.ptp(layout.positions, axis=0)
    factor = float(min(inner / np.where(extent > 0, extent, np.inf) if extent.any() else inner, default=1.0))
    if not math.isfinite(factor):
        factor = 1.0
    center = (layout.positions.max(axis=0) + layout.positions.min(axis=0)) / 2
    return (layout.positions - center) * factor + np.array([_WIDTH, _HEIGHT]) / 2, side


def _size(card: Card, side: float) -> tuple[float, float]:
    thumbnail = card.thumbnail or card.swatch
    width, height = thumbnail.size if thumbnail else card.header.sizes[max(card.header.sizes)]
    longest = max(width, height)
    return side * width / longest, side * height / longest


def html(layout: Atlas) -> str:
    """Return the map as HTML: names on hover, zoom by wheel, pan by dragging."""
    centers, side = _centers(layout)
    styles = [
        {
            "name": card.header.name,
            "place": [round(float(x), 2) for x in center],
            "size": [round(x, 2) for x in _size(card, side)],
            "thumbnail": data_uri(card.thumbnail or card.swatch),
            "palette": card.palette or ("#888888",),
        }
        for card, center in zip(layout.cards, centers, strict=True)
    ]
    view = [0, 0, _WIDTH, _HEIGHT]
    data = {"styles": styles, "view": view, "font": _font_size(side), "note": layout.note}
    return render("map.html.j2", data=data)


def picture(layout: Atlas) -> Image.Image:
    """Return the map as an image in RGB, 1600 x 1200."""
    centers, side = _centers(layout)
    image = Image.new("RGB", (_WIDTH, _HEIGHT), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_font_size(side))
    for card, (x, y) in zip(layout.cards, centers, strict=True):
        width, height = (max(1, round(length)) for length in _size(card, side))
        left, top = round(x - width / 2), round(y - height / 2)
        thumbnail = card.thumbnail or card.swatch or _stripes(card.palette or ("#888888",))
        image.paste(thumbnail.resize((width, height), Image.Resampling.LANCZOS), (left, top))
        draw.rectangle((left - 1, top - 1, left + width, top + height), outline=(220, 218, 213))
    if len(layout.cards) > 60:
        return image
    for card, (x, y) in zip(layout.cards, centers, strict=True):
        top = y + _size(card, side)[1] / 2
        label = card.header.name if len(card.header.name) <= 32 else f"{card.header.name[:31]}..."
        draw.text((x, top + 4), label, _INK, font, anchor="mt", stroke_width=2, stroke_fill=_BACKGROUND)
    return image


def _font_size(side: float) -> int:
    return max(11, min(22, round(side / 7)))


def _stripes(colors: Sequence[str]) -> Image.Image:
    stripes = Image.new("RGB", (len(colors), 1))
    for index, color in enumerate(colors):
        stripes.putpixel((index, 0), tuple(bytes.fromhex(color[1:])))
    return stripes.resize((32 * len(colors), 32), Image.Resampling.NEAREST)
