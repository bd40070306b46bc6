"""Masks in memory: PIL images and arrays in the place of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stylebank import images
from stylebank.errors import UsageError, printable

from ..print_sizes import Box
from ..synthesis import masks
from ..synthesis.masks import Mask, RegionMasks
from .mask_files import MaskFiles
from .style_spec import StyleSpec


class MaskImages(MaskFiles):
    """The masks of one picture.

    Parameters
    ----------
    style_spec
        Regions.
    sources
        Mask by region: PIL image, array or path. The region without a name has the name ``""``.
    max_pixels
        Refuse masks larger than this.

    Raises
    ------
    ImageRefused, UsageError
        If a mask cannot be read.
    """

    def __init__(self, style_spec: StyleSpec, sources: Mapping[str, Any], max_pixels: int) -> None:
        super().__init__(StyleSpec(()), max_pixels)
        self._style_spec = style_spec
        self._images = {region: _read(source, region, max_pixels) for region, source in sources.items()}
        self._fresh = dict(self._images)

    def regions(
        self, subject: Path, subject_size: tuple[int, int], size: tuple[int, int], box: Box | None = None
    ) -> tuple[RegionMasks | None, dict[str, Any]]:
        """Return the masks for an output of `size`, as `MaskFiles.regions` does."""
        planes: list[Mask | None] = []
        for region in self._style_spec.regions:
            if region.mask is None:
                planes.append(None)
                continue
            values = self._images[region.name].values
            masks.check_shape((values.shape[1], values.shape[0]), subject_size, _label(region.name))
            eight_bit = np.rint(values * 255).astype(np.uint8)  # as of files
            planes.append(masks.resample(eight_bit.astype(np.float32) / np.float32(255), size, box))
        names = [region.name for region in self._style_spec.regions]
        return masks.regions(planes, size, names), self.recorded(subject)

    def take_notes(self, subject: Path) -> list[str]:
        """Return notes about the masks, once."""
        fresh, self._fresh = self._fresh, {}
        return [f"mask {printable(_label(name))}: {note}" for name, mask in fresh.items() for note in mask.notes]

    def recorded(self, subject: Path) -> dict[str, Any]:
        """Return digests of the masks' values by region."""
        return {
            "masks": {name: hashlib.sha256(mask.values.tobytes()).hexdigest() for name, mask in self._images.items()}
        }


def _read(source: Any, region: str, max_pixels: int) -> masks.MaskImage:
    if isinstance(source, str | os.PathLike):
        return masks.load(source, max_pixels)
    if isinstance(source, np.ndarray) and source.dtype == bool:
        source = source.astype(np.uint8) * np.uint8(255)
    label = _label(region)
    try:
        picture = images.to_picture(source, label=label, max_pixels=max_pixels, min_side=1)
    except UsageError as error:
        raise UsageError(f"mask {error}") from None
    return masks.of_picture(picture, label)


def _label(region: str) -> str:
    return f"of region {region}" if region else "of the style"
