"""Distance matrices of styles, exact and approximate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import StyleFileError
from ..math.gaussian import Array
from ..math.mds import squared_distances
from ..storage import reader
from .similarity import Candidate, Layers, distance


def matrix(styles: Sequence[Layers], layers: Sequence[str]) -> Array:
    """Return the pairwise distances of styles.

    Returns
    -------
    ndarray, float64, shape (n, n)
        Symmetric, zeros on the diagonal.
    """
    distances = np.zeros((len(styles), len(styles)))
    for index, first in enumerate(styles):
        for second in range(index):
            distances[index, second] = distances[second, index] = distance(first, styles[second], layers)
    return distances


def approximate_distances(
    candidates: Sequence[Candidate], layers: Sequence[str], *, columns: int = 16
) -> tuple[Array, list[Candidate], list[StyleFileError]]:
    """Return approximate pairwise distances, with a number of reads linear in the number of styles.

    ``|S1^{1/2} - S2^{1/2}|_F^2`` replaces the covariances' W2^2. It is never below it, and for paintings slightly
    above. Random projections of the roots estimate it.

    Parameters
    ----------
    candidates
        Styles, as returned by `similarity.comparable`.
    layers
        Layers to compare.
    columns
        Number of random directions per layer.

    Returns
    -------
    distances : ndarray, float64, shape (n, n)
    readable : list of Candidate
        The n styles that could be read, in their order.
    damaged : list of StyleFileError
        One error for each other style.
    """
    readable: list[Candidate] = []
    damaged: list[StyleFileError] = []
    sketches: list[dict[str, tuple[Array, Array, float]]] = []
    for candidate in candidates:
        try:
            parts = reader.read_parts(candidate.path, candidate.scale, ("mean", "cov_sqrt", "eigenvalues"), layers)
        except StyleFileError as error:
            damaged.append(error)
            continue
        readable.append(candidate)
        sketch = {}
        for layer, part in parts.items():
            channels = len(part["mean"])
            random = np.random.default_rng(channels).normal(size=(channels, columns)) / np.sqrt(columns)
            flat = (part["cov_sqrt"].astype(np.float64) @ random).ravel()
            sketch[layer] = part["mean"].astype(np.float64), flat, float(part["eigenvalues"].sum(dtype=np.float64))
        sketches.append(sketch)
    squares = np.zeros((len(readable), len(readable)))
    for layer in layers if readable else ():
        mean_distances = squared_distances(np.stack([sketch[layer][0] for sketch in sketches]))
        root_distances = squared_distances(np.stack([sketch[layer][1] for sketch in sketches]))
        traces = np.array([sketch[layer][2] for sketch in sketches])
        variance = (traces[:, None] + traces) / 2 + mean_distances / 4
        squares += np.divide(
            mean_distances + root_distances, variance, out=np.zeros_like(mean_distances), where=variance > 0
        )
    return np.asarray(np.sqrt(squares / len(layers))), readable, damaged
