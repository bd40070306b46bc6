"""A decoded image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .exif import EMPTY, Metadata

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded image.

    Attributes
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        sRGB in 0..255, with the EXIF orientation applied.
        Colours under full transparency are those of the visible pixels around them.
    alpha : ndarray, float32, shape (H, W), or None
        Opacity in 0..255; None for an opaque image.
    sha256 : str
        Digest of the file's bytes.
    notes : tuple of str
        Corrections and oddities, for the user.
    metadata : Metadata
        Metadata to copy; empty if `load` was called without `metadata`.
    """

    pixels: Pixels
    alpha: npt.NDArray[np.float32] | None
    sha256: str
    notes: tuple[str, ...]
    metadata: Metadata = EMPTY

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]
