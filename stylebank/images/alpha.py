"""Transparency: colours hidden under it, which no viewer shows, must not matter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def fill_hidden(pixels: Floats, alpha: Floats) -> Floats:
    """Replace the colours of fully transparent pixels by those of the visible pixels around them.

    Visible colours are averaged over squares of growing size, weighted by alpha, until every square holds some; each
    hidden pixel takes the smallest such average, smoothly interpolated (Gortler et al., "The lumigraph", 1996).

    Parameters
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        Values in 0..255.
    alpha : ndarray, float32, shape (H, W)
        Opacity in 0..255, above 0 somewhere.

    Returns
    -------
    ndarray, float32, shape (H, W, 3)
        It does not depend on the values of fully transparent pixels.
    """
    weight = (alpha / np.float32(255))[..., None]
    hidden = weight == 0
    if not hidden.any():
        return pixels
    levels = [(np.where(hidden, np.float32(0), pixels) * weight, weight)]
    while max(levels[-1][0].shape[:2]) > 1:
        colors, weight = levels[-1]
        levels.append((_halved(colors), _halved(weight)))
    colors, weight = levels.pop()
    filled = colors / weight
    while levels:
        colors, weight = levels.pop()
        larger = _doubled(filled, colors.shape[:2])
        with np.errstate(divide="ignore", invalid="ignore"):
            filled = np.where(weight > 0, colors / weight, larger)
    return np.where(hidden, filled, pixels)


def _halved(plane: Floats) -> Floats:
    """Return the sums of squares of 2 x 2, with zeros beyond an odd edge."""
    height, width = plane.shape[:2]
    padded = np.pad(plane, ((0, height % 2), (0, width % 2), (0, 0)))
    rows = padded[::2] + padded[1::2]
    return np.asarray(rows[:, ::2] + rows[:, 1::2])


def _doubled(plane: Floats, shape: tuple[int, ...]) -> Floats:
    """Enlarge twice by linear interpolation, and crop to `shape`."""
    for axis in (0, 1):
        edges = [(1, 1) if axis == k else (0, 0) for k in range(3)]
        padded = np.pad(plane, edges, mode="edge")
        length = plane.shape[axis]
        before, middle, after = (padded.take(range(k, k + length), axis) for k in range(3))
        pairs = np.stack([0.75 * middle + 0.25 * before, 0.75 * middle + 0.25 * after], axis + 1)
        doubled = list(plane.shape)
        doubled[axis] *= 2
        plane = pairs.reshape(doubled)
    return plane[: shape[0], : shape[1]].astype(np.float32)
