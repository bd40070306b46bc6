"""Formats that only some installations read: AVIF by Pillow, HEIC by pillow-heif."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from PIL import features

#: Formats that every installation reads; EPS and others that need an interpreter are excluded.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_AVIF_SUFFIXES = (".avif", ".avifs")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif")


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that this installation reads, and register pillow-heif if installed."""
    names = list(READ_FORMATS)
    if _has_avif():
        names.append("AVIF")
    try:
        from pillow_heif import register_heif_opener
    except Exception:  # missing, or built for another libheif
        return tuple(names)
    register_heif_opener()
    return (*names, "HEIF")


def suffixes() -> frozenset[str]:
    """Return the lower-case suffixes of AVIF and HEIC files, as far as this installation reads them."""
    avif = _AVIF_SUFFIXES if _has_avif() else ()
    heif = _HEIF_SUFFIXES if importlib.util.find_spec("pillow_heif") else ()
    return frozenset((*avif, *heif))


def _has_avif() -> bool:
    return "avif" in features.modules and bool(features.check("avif"))  # Pillow before 11.3 warns of the unknown name
