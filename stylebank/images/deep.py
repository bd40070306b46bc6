"""Pixels of more than 8 bits per channel, and their conversion to sRGB without a step through 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ImageRefused
from .icc import cmyk_to_srgb, deep_to_srgb
from .rgb_spaces import RgbSpace

T = TypeVar("T", bound=np.generic)
Values16 = npt.NDArray[np.uint16]
#: White of 16 bits.
WHITE = 65535
#: Floating-point values may leave 0..1 by this much, as filters that sharpen do; they are clipped.
_OVERSHOOT = 1 / 16
#: Floating-point values whose largest lies between 1 and this fit neither 0..1 nor 0..255.
_SMALLEST_OF_255 = 32
#: A brightest value below this fraction of white suggests that the file holds fewer bits than it declares.
_DARK = 1 / 15


@dataclass
class DeepPixels:
    """Pixels with 16 bits per channel, as stored.

    Attributes
    ----------
    values : ndarray of uint16, shape (H, W, C)
        C is 1 for grey, 3 for RGB, 4 for CMYK, where 0 is no ink.
    alpha : ndarray, float32, shape (H, W), or None
        Opacity in 0..255.
    """

    values: Values16
    alpha: npt.NDArray[np.float32] | None = None

    def to_srgb(self, profile: bytes | None, space: RgbSpace | None, notes: list[str]) -> npt.NDArray[np.float32]:
        """Convert to sRGB by an ICC profile, or else by a colour space.

        Parameters
        ----------
        profile, space
            None for sRGB. CMYK without a profile is converted by complements.
        notes
            List that gets a note if the profile is broken.

        Returns
        -------
        ndarray, float32, shape (H, W, 3)
            Values in 0..255.
        """
        values, channels = self.values, self.values.shape[2]
        pixels = deep_to_srgb(values, profile, notes) if profile else None
        if pixels is None and channels == 4:
            pixels = cmyk_to_srgb(values)
        elif pixels is None:
            pixels = space.to_srgb(values) if space is not None else values / np.float32(257)
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels

    def upright(self, orientation: int) -> DeepPixels:
        """Return the pixels turned as EXIF's orientation, 1 to 8, asks for."""
        alpha = self.alpha
        return DeepPixels(turned(self.values, orientation), None if alpha is None else turned(alpha, orientation))


def turned(array: npt.NDArray[T], orientation: int) -> npt.NDArray[T]:
    """Return an array, (H, W, ...), turned as EXIF's orientation, 1 to 8, asks for."""
    if orientation in {5, 6, 7, 8}:
        array = np.swapaxes(array, 0, 1)
    if orientation in {2, 3, 6, 7}:
        array = array[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        array = array[::-1]
    return np.ascontiguousarray(array)


def with_alpha(values: Values16, channels: int) -> DeepPixels:
    """Split channels and an alpha channel behind them, if there is one."""
    if values.shape[2] == channels:
        return DeepPixels(values)
    return DeepPixels(np.ascontiguousarray(values[..., :channels]), values[..., channels] / np.float32(257))


def to_16_bits(values: npt.NDArray[np.generic], bits: int, label: str, notes: list[str]) -> Values16:
    """Scale values to 16 bits.

    Parameters
    ----------
    values : ndarray of unsigned integers or floats
        Floats lie in 0..1, or in 0..255.
    bits : int
        Bits per channel of integers, of which the largest number is white.
    label
        The file, for messages.
    notes
        List that gets a note if values are clipped or suspiciously small.

    Raises
    ------
    ImageRefused
        For NaN and infinite values, and floats outside both ranges.
    """
    if values.dtype.kind == "f":
        return _floats_to_16_bits(values, label, notes)
    white = (1 << bits) - 1
    if bits > 8 and 0 < (high := int(values.max())) < white * _DARK:
        notes.append(
            f"is very dark: its brightest value is {high:,} of {white:,}. If it holds fewer bits, rescale it first"
        )
    if bits == 16:
        return np.asarray(values, np.uint16)
    if WHITE % white == 0:
        return np.asarray(values.astype(np.uint16) * np.uint16(WHITE // white))
    return np.asarray(np.rint(np.minimum(values, white) * (WHITE / white)), np.uint16)


def _floats_to_16_bits(values: npt.NDArray[np.generic], label: str, notes: list[str]) -> Values16:
    if not np.isfinite(values).all():
        raise ImageRefused(f"{label}: has values that are NaN or infinite. Repair it first.")
    low, high = float(values.min()), float(values.max())
    white = 1 if high <= 1 + _OVERSHOOT else 255
    if low < -_OVERSHOOT * white or high > 255 * (1 + _OVERSHOOT) or (white == 255 and high < _SMALLEST_OF_255):
        raise ImageRefused(
            f"{label}: floating-point values from {low:g} to {high:g}; expected 0..1 or 0..255. Rescale it first."
        )
    if low < 0 or high > white:
        notes.append(f"has values from {low:g} to {high:g}; those outside 0..{white} are clipped")
    return np.asarray(np.rint(np.clip(values.astype(np.float64) / white, 0, 1) * WHITE), np.uint16)
