"""Styles as points of a plane, by how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import StyleDamaged
from ..math.gaussian import Array
from ..math.mds import _squares
from ..storage import reader as format
from .similarity import Candidate, Layers, distance


def matrix(styles: Sequence[Layers], layers: Sequence[str]) -> Array:
    """Return the distances of styles from each other.

    Returns
    -------
    ndarray, float64, shape (n, n)
        Symmetric, zeros on the diagonal.
    """
    distances = np.zeros((len(styles), len(styles)))
    for index, one in enumerate(styles):
        for other in range(index):
            distances[index, other] = distances[other, index] = distance(one, styles[other], layers)
    return distances


def approximate_distances(
    entries: Sequence[Candidate], layers: Sequence[str], *, columns: int = 16
) -> tuple[Array, list[Candidate], list[StyleDamaged]]:
    """Return about the distances of many styles from each other, in time that grows with their number.

    In place of the covariances' W2^2 stands ``|S1^{1/2} - S2^{1/2}|_F^2``, which is never
    below it and for paintings some percent above, estimated by random projections of the roots.

    Returns
    -------
    ndarray, float64, shape (n, n)
    list of Entry
        The n that could be read, in their order.
    list of StyleDamaged
        One for each of the others.
    """
    whole: list[Candidate] = []
    damaged: list[StyleDamaged] = []
    sketches: list[dict[str, tuple[Array, Array, float]]] = []
    for entry in entries:
        try:
            parts = format.read_parts(entry.path, entry.scale, ("mean", "cov_sqrt", "eigenvalues"), layers)
        except StyleDamaged as error:
            damaged.append(error)
            continue
        whole.append(entry)
        sketch = {}
        for layer, part in parts.items():
            channels = len(part["mean"])
            random = np.random.default_rng(channels).normal(size=(channels, columns)) / np.sqrt(columns)
            flat = (part["cov_sqrt"].astype(np.float64) @ random).ravel()
            sketch[layer] = part["mean"].astype(np.float64), flat, float(part["eigenvalues"].sum(dtype=np.float64))
        sketches.append(sketch)
    squares = np.zeros((len(whole), len(whole)))
    for layer in layers if whole else ():
        apart = _squares(np.stack([sketch[layer][0] for sketch in sketches]))
        roots = _squares(np.stack([sketch[layer][1] for sketch in sketches]))
        traces = np.array([sketch[layer][2] for sketch in sketches])
        variance = (traces[:, None] + traces) / 2 + apart / 4
        squares += np.divide(apart + roots, variance, out=np.zeros_like(apart), where=variance > 0)
    return np.asarray(np.sqrt(squares / len(layers))), whole, damaged
