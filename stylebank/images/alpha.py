"""Transparency: colours hidden under it, which no viewer shows, must not matter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import ImageRefused

Floats = npt.NDArray[np.float32]


def without_hidden(pixels: Floats, alpha: Floats | None, label: str) -> tuple[Floats, Floats | None]:
    """Return pixels and opacity of a picture, with `fill_hidden`; the opacity is None where all is opaque.

    Raises
    ------
    ImageRefused
        If no pixel is visible; the message names the `label`.
    """
    if alpha is None or alpha.min() == 255:
        return pixels, None
    if alpha.max() == 0:
        raise ImageRefused(f"{label}: is fully transparent. Remove its alpha channel to use its colours.")
    return fill_hidden(pixels, alpha), alpha


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
    hidden = alpha == 0
    if not hidden.any():
        return pixels
    weights = [alpha / np.float32(255)]
    while max(weights[-1].shape) > 1:
        weights.append(_halved(weights[-1]))
    result: Floats = pixels.copy()
    for channel in range(pixels.shape[2]):  # one at a time, for memory
        result[hidden, channel] = _averaged(np.where(hidden, np.float32(0), pixels[..., channel]), weights)[hidden]
    return result


def _averaged(plane: Floats, weights: list[Floats]) -> Floats:
    """Return a channel's averages where its weight is 0, by the weights of each level; the visible values elsewhere."""
    sums = [plane * weights[0]]
    for _level in weights[1:]:
        sums.append(_halved(sums[-1]))
    filled = np.asarray(sums.pop() / weights[-1])
    for weight in weights[-2::-1]:
        filled = _doubled(filled, weight.shape)
        np.divide(sums.pop(), weight, out=filled, where=weight > 0)
    return filled


def _halved(plane: Floats) -> Floats:
    """Return the sums of squares of 2 x 2, with zeros beyond an odd edge."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, height % 2), (0, width % 2)))
    rows = padded[::2] + padded[1::2]
    return np.asarray(rows[:, ::2] + rows[:, 1::2])


def _doubled(plane: Floats, shape: tuple[int, ...]) -> Floats:
    """Enlarge twice by linear interpolation, and crop to `shape`."""
    for axis in (0, 1):
        lines = np.moveaxis(plane, axis, 0)
        doubled = np.repeat(lines * np.float32(0.75), 2, axis=0)
        quarter = lines * np.float32(0.25)
        doubled[2::2] += quarter[:-1]
        doubled[0] += quarter[0]
        doubled[1:-1:2] += quarter[1:]
        doubled[-1] += quarter[-1]
        plane = np.moveaxis(doubled, 0, axis)[: shape[0], : shape[1]]
    return plane
