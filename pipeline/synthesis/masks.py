"""Masks: read them, resample them, normalise them over regions, and blend images by them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylebank import images
from stylebank.errors import UsageError, printable
from stylebank.images import Pixels

Mask = npt.NDArray[np.float32]

#: The fewest pixels of a region in the output, which leave four positions in the deepest layers.
MIN_REGION_PIXELS = 1024
#: Smaller values count as 0.
_MIN_OPACITY = 1 / 128
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def load(path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> tuple[Mask, str]:
    """Read a mask: white selects the style, black excludes it, grey and transparency select it in part.

    Parameters
    ----------
    path
        An image file.
    max_pixels
        Refuse a larger image.

    Returns
    -------
    ndarray, float32, shape (H, W)
        0 to 1.
    str
        SHA-256 of the file.

    Raises
    ------
    ImageRefused
    """
    picture = images.load(path, max_pixels=max_pixels)
    mask = picture.pixels @ _LUMA / np.float32(255)
    if picture.alpha is not None:
        mask = mask * (picture.alpha.astype(np.float32) / 255)
    return np.asarray(np.clip(mask, 0, 1), np.float32), picture.sha256


def resample(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resample a mask to (width, height) by a triangle filter, which does not ring at edges."""
    if mask.shape[::-1] == tuple(size):
        return mask
    plane = Image.fromarray(np.ascontiguousarray(mask, np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(np.clip(np.asarray(plane), 0, 1), np.float32)


def check_shape(mask_size: tuple[int, int], subject_size: tuple[int, int], path: str | os.PathLike[str]) -> None:
    """Refuse a mask whose aspect ratio differs from its subject's.

    Parameters
    ----------
    mask_size, subject_size
        Width and height in pixels.
    path
        The mask's file, for the message.

    Raises
    ------
    UsageError
    """
    width, height = mask_size
    ratio = max(width, height) / max(subject_size)
    rounding = max(1.0, ratio)
    if abs(subject_size[0] * ratio - width) > rounding or abs(subject_size[1] * ratio - height) > rounding:
        raise UsageError(
            f"mask {printable(path)}: {width} x {height} pixels, and the subject has "
            f"{subject_size[0]} x {subject_size[1]}. "
            "Give a mask of the same aspect ratio, at any size."
        )


@dataclass(frozen=True, eq=False)
class RegionMasks:
    """The masks of one image, one per region.

    Attributes
    ----------
    masks : ndarray, float32, shape (regions, H, W)
        0 to 1. Their sum is at most 1 at every pixel.
    """

    masks: npt.NDArray[np.float32]

    @property
    def coverage(self) -> Mask:
        """Sum of the masks, (H, W), clipped to 0..1."""
        return np.asarray(np.clip(self.masks.sum(axis=0), 0, 1), np.float32)

    def resized(self, size: tuple[int, int]) -> RegionMasks:
        """Return the masks resampled to (width, height)."""
        if self.masks.shape[:0:-1] == tuple(size):
            return self
        return RegionMasks(_normalized(np.stack([resample(mask, size) for mask in self.masks])))

    def blended(self, pictures: Sequence[Pixels], subject: Pixels) -> Pixels:
        """Return the images blended by their masks over the subject.

        Pixels outside all masks are the subject's, bit by bit.
        """
        blend = sum(mask[..., None] * picture for mask, picture in zip(self.masks, pictures, strict=True))
        coverage = self.coverage[..., None]
        return np.asarray(np.where(coverage > 0, blend + (1 - coverage) * subject, subject), np.float32)


def regions(masks: Sequence[Mask | None], size: tuple[int, int], names: Sequence[str] = ()) -> RegionMasks:
    """Resample masks to the size of the output and normalise them.

    Parameters
    ----------
    masks
        One per region. At most one is None: it takes what the others leave.
    size
        Width and height of the output.
    names
        Names of the regions, for messages.

    Returns
    -------
    RegionMasks

    Raises
    ------
    UsageError
        If a region has fewer than `MIN_REGION_PIXELS` pixels.
    """
    resampled = [None if mask is None else resample(mask, size) for mask in masks]
    planes = _normalized(np.stack([np.zeros(size[::-1], np.float32) if mask is None else mask for mask in resampled]))
    rest = 1 - planes.sum(axis=0)
    for number, mask in enumerate(resampled):
        if mask is None:
            planes[number] = np.where(rest < _MIN_OPACITY, 0, rest)
        if planes[number].sum() < MIN_REGION_PIXELS:
            name = f"region {printable(names[number])}" if names and names[number] else "the mask"
            raise UsageError(
                f"{name}: {planes[number].sum():.0f} pixels at the output's {size[0]} x {size[1]}; "
                f"expected {MIN_REGION_PIXELS} or more. Choose a larger region or --size."
            )
    return RegionMasks(planes)


def _normalized(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Set faint values to 0, and divide masks by their sum where it exceeds 1."""
    planes = np.where(planes < _MIN_OPACITY, np.float32(0), planes)
    return np.asarray(planes / np.maximum(planes.sum(axis=0), 1), np.float32)
