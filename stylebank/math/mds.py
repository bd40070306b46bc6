"""Classical multidimensional scaling."""

from __future__ import annotations

import numpy as np

from .gaussian import Array, eigh_descending


def squared_distances(rows: Array) -> Array:
    """Return the squared Euclidean distances between rows.

    Parameters
    ----------
    rows : ndarray, float64, shape (n, d)

    Returns
    -------
    ndarray, float64, shape (n, n)
        None below 0; zeros on the diagonal.
    """
    products = rows @ rows.T
    norms = np.diag(products)
    squares = np.maximum(norms[:, None] + norms - 2 * products, 0)
    np.fill_diagonal(squares, 0)
    return np.asarray(squares)


def classical_mds(distances: Array) -> Array:
    """Return points in the plane by classical scaling of their distances (Torgerson 1952).

    Parameters
    ----------
    distances : ndarray, shape (n, n)

    Returns
    -------
    ndarray, float64, shape (n, 2)
        Centred, with the wider axis first. The first point has no negative coordinate.
    """
    number = len(distances)
    centring = np.eye(number) - 1 / max(number, 1)
    values, vectors = eigh_descending(-0.5 * centring @ distances**2 @ centring)
    points = np.zeros((number, 2))
    points[:, : min(2, number)] = vectors[:, :2] * np.sqrt(values[:2])
    return np.asarray(points * np.where(points[:1] < 0, -1, 1))
