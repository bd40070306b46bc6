"""Read image files, which may be hostile or unusual."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from PIL import Image

from ..errors import ImageRefused, printable
from . import plugins, tiff
from .color import read_exif
from .decoder import ORIENTATION, SIDEWAYS, Decoder, decoding
from .picture import Picture

MAX_PIXELS = 80_000_000
MAX_BYTES = 1 << 30
SMALLEST_SIDE = 32


def load(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    min_side: int = SMALLEST_SIDE,
    metadata: bool = False,
    preview: int | None = None,
) -> Picture:
    """Read an image file.

    Parameters
    ----------
    path
        Regular file in one of `plugins.formats()`. The content decides the format, not the name.
    max_pixels
        Refuse an image with more pixels before decoding it.
    min_side
        Refuse an image with a shorter side, in pixels.
    metadata
        Whether to read EXIF and XMP.
    preview
        Longest side in pixels for a preview. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size if its longest
        side stays above this, which is several times faster.

    Raises
    ------
    ImageRefused
        If the file is missing, damaged, too large or too small, or has another format.
    """
    label = printable(path)
    data = _read_bytes(Path(path), label)
    return Decoder(data, label, preview).decode(max_pixels, min_side, metadata)


def shown_size(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return width and height after EXIF orientation, from the file's header; None if the file cannot be read."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        with Path(path).open("rb") as file:
            head = file.read(16)
            file.seek(0)
            if head.startswith(tiff.SIGNATURES):
                picture = tiff.inspect(file, head, printable(path))
                return picture.upright_size if picture is not None else None
            with decoding(), Image.open(file, formats=plugins.formats()) as image:
                width, height = image.size
                sideways = read_exif(image).get(ORIENTATION, 1) in SIDEWAYS
    except Exception:  # as in `_open`
        return None
    return (height, width) if sideways else (width, height)


def _read_bytes(path: Path, label: str) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise ImageRefused(f"{label}: {kind}. Give an image file.")
        if status.st_size == 0:
            raise ImageRefused(f"{label}: the file is empty. Get a complete copy.")
        if status.st_size > MAX_BYTES:
            raise ImageRefused(f"{label}: {status.st_size:,} bytes, more than {MAX_BYTES:,}. Use a smaller file.")
        return path.read_bytes()
    except OSError as error:
        dangling = error.errno in {errno.ENOENT, errno.ELOOP} and path.is_symlink()
        reason = "a link to a missing file" if dangling else error.strerror
        raise ImageRefused(f"{label}: {reason}. Check the path.") from error
    except ValueError as error:  # a NUL in the name
        raise ImageRefused(f"{label}: {error}. Check the path.") from error
