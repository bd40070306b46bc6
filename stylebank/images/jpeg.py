"""JPEG files that lack their end, or a part of their colour profile."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from PIL import Image

SIGNATURE = b"\xff\xd8"
_END = b"\xff\xd9"
_PROFILE_MARKER = b"ICC_PROFILE\0"
#: Bytes that decode to other pixels where rows are missing, and to nothing where none is.
_PROBES = (b"\0" * 64, b"\x55" * 64)


def with_end(data: bytes, opening: Callable[[], AbstractContextManager[Any]]) -> bytes | None:
    """Return a JPEG without its end marker with it; None if compressed pixels are missing, or may be.

    A decoder fills missing rows with grey or with what follows. Rows that do not depend on what follows are whole.
    Of a progressive file whole scans may be missing, which only its end marker rules out.

    Parameters
    ----------
    data
        Bytes of the file.
    opening
        Context for Pillow's reading of headers, which warns.
    """
    data = data.removesuffix(_END[:1])
    whole = data + _END
    try:
        with _opened(whole, opening) as image:
            if image.info.get("progressive"):
                return None
        expected = _pixels(whole, opening)
        if all(np.array_equal(_pixels(data + probe + _END, opening), expected) for probe in _PROBES):
            return whole
    except MemoryError:
        raise
    except Exception:  # still damaged
        return None
    return None


def _opened(data: bytes, opening: Callable[[], AbstractContextManager[Any]]) -> Image.Image:
    with opening():
        return Image.open(io.BytesIO(data), formats=("JPEG",))


def _pixels(data: bytes, opening: Callable[[], AbstractContextManager[Any]]) -> np.ndarray:
    with _opened(data, opening) as image:
        return np.asarray(image)


def has_profile(image: Image.Image) -> bool:
    """Return whether a JPEG has segments of a colour profile, complete or not."""
    segments = getattr(image, "applist", [])
    return any(name == "APP2" and content.startswith(_PROFILE_MARKER) for name, content in segments)
