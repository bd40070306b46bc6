"""The gallery: one HTML page with pictures, palettes and details of the styles."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..bank import Bank
from ..errors import StyleFileError, printable
from ..images.decoder import decoding
from ..math.gaussian import eigh_descending
from ..storage import reader
from ..style import PIXELS, Header
from .html import data_uri, render

#: Largest number of pixels of a picture in a style file.
_MAX_PIXELS = 1 << 20
#: Colours of a palette, in standard deviations along the first two principal axes of the pixels.
_PALETTE = ((-1.6, 0), (-0.8, 0), (0, 0), (0, 1.2), (0, -1.2), (0.8, 0), (1.6, 0))


@dataclass(frozen=True, eq=False)
class Card:
    """A style on a page.

    Attributes
    ----------
    header : Header
    palette : tuple of str
        Colours such as ``#1f3a5f``, from dark to light; empty for a style without pixels.
    thumbnail, swatch : PIL.Image.Image or None
        Decoded image in RGB; None if the style has none, or one that cannot be decoded.
    """

    header: Header
    palette: tuple[str, ...]
    thumbnail: Image.Image | None
    swatch: Image.Image | None


def read_cards(
    bank: Bank, *, tags: Sequence[str] = (), note: Callable[[str], None] = lambda text: None
) -> tuple[list[Card], list[StyleFileError]]:
    """Return a card for every whole style that has all of `tags`, and an error for each damaged one.

    Parameters
    ----------
    note
        Function of a message for each picture that is left out.
    """
    result, damaged = [], []
    entries, errors = bank.entries()
    damaged += errors
    for header, path in entries:
        if not set(tags) <= set(header.tags):
            continue
        try:
            thumbnail, swatch = reader.read_pictures(path)
            pictures = []
            for key, data in (("thumbnail", thumbnail), ("swatch", swatch)):
                pictures.append(_decode(data))
                if data and pictures[-1] is None:
                    note(f"{header.name}: its {key} is not a small JPEG, and is left out")
            result.append(Card(header, _palette(header, path), pictures[0], pictures[1]))
        except StyleFileError as error:
            damaged.append(error)
    return result, damaged


def _decode(data: bytes) -> Image.Image | None:
    """Decode a picture that may be hostile; return None unless it is a small JPEG."""
    if not data:
        return None
    try:
        with decoding(), Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            decoded: Image.Image = image.convert("RGB")
            return decoded
    except Exception:  # decoders raise anything
        return None


def _palette(header: Header, path: Path) -> tuple[str, ...]:
    if PIXELS not in header.fingerprint.layers:
        return ()
    part = reader.read_parts(path, max(header.sizes), ("mean", "cov"), (PIXELS,))[PIXELS]
    values, axes = eigh_descending(part["cov"])
    axes = axes * np.where(axes.sum(axis=0) < 0, -1, 1)  # orient each axis from dark to light
    colors = [
        part["mean"] + first * np.sqrt(values[0]) * axes[:, 0] + second * np.sqrt(values[1]) * axes[:, 1]
        for first, second in _PALETTE
    ]
    return tuple("#" + "".join(f"{round(float(level)):02x}" for level in np.clip(color, 0, 255)) for color in colors)


def gallery(cards: Sequence[Card]) -> str:
    """Return the gallery as HTML, with pictures, palettes, names, details, and a filter by tag."""
    return render("gallery.html.j2", data=[_card_data(card) for card in cards])


def _card_data(card: Card) -> dict[str, Any]:
    header = card.header
    recipe = json.loads(header.recipe) if header.recipe else {}
    details = [
        ("source", printable(header.source.filename)),
        ("size", f"{header.source.width} x {header.source.height}"),
        ("scales", ", ".join(map(str, header.sizes))),
        ("layers", f"{len([layer for layer in header.fingerprint.layers if layer != PIXELS])}"),
        ("added", printable(header.created[:10])),
        ("digest", printable(header.content_sha256[:12])),
    ]
    if recipe:
        details[1:2] = []
    return {
        "name": header.name,
        "tags": [printable(tag) for tag in header.tags],
        "palette": card.palette,
        "thumbnail": data_uri(card.thumbnail),
        "swatch": data_uri(card.swatch),
        "details": details,
    }
