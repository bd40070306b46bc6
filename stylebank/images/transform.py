"""Resize, crop and composite pixels: float32, sRGB, 0..255."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import UsageError
from .decode import SMALLEST_SIDE
from .encode import quantize
from .picture import Picture, Pixels

RESAMPLING = "lanczos"
#: Opacity, from 0 to 1, below which colours are not divided by it.
_MIN_WEIGHT = 1 / 128


def composite_on_white(pixels: Pixels, alpha: npt.NDArray[np.uint8] | npt.NDArray[np.float32] | None) -> Pixels:
    """Return `pixels` composited over white, or unchanged if `alpha` is None."""
    if alpha is None:
        return pixels
    opacity = alpha.astype(np.float32)[..., None] / 255
    return np.asarray(pixels * opacity + 255 * (1 - opacity), np.float32)


def fit(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """Return width and height with the same aspect ratio and a given longest side.

    Parameters
    ----------
    size
        Width and height in pixels.
    longest_side
        Longest side of the result in pixels.

    Raises
    ------
    UsageError
        If the shorter side would fall below `SMALLEST_SIDE`.
    """
    ratio = longest_side / max(size)
    width, height = (max(1, round(side * ratio)) for side in size)
    if min(width, height) < SMALLEST_SIDE:
        raise UsageError(
            f"{size[0]} x {size[1]} at {longest_side} pixels on the longer side would be {width} x {height}; "
            f"each side needs at least {SMALLEST_SIDE}. Choose a larger --size."
        )
    return width, height


def resize(
    pixels: Pixels,
    size: tuple[int, int],
    alpha: npt.NDArray[np.float32] | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Pixels:
    """Resample to (width, height) with a Lanczos filter, and clip to 0..255.

    Parameters
    ----------
    pixels : ndarray, float32, shape (H, W, C)
    size
        Width and height of the result.
    alpha : ndarray, float32, shape (H, W), optional
        Opacity in 0..255, by which the pixels are weighted: a pixel that is hardly visible hardly tints its
        neighbours. Where the result is all but transparent, the unweighted mean is used.
    box
        Part to resample: left, top, right and bottom edge in pixels, whole or not. By default all of it.
    """
    if (pixels.shape[1], pixels.shape[0]) == tuple(size) and box is None:
        return pixels
    if alpha is not None:
        opacity = alpha[..., None] / np.float32(255)
        weight = _resampled(opacity, size, box)
        visible = weight > _MIN_WEIGHT
        weighted = _resampled(pixels * opacity, size, box) / np.where(visible, weight, 1)
        return np.asarray(np.clip(np.where(visible, weighted, _resampled(pixels, size, box)), 0, 255), np.float32)
    return np.asarray(np.clip(_resampled(pixels, size, box), 0, 255), np.float32)


def alpha_at(picture: Picture, size: tuple[int, int]) -> npt.NDArray[np.float32] | None:
    """Return the opacity of a picture at (width, height); None for an opaque picture."""
    if picture.alpha is None:
        return None
    return resize(picture.alpha[..., None].astype(np.float32), size)[..., 0]


def _resampled(pixels: Pixels, size: tuple[int, int], box: tuple[float, float, float, float] | None) -> Pixels:
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize(size, Image.Resampling.LANCZOS, box))
        for c in range(pixels.shape[2])
    ]
    return np.stack(planes, axis=-1)


def crop_to_shape(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the largest central crop with the aspect ratio of (width, height)."""
    height, width = pixels.shape[:2]
    ratio = min(width / size[0], height / size[1])
    kept_width, kept_height = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    return pixels[top : top + kept_height, left : left + kept_width]


def to_uint8(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Round to 8 bits."""
    return np.asarray(quantize(pixels, 8), np.uint8)


def thumbnail(pixels: Pixels, longest_side: int = 160, *, quality: int = 85) -> bytes:
    """Return a small JPEG of an image; it is never enlarged."""
    height, width = pixels.shape[:2]
    ratio = min(1.0, longest_side / max(width, height))
    small = resize(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio))))
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(small)).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()
