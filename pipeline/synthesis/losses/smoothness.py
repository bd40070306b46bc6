"""How rough pictures are: total variation, with its gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stylebank.images.io import Pixels

#: Grey levels: differences well below this are no edges, and cost as their square.
_EDGE = 8.0


def total_variation(pictures: Pixels) -> tuple[npt.NDArray[np.float64], Pixels]:
    """Return how rough pictures are, and the gradient.

    The mean over pixels and colours of ``sqrt(dx^2 + dy^2 + e^2) - e``, with dx and dy the differences to
    the next pixel on the right and below and e = 8: total variation (Rudin, Osher and Fatemi 1992)
    rounded off at 0, where it has no derivative.

    Parameters
    ----------
    pictures : ndarray, float32, shape (n, H, W, 3)
        In 0..255.

    Returns
    -------
    ndarray, float64, shape (n,)
        In grey levels.
    ndarray, float32, shape (n, H, W, 3)
    """
    right = np.zeros_like(pictures)
    below = np.zeros_like(pictures)
    np.subtract(pictures[:, :, 1:], pictures[:, :, :-1], out=right[:, :, :-1])
    np.subtract(pictures[:, 1:], pictures[:, :-1], out=below[:, :-1])
    length = np.sqrt(np.square(right) + np.square(below) + np.float32(_EDGE**2))
    count = pictures[0].size
    value = length.sum(axis=(1, 2, 3), dtype=np.float64) / count - _EDGE
    length *= np.float32(count)
    right /= length
    below /= length
    gradient = -right - below
    gradient[:, :, 1:] += right[:, :, :-1]
    gradient[:, 1:] += below[:, :-1]
    return value, gradient
