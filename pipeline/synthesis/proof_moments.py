"""Moments of a whole size from parts of it, and the target of a part: see `proof_loop`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.math.gaussian import MomentAccumulator, transport_map
from stylebank.style import Gaussian

from .losses.objective import Objective
from .proof import Box, Size, sample_boxes

#: Added to the diagonal of the whole's covariance before the map, relative to its mean: float32 knows no less.
_RIDGE = 1e-4
#: Fewest pixels of a region in a part that is measured.
MIN_PIXELS = 1024.0

Moments = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def sampled_moments(
    objective: Objective,
    size: Size,
    box: Box,
    mask: npt.NDArray[np.float32] | None,
    picture: Callable[[Box], Pixels],
) -> list[Moments] | None:
    """Return mean and covariance of a whole size by layer: of a part by itself, and of samples for the rest.

    Parameters
    ----------
    objective
        It measures.
    size, box
        Width and height of the whole, and the part. It counts by itself, so that the map of `mapped_gaussian` is
        bounded on it.
    mask : ndarray, float32, shape (H, W), optional
        The region's weights at this size.
    picture
        Returns the pixels of a part.

    Returns
    -------
    list of (mean, covariance), or None
        None for a region that has hardly any pixels in these parts.
    """
    samples = sample_boxes(box, size)
    area = (box[2] - box[0]) * (box[3] - box[1])
    rest = max(0.0, size[0] * size[1] - area) / (area * len(samples))
    accumulators = [MomentAccumulator() for _layer in objective.layers]
    for sample, weight in [(box, 1.0), *((sample, rest) for sample in samples)]:
        part_mask = None if mask is None else mask[sample[1] : sample[3], sample[0] : sample[2]]
        pixels = float(area) if part_mask is None else float(part_mask.sum(dtype=np.float64))
        if pixels < MIN_PIXELS or not weight:
            continue
        for accumulator, (mean, cov) in zip(accumulators, objective.gaussians(picture(sample), part_mask), strict=True):
            mean64, cov64 = mean[None, None].astype(np.float64), cov[None].astype(np.float64)
            accumulator.update(mean64, cov64, np.array([weight * pixels]))
    if not accumulators[0].count.any():
        return None
    pairs = [accumulator.moments() for accumulator in accumulators]
    return [(mean[0, 0], cov[0]) for mean, cov in pairs]


def mapped_gaussian(goal: Gaussian, whole: Moments, part: Moments) -> Gaussian:
    """Return the Gaussian of a part under the optimal map from the whole's Gaussian to the goal."""
    (mean, cov), (part_mean, part_cov) = whole, part
    ridge = _RIDGE * float(np.trace(cov, dtype=np.float64)) / len(cov)
    transport = transport_map(cov, goal.cov, ridge=max(ridge, 1e-12))
    offset = (part_mean.astype(np.float64) - mean) @ transport
    empty = np.zeros(0, np.float32)
    moved = transport @ part_cov.astype(np.float64) @ transport
    return Gaussian((goal.mean + offset).astype(np.float32), moved.astype(np.float32), empty, empty, goal.count)
