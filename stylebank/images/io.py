"""Save images and animations. Pixels are float32, sRGB, 0..255."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import OutputRefused, UsageError, printable
from ..files import replace_file
from . import plugins
from .decoder import decoding
from .encode import DEEP_FORMATS, DEPTHS, LOSSLESS_FORMATS, WRITE_FORMATS, encode, quantize
from .exif import EMPTY, Metadata
from .icc import srgb_profile
from .picture import Pixels
from .transform import composite_on_white, resize, to_uint8

#: Suffixes of image files in a folder; those of AVIF and HEIC where they can be read.
READ_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".mpo"),
        *(".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
        *plugins.suffixes(),
    }
)
#: Pillow's format of an animation, by suffix.
ANIMATION_FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_FORMAT_OF_SUFFIX = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}


def format_of(path: Path) -> str:
    """Return the output format of a file name.

    Raises
    ------
    UsageError
        If its suffix is unknown.
    """
    try:
        return _FORMAT_OF_SUFFIX[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{printable(path)}: unknown output format {path.suffix!r}. Use one of {', '.join(_FORMAT_OF_SUFFIX)}."
        ) from None


def save(
    path: Path,
    pixels: Pixels,
    *,
    format: str,
    quality: int,
    depth: int = 8,
    alpha: npt.NDArray[np.uint8] | npt.NDArray[np.float32] | None = None,
    metadata: Metadata = EMPTY,
    dpi: float | None = None,
    before_rename: Callable[[str, os.stat_result], None] = lambda sha256, status: None,
) -> str:
    """Write an image atomically, tagged as sRGB.

    Parameters
    ----------
    path
        Overwritten if it exists.
    pixels : ndarray, float32, shape (H, W, 3)
        Values in 0..255, which are rounded to `depth` bits.
    format : {"jpg", "png", "webp", "tiff"}
    quality : int
        1 to 100, for jpg and webp.
    depth : {8, 16}
        Bits per channel; 16 only for `DEEP_FORMATS`.
    alpha : ndarray, shape (H, W), optional
        Opacity in 0..255. For a format without alpha the image is composited over white.
    metadata
        Metadata to embed, from `load`. The density is the one that keeps the size of its print.
    dpi
        Dots per inch, in place of the density that `metadata` gives.
    before_rename
        Function of the digest and the state of the complete file, called before the rename.

    Returns
    -------
    str
        SHA-256 of the file, in hexadecimal.

    Raises
    ------
    OutputRefused
        If the file cannot be written, or does not decode to the same size, and in a lossless format to the same
        values.
    UsageError
        If the format does not have this depth.
    """
    check_depth(depth, format)
    name, _suffix, holds_alpha = WRITE_FORMATS[format]
    if alpha is not None and not holds_alpha:
        pixels, alpha = composite_on_white(pixels, alpha), None
    channels = pixels if alpha is None else np.concatenate([pixels, alpha.astype(np.float32)[..., None]], axis=2)
    values = quantize(channels, depth)
    size = values.shape[1], values.shape[0]
    density = (dpi, dpi) if dpi is not None else metadata.dpi(size)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file, _encoder_errors(path, "Choose another --format or --size."):
            encode(file, values, format=format, quality=quality, metadata=metadata, dpi=density)

    digests: list[str] = []

    def check(temporary: Path) -> None:
        data = temporary.read_bytes()
        with decoding(), Image.open(io.BytesIO(data), formats=(name,)) as reread:
            reread.load()
            if reread.size != size:
                raise OutputRefused(
                    f"{printable(path)}: reads back with a size of {reread.size}, not {size}. Check the disk."
                )
            # Pillow reads only the upper 8 of 16 bits
            if format in LOSSLESS_FORMATS and not np.array_equal(np.asarray(reread), values >> (depth - 8)):
                raise OutputRefused(
                    f"{printable(path)}: reads back with other values than were written. Check the disk."
                )
        digests.append(hashlib.sha256(data).hexdigest())
        before_rename(digests[0], temporary.stat())

    replace_file(path, write, check)
    return digests[0]


def check_depth(depth: int, format: str) -> None:
    """Raise `UsageError` if a format does not have this number of bits per channel."""
    if depth not in DEPTHS:
        raise UsageError(f"depth {depth}: expected {' or '.join(map(str, DEPTHS))} bits per channel.")
    if depth > 8 and format not in DEEP_FORMATS:
        raise UsageError(
            f"depth {depth}: {format} has 8 bits per channel. "
            f"Choose --format {' or '.join(DEEP_FORMATS)}, or leave --depth at 8."
        )


@contextlib.contextmanager
def _encoder_errors(path: Path, advice: str) -> Iterator[None]:
    """Turn an encoder's own errors, such as a size that the format does not allow, into `OutputRefused`."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, OverflowError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # from the operating system
            raise
        raise OutputRefused(f"{printable(path)}: {printable(str(error)).rstrip('.')}. {advice}") from error


def save_animation(
    path: Path, frames: Sequence[npt.NDArray[Any]], size: tuple[int, int], *, milliseconds: int = 80
) -> None:
    """Write an animated GIF or WebP. The last frame lasts 2 seconds.

    Parameters
    ----------
    path
        Has a suffix in `ANIMATION_FORMATS`; overwritten if it exists.
    frames : sequence of ndarray, shape (h, w, 3)
        Values in 0..255, with any sizes and dtypes.
    size
        Width and height of the animation.
    milliseconds
        Duration of every frame but the last.

    Raises
    ------
    OutputRefused
    """
    images = (Image.fromarray(to_uint8(resize(frame.astype(np.float32), size))) for frame in frames)
    durations = [milliseconds] * (len(frames) - 1) + [2000]
    name = ANIMATION_FORMATS[path.suffix.lower()]
    tagged = {"icc_profile": srgb_profile()} if name == "WEBP" else {}  # a GIF has no profile

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file, _encoder_errors(path, "Choose a smaller --size."):
            next(images).save(
                file, format=name, save_all=True, append_images=images, duration=durations, loop=0, **tagged
            )

    replace_file(path, write)
