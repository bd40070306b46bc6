"""Where a style is wanted: masks read, brought to a picture's size, shared among regions, and put to use."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.errors import StylebankError, UsageError, printable
from stylebank.images import Pixels

from .styling import SUBJECT, Styling

Mask = npt.NDArray[np.float32]

#: A region of the output needs this many pixels: the deepest layers have four positions of it then.
FEWEST_PIXELS = 1024
#: What is fainter than this counts as nothing: the resampling's ringing.
_FAINTEST = 1 / 128
#: Masks kept in memory.
_KEPT = 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def load(path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> tuple[Mask, str]:
    """Read a mask: white is where the style goes, black where it does not, grey and transparency in part.

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


def check_shape(mask: Mask, own: tuple[int, int], path: str | os.PathLike[str]) -> None:
    """Refuse a mask that has not the shape of a subject of `own` (width, height), at any size.

    Raises
    ------
    UsageError
    """
    height, width = mask.shape
    ratio = max(width, height) / max(own)
    rounding = max(1.0, ratio)
    if abs(own[0] * ratio - width) > rounding or abs(own[1] * ratio - height) > rounding:
        raise UsageError(
            f"mask {printable(path)}: {width} x {height} pixels, and the subject has {own[0]} x {own[1]}. "
            "Give a mask of the same shape, at whatever size."
        )


@dataclass(frozen=True, eq=False)
class Regions:
    """The masks of one picture, one a region.

    Attributes
    ----------
    masks : ndarray, float32, shape (regions, H, W)
        0 to 1; nowhere more than 1 together.
    """

    masks: npt.NDArray[np.float32]

    @property
    def coverage(self) -> Mask:
        """Where any style goes, (H, W)."""
        return np.asarray(np.clip(self.masks.sum(axis=0), 0, 1), np.float32)

    def resized(self, size: tuple[int, int]) -> Regions:
        """Return the same at (width, height)."""
        if self.masks.shape[:0:-1] == tuple(size):
            return self
        planes = images.resize(np.moveaxis(self.masks, 0, -1) * np.float32(255), size) / np.float32(255)
        return Regions(_shared(np.moveaxis(planes, -1, 0)))

    def blended(self, pictures: Sequence[Pixels], subject: Pixels) -> Pixels:
        """Return each picture in its region, and the subject, bit by bit, where there is none."""
        made = sum(mask[..., None] * picture for mask, picture in zip(self.masks, pictures, strict=True))
        coverage = self.coverage[..., None]
        return np.asarray(np.where(coverage > 0, made + (1 - coverage) * subject, subject), np.float32)


def regions(masks: Sequence[Mask | None], size: tuple[int, int], names: Sequence[str] = ()) -> Regions:
    """Bring masks to an output's size and share the picture among them.

    Parameters
    ----------
    masks
        One a region; None for the one, at most, that takes what the others leave.
    size
        Width and height of the output.
    names
        Of the regions, for messages.

    Raises
    ------
    UsageError
        If a region has fewer than `FEWEST_PIXELS` pixels.
    """
    given = [
        None if mask is None else images.resize(mask[..., None] * np.float32(255), size)[..., 0] / np.float32(255)
        for mask in masks
    ]
    planes = _shared(np.stack([np.zeros(size[::-1], np.float32) if mask is None else mask for mask in given]))
    rest = 1 - planes.sum(axis=0)
    for number, mask in enumerate(given):
        if mask is None:
            planes[number] = np.where(rest < _FAINTEST, 0, rest)
        if planes[number].sum() < FEWEST_PIXELS:
            name = f"region {printable(names[number])}" if names and names[number] else "the mask"
            raise UsageError(
                f"{name}: {planes[number].sum():.0f} pixels at the output's {size[0]} x {size[1]}; "
                f"expected {FEWEST_PIXELS} or more. Choose a larger region or --size."
            )
    return Regions(planes)


def _shared(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Masks without what is too faint, scaled down where they are more than 1 together."""
    planes = np.where(planes < _FAINTEST, np.float32(0), planes)
    return np.asarray(planes / np.maximum(planes.sum(axis=0), 1), np.float32)


class Placing:
    """The masks of a run's subjects: read once, and anew where each subject has its own.

    Parameters
    ----------
    styling
        With the masks' paths.
    max_pixels
        Refuse masks larger than this.
    """

    def __init__(self, styling: Styling, max_pixels: int = images.MAX_PIXELS) -> None:
        self._regions = styling.regions if styling.masked else ()
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._read: OrderedDict[str, tuple[Mask, str]] = OrderedDict()
        for region in self._regions:
            if region.mask is not None and SUBJECT not in region.mask:
                self._mask(region.mask)

    def regions(self, subject: Path, own: tuple[int, int], size: tuple[int, int]) -> Regions | None:
        """Return the masks of a subject of `own` (width, height) for an output of `size`; None where there are none.

        Raises
        ------
        StylebankError
        """
        if not self._regions:
            return None
        masks: list[Mask | None] = []
        for region in self._regions:
            if region.mask is None:
                masks.append(None)
                continue
            path = _path(region.mask, subject)
            masks.append(self._mask(path)[0])
            check_shape(masks[-1], own, path)  # type: ignore[arg-type]
        return regions(masks, size, [region.name for region in self._regions])

    def recorded(self, subject: Path) -> dict[str, Any]:
        """Return the masks' digests by region, for the settings in the record; nothing where there are no masks."""
        if not self._regions:
            return {}
        masked = [region for region in self._regions if region.mask is not None]
        return {"masks": {region.name: self._digest(_path(str(region.mask), subject)) for region in masked}}

    def told_by(self, settings: Any) -> dict[str, Any]:
        """Return what settings in a record say of masks, where there are any here, too."""
        return (
            {"masks": settings["masks"]} if self._regions and isinstance(settings, dict) and "masks" in settings else {}
        )

    def _digest(self, path: str) -> str | None:
        try:
            return self._mask(path)[1]
        except StylebankError:  # reading it for the picture says why
            return None

    def _mask(self, path: str) -> tuple[Mask, str]:
        with self._lock:
            if path not in self._read:
                self._read[path] = load(path, self._max_pixels)
                while len(self._read) > max(_KEPT, len(self._regions)):
                    self._read.popitem(last=False)
            self._read.move_to_end(path)
            return self._read[path]


def _path(mask: str, subject: Path) -> str:
    return mask.replace(SUBJECT, subject.stem)
