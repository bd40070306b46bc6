"""Where the content term looks: weights of positions by the subject's own detail."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

#: Positions on a side of the neighbourhood whose differences count as detail.
_NEIGHBOURHOOD = 5
#: Bounds of a weight before the mean becomes 1: flat areas keep some of the subject, and no edge takes it all.
_LOWEST, _HIGHEST = 0.1, 3.0


def detail_weights(features: npt.NDArray[Any], detail: float) -> npt.NDArray[np.float32]:
    """Return the weights of a subject's positions in the content term.

    The energy of a position is the mean squared difference of the features around it to their local mean. It is high
    at windows, faces and letters, and low in skies and walls. The weight is ``(energy / mean energy) ** detail``,
    within bounds, divided by its mean.

    Parameters
    ----------
    features : ndarray, shape (n, h, w, c)
        Activations of the subjects.
    detail : float
        0 weighs all positions alike, 1 in proportion to the energy.

    Returns
    -------
    ndarray, float32, shape (n, h, w, 1)
        Positive, with mean 1 for each subject.
    """
    energy = np.stack([_local_variance(picture) for picture in features])
    mean = energy.mean(axis=(1, 2), keepdims=True)
    relative = np.divide(energy, mean, out=np.ones_like(energy), where=mean > 0)
    weights = np.clip(relative**detail, _LOWEST, _HIGHEST)
    weights /= weights.mean(axis=(1, 2), keepdims=True)
    return np.ascontiguousarray(weights[..., None], np.float32)


def _local_variance(features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the local variance of features (h, w, c), averaged over channels and over each neighbourhood."""
    total = np.zeros(features.shape[:2])
    for channel in np.moveaxis(features, -1, 0):  # one at a time: all of them would double a large picture's memory
        values = channel.astype(np.float64)
        difference = values - ndimage.uniform_filter(values, _NEIGHBOURHOOD, mode="nearest")
        total += difference * difference
    averaged = ndimage.uniform_filter(total / features.shape[-1], _NEIGHBOURHOOD, mode="nearest")
    return np.asarray(np.maximum(averaged, 0.0))
