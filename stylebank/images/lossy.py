"""Which files hold pixels that a codec changed."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from PIL import Image

from . import plugins
from .decoder import decoding

_LOSSY = frozenset({"JPEG", "MPO", "AVIF", "HEIF"})
#: Compressions of a TIFF, as Pillow names them.
_LOSSY_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp"})
_MAX_CHUNKS = 100


def is_lossy(path: str | os.PathLike[str]) -> bool:
    """Return whether a file's codec changes pixels, as JPEG does and PNG does not; False if it cannot be read."""
    try:
        with Path(path).open("rb") as file, decoding(), Image.open(file, formats=plugins.formats()) as image:
            if image.format == "WEBP":
                file.seek(0)
                return _is_lossy_webp(file.read())
            return image.format in _LOSSY or image.info.get("compression") in _LOSSY_TIFF
    except Exception:  # Pillow's parsers raise anything on hostile bytes
        return False


def _is_lossy_webp(data: bytes) -> bool:
    """Return whether the first image of a WebP is a VP8 frame, and not lossless (VP8L)."""
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return False
        name, length = struct.unpack_from("<4sI", data, at)
        if name in {b"VP8 ", b"VP8L"}:
            return bool(name == b"VP8 ")
        at += 8 + (16 if name == b"ANMF" else length + length % 2)  # a frame of an animation holds chunks of its own
    return False
