"""Masks: read them, resample them, normalise them over regions, and blend images by them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from stylebank import images
from stylebank.errors import ImageRefused, UsageError, printable
from stylebank.images import Pixels

from ..print_sizes import Box

Mask = npt.NDArray[np.float32]

#: The fewest pixels of a region in the output, which leave four positions in the deepest layers.
MIN_REGION_PIXELS = 1024
#: Smaller values count as 0.
_MIN_OPACITY = 1 / 128
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
#: Largest value, of 255, of a mask that is refused: 0 and 1 are meant as black and white, and so are labels.
_MAX_REFUSED = 15
#: A mask whose largest value is lower gets a note; lossless white is 255, and that of JPEG a little less.
_WHITE = 250
#: Channels that differ by more, in more than this fraction of the visible pixels, are colours and no rounding.
_MIN_CHROMA, _MIN_COLORED = 8, 0.01
#: Ringing beside hard edges, of 255: JPEG reaches 39 at quality 75 (16 at 90, 83 at 50), WebP 33 at 50, AVIF 15 at 50.
_RINGING = 40
#: Side of the square around a pixel, in pixels, in which a hard edge causes ringing: blocks have 8 or 16 pixels.
_RINGING_REACH = 33
#: Difference within that square, of 255, which a soft edge does not reach.
_HARD_EDGE = 128


@dataclass(frozen=True, eq=False)
class MaskImage:
    """A mask as read from a file.

    Attributes
    ----------
    values : ndarray, float32, shape (H, W)
        0 to 1.
    sha256 : str
        Digest of the file's bytes.
    notes : tuple of str
        What the user should know, each beginning with a verb.
    """

    values: Mask
    sha256: str
    notes: tuple[str, ...] = ()


def load(path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> MaskImage:
    """Read a mask: white selects the style, black excludes it, grey and transparency select it in part.

    Of a cut-out, an image with transparency and colours, the opacity alone is the mask. Ringing beside hard edges of
    a lossy file is removed.

    Parameters
    ----------
    path
        An image file of any size.
    max_pixels
        Refuse a larger image.

    Raises
    ------
    ImageRefused
        If the file cannot be read, or its brightest value is close to black.
    """
    picture = images.load(path, max_pixels=max_pixels, min_side=1)
    return of_picture(picture, path, lossy=images.is_lossy(path))


def of_picture(picture: images.Picture, path: str | os.PathLike[str], *, lossy: bool = False) -> MaskImage:
    """Return the mask that a picture is; `path` names it in messages, and errors are those of `load`."""
    notes = list(picture.notes)
    values = _selected(picture, notes)
    brightest = float(values.max())
    if brightest < _MAX_REFUSED + 1:
        raise ImageRefused(_too_dark(path, brightest, picture.alpha is not None))
    if lossy:
        values = _without_ringing(values, notes)
    if values.max() < _WHITE:
        most = f"{brightest / 2.55:.0f} %"
        notes.append(f"has {brightest:.0f} of 255 as its brightest value; the style counts for {most} at most")
    return MaskImage(np.asarray(np.clip(values / np.float32(255), 0, 1), np.float32), picture.sha256, tuple(notes))


def _selected(picture: images.Picture, notes: list[str]) -> Mask:
    """Return the brightness times the opacity, or the opacity alone of a cut-out with colours, in 0..255."""
    grey = picture.pixels @ _LUMA
    chroma = picture.pixels.max(axis=2) - picture.pixels.min(axis=2)
    if picture.alpha is None:
        if (chroma > _MIN_CHROMA).mean() > _MIN_COLORED:
            notes.append("has colours; their brightness is the mask")
        return np.asarray(grey, np.float32)
    opacity = picture.alpha.astype(np.float32)
    visible = opacity >= 128 if opacity.max() >= 128 else opacity > 0
    if (chroma[visible] > _MIN_CHROMA).mean() > _MIN_COLORED:
        notes.append("is a cut-out with colours; its opacity alone is the mask")
        return opacity
    if (np.abs(grey[visible] - 127.5) < 127.5 - _MIN_CHROMA).mean() > _MIN_COLORED:
        notes.append("has grey values and transparency; the mask is their product")
    return np.asarray(grey * (opacity / 255), np.float32)


def _too_dark(path: str | os.PathLike[str], brightest: float, transparent: bool) -> str:
    label = f"mask {printable(path)}"
    if brightest == 0:
        where = "where it is opaque" if transparent else "everywhere"
        return f"{label}: is black {where}, and white selects. Fill the region with white."
    return (
        f"{label}: has {brightest:.3g} of 255 as its brightest value, and white selects. "
        "Scale it to 255; a mask of 0 and 1 times 255."
    )


def _without_ringing(values: Mask, notes: list[str]) -> Mask:
    """Return a mask with black and white in place of the values beside hard edges that a lossy codec leaves there.

    Values up to `_RINGING` from black or white become so; up to twice that they are stretched, so that a soft edge has
    no step. Values without a hard edge nearby stay.
    """
    before = np.rint(values).astype(np.uint8)
    ends = [0, _RINGING, 2 * _RINGING, 255]
    darker = np.rint(np.interp(np.arange(256), ends, [0, 0, 2 * _RINGING, 255])).astype(np.uint8)
    drop = ndimage.maximum_filter(before, _RINGING_REACH) - before
    after = np.where(drop >= _HARD_EDGE, darker[before], before)
    rise = before - ndimage.minimum_filter(before, _RINGING_REACH)
    after = np.where(rise >= _HARD_EDGE, 255 - darker[255 - after], after)
    if np.array_equal(before, after):
        return values
    notes.append("is compressed with loss; ringing beside its hard edges is removed (PNG has none)")
    return after.astype(np.float32)


def resample(mask: Mask, size: tuple[int, int], box: Box | None = None) -> Mask:
    """Resample a mask, or its part in a box of fractions, to (width, height).

    The triangle filter does not ring at edges.
    """
    if mask.shape[::-1] == tuple(size) and box is None:
        return mask
    height, width = mask.shape
    part = None if box is None else (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    plane = Image.fromarray(np.ascontiguousarray(mask, np.float32)).resize(size, Image.Resampling.BILINEAR, part)
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
