"""Decode image files, which may be hostile or unusual."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps

from ..errors import ImageRefused, printable
from .exif import EMPTY, Metadata, collect
from .icc import grey_to_srgb, to_srgb

Pixels = npt.NDArray[np.float32]

#: Formats with a decoder; EPS and others that need an interpreter are excluded.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
MAX_PIXELS = 80_000_000
MAX_BYTES = 1 << 30
SMALLEST_SIDE = 32
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF tags, and a value
_MAX_WARNINGS = 3  # broken metadata may cause one per entry
_ORIENTATION, _SIDEWAYS = 274, frozenset({5, 6, 7, 8})  # of EXIF

_pillow_lock = threading.Lock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # keep its messages about hostile files off stderr


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded image.

    Attributes
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        sRGB in 0..255, with the EXIF orientation applied.
    alpha : ndarray of uint8, shape (H, W), or None
        Opacity; None for an opaque image.
    sha256 : str
        Digest of the file's bytes.
    notes : tuple of str
        Corrections and oddities, for the user.
    metadata : Metadata
        Metadata to copy; empty if `load` was called without `metadata`.
    """

    pixels: Pixels
    alpha: npt.NDArray[np.uint8] | None
    sha256: str
    notes: tuple[str, ...]
    metadata: Metadata = EMPTY

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


def load(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, metadata: bool = False, preview: int | None = None
) -> Picture:
    """Read an image file.

    Parameters
    ----------
    path
        Regular file in one of `READ_FORMATS`. The content decides the format, not the name.
    max_pixels
        Refuse an image with more pixels before decoding it.
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
    with decoding() as caught:
        picture = _decode(data, label, max_pixels, metadata, preview)
    problems = dict.fromkeys(f"reads with a warning ({printable(str(flaw.message).strip())})" for flaw in caught)
    return replace(picture, notes=(*picture.notes, *list(problems)[:_MAX_WARNINGS]))


def shown_size(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return width and height after EXIF orientation, from the file's header; None if the file cannot be read."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        with decoding(), Image.open(path, formats=READ_FORMATS) as image:
            width, height = image.size
            sideways = image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
    except Exception:  # as in `_decode`
        return None
    return (height, width) if sideways else (width, height)


@contextlib.contextmanager
def decoding() -> Iterator[list[warnings.WarningMessage]]:
    """Lift Pillow's pixel limit and collect its warnings. Both are global, so a lock is held."""
    with _pillow_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield caught
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decode(data: bytes, label: str, max_pixels: int, with_metadata: bool, preview: int | None) -> Picture:
    notes: list[str] = []
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=READ_FORMATS)
    except Exception as error:  # Pillow's parsers raise anything on hostile bytes
        raise ImageRefused(f"{label}: not an image that can be read. Give a {', '.join(READ_FORMATS)} file.") from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRefused(
            f"{label}: {width} x {height} is {width * height:,} pixels, more than {max_pixels:,}. "
            "Raise --max-pixels if you trust the file and have the memory."
        )
    if min(width, height) < SMALLEST_SIDE:
        raise ImageRefused(
            f"{label}: {width} x {height} is too small; each side needs at least {SMALLEST_SIDE} pixels "
            "for the network's deepest layers. Use a larger image."
        )
    try:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            notes.append(f"has {frames} frames; the first is used")
        if image.format == "PNG":
            Image.open(io.BytesIO(data), formats=("PNG",)).verify()
        if preview is not None:
            ratio = preview / max(width, height)
            image.draft(None, (max(1, int(width * ratio)), max(1, int(height * ratio))))  # type: ignore[arg-type]
        image.load()
        pixels, alpha = _to_srgb(image, label, notes)
        metadata_copied = collect(image, notes) if with_metadata else EMPTY
    except ImageRefused:
        raise
    except MemoryError as error:
        raise ImageRefused(
            f"{label}: {width} x {height} pixels need more memory than is free. Use a smaller image."
        ) from error
    except Exception as error:
        raise ImageRefused(f"{label}: the file is damaged ({printable(str(error))}). Get a complete copy.") from error
    return Picture(pixels, alpha, hashlib.sha256(data).hexdigest(), tuple(notes), metadata_copied)


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


def _to_srgb(image: Image.Image, label: str, notes: list[str]) -> tuple[Pixels, npt.NDArray[np.uint8] | None]:
    profile = image.info.get("icc_profile")
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block does not affect the pixels
        notes.append("has a broken EXIF block; its orientation is not applied")
    if image.mode == "F" or image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        grey = _deep_grey(values, label, 4095 if tags.get(_BITS) == (12,) else 65535)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow inverts only 8 bits
            grey = 255 - grey
        transparent = values == image.info.get("transparency", -1)  # the transparent grey of a PNG
        opacity = np.where(transparent, 0, 255).astype(np.uint8) if transparent.any() else None
        if profile:
            return grey_to_srgb(np.rint(grey * 257).astype(np.uint16), profile, notes), opacity
        return np.repeat(grey[..., None], 3, axis=2), opacity
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in {"La", "LA"} else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() == 255:
            alpha = None
        image = image.convert("L" if image.mode == "LA" else "RGB")
    elif image.mode not in {"RGB", "L", "CMYK", "LAB"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    if image.mode == "LAB" and not profile:
        image = ImageCms.profileToProfile(  # type: ignore[assignment]
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    elif profile:
        image = to_srgb(image, profile, notes)
    return np.asarray(image.convert("RGB"), np.float32), alpha


def _deep_grey(values: npt.NDArray[np.generic], label: str, white: int) -> Pixels:
    """Return grey values of more than 8 bits scaled to 0..255; `white` is the largest integer."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ImageRefused(f"{label}: has values that are NaN or infinite. Repair it first.")
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 255:
            raise ImageRefused(
                f"{label}: floating-point values from {low:g} to {high:g}; expected 0..1 or 0..255. Rescale it first."
            )
        return np.asarray(values.astype(np.float32) * (255 if high <= 1 else 1), np.float32)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > white:
        raise ImageRefused(
            f"{label}: integer values from {low:g} to {high:g}; expected 16 bits, 0..{white}. Rescale it first."
        )
    return np.asarray(values.astype(np.float64) * (255 / white), np.float32)
