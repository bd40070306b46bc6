"""The bank as the page shows it: names, tags, palettes, thumbnails, and the likeness of styles."""

from __future__ import annotations

import io
import threading
from typing import Any

from stylebank.bank import Bank
from stylebank.bank.similarity import SCALE, comparable, nearest
from stylebank.errors import UsageError, printable
from stylebank.pages.gallery import read_cards

from ..settings import SynthesisSettings


class Wall:
    """The styles of a bank. Its methods are called in threads.

    Parameters
    ----------
    bank
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}
        self._styles: dict[str, Any] = {}
        self._thumbnails: dict[str, bytes] = {}
        self._likeness: dict[str, dict[str, float]] = {}

    def styles(self) -> dict[str, Any]:
        """Return ``styles``, each with name, tags, palette and thumbnail, and ``damaged``, sentences."""
        with self._lock:
            headers, _damaged = self._bank.headers()
            digests = {header.name: f"{header.content_sha256}{header.tags}" for header in headers}
            if digests != self._digests or not self._styles:
                self._read()
                self._digests = digests
            return self._styles

    def _read(self) -> None:
        cards, damaged = read_cards(self._bank)
        self._likeness.clear()
        self._thumbnails = {}
        styles = []
        for card in cards:
            picture = card.thumbnail or card.swatch
            if picture is not None:
                buffer = io.BytesIO()
                picture.save(buffer, format="JPEG", quality=85)
                self._thumbnails[card.header.content_sha256] = buffer.getvalue()
            styles.append(
                {
                    "name": card.header.name,
                    "label": printable(card.header.name),
                    "tags": list(card.header.tags),
                    "palette": card.palette,
                    "thumbnail": card.header.content_sha256 if picture is not None else "",
                    "scales": list(card.header.sizes),
                }
            )
        self._styles = {"styles": styles, "damaged": [str(error) for error in damaged]}

    def thumbnail(self, digest: str) -> bytes | None:
        """Return the JPEG of a style by its digest; None if there is none."""
        with self._lock:
            return self._thumbnails.get(digest)

    def likeness(self, name: str) -> dict[str, float]:
        """Return the distances, from 0 to 2, of the styles that can be compared with one, as `similar` has them.

        Raises
        ------
        StylebankError
        """
        self.styles()
        with self._lock:
            if name not in self._likeness:
                header = self._bank.header(name)
                entries, _damaged = self._bank.entries()
                others = [entry for entry in entries if entry[0].name != name]
                layers = header.fingerprint.layers
                candidates, _left_out = comparable(others, header, SCALE, layers, list(header.sizes))
                if others and not candidates:
                    raise UsageError(f"style {printable(name)!r}: no other style was measured in a way to compare.")
                scales = sorted({candidate.query_scale for candidate in candidates}) or None
                style = self._bank.get(name, scales=scales)
                result = nearest(style.scales, candidates, max(1, len(candidates)), layers)
                self._likeness[name] = {each.name: round(each.distance, 4) for each in result.neighbours}
            return self._likeness[name]


def defaults() -> dict[str, Any]:
    """Return the default of each setting that the page has a control for."""
    settings = SynthesisSettings()
    sliders = ("strength", "content_weight", "content_detail", "tv_weight", "style_scale")
    names = (*sliders, "size", "steps", "keep_color", "format", "seed")
    return {name: getattr(settings, name) for name in names}
