"""The mathematics of Gaussians under optimal transport, in float64.

The squared Wasserstein-2 distance of two Gaussians (Dowson and Landau 1982; Olkin and
Pukelsheim 1982) is

    W2^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^{1/2} S2 S1^{1/2})^{1/2}
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

Array = npt.NDArray[np.float64]


def eigen(cov: npt.ArrayLike) -> tuple[Array, Array]:
    """Eigenvalues, largest first and none below 0, and eigenvectors of a covariance.

    Parameters
    ----------
    cov : array_like, shape (c, c)
        Symmetric; rounding's negative eigenvalues count as 0.

    Returns
    -------
    eigenvalues : ndarray, float64, shape (c,)
    eigenvectors : ndarray, float64, shape (c, c)
        In columns, in the same order.
    """
    matrix = np.asarray(cov, np.float64)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def root(cov: npt.ArrayLike) -> tuple[Array, Array]:
    """Principal square root of a covariance, and its eigenvalues, largest first.

    Returns
    -------
    cov_sqrt : ndarray, float64, shape (c, c)
        The symmetric positive R with ``R @ R == cov``.
    eigenvalues : ndarray, float64, shape (c,)
    """
    values, vectors = eigen(cov)
    cov_sqrt = (vectors * np.sqrt(values)) @ vectors.T
    return (cov_sqrt + cov_sqrt.T) / 2, values


def factor(cov: npt.ArrayLike, tolerance: float = 1e-7) -> Array:
    """Thin factor F with ``F @ F.T == cov`` up to a tail of eigenvalues.

    Eigenvalues below `tolerance` times the largest are left out: in a covariance kept as
    float32 they are rounding. Leaving out a tail of trace t changes the W2^2 to a
    covariance C by at most ``2 sqrt(t tr C) + t``.

    Returns
    -------
    ndarray, float64, shape (c, k)
        With k at least 1 (a column of zeros when `cov` is 0).
    """
    values, vectors = eigen(cov)
    kept = max(1, int(np.count_nonzero(values > tolerance * values[0])))
    return vectors[:, :kept] * np.sqrt(values[:kept])


def wasserstein2(mean1: npt.ArrayLike, cov1: npt.ArrayLike, mean2: npt.ArrayLike, cov2: npt.ArrayLike) -> float:
    """Wasserstein-2 distance of two Gaussians.

    The cross term is taken as the sum of the singular values of ``S1^{1/2} S2^{1/2}``, which
    equals ``tr (S1^{1/2} S2 S1^{1/2})^{1/2}`` without squaring the condition number.

    Parameters
    ----------
    mean1, mean2 : array_like, shape (c,)
    cov1, cov2 : array_like, shape (c, c)
        Symmetric, positive semi-definite; they may be singular.

    Returns
    -------
    float
        The distance itself, not its square; in units of the activations.
    """
    difference = np.asarray(mean1, np.float64) - np.asarray(mean2, np.float64)
    root1, values1 = root(cov1)
    root2, values2 = root(cov2)
    cross = scipy.linalg.svdvals(root1 @ root2).sum()
    return float(np.sqrt(max(0.0, difference @ difference + values1.sum() + values2.sum() - 2.0 * cross)))


def transport(cov1: npt.ArrayLike, cov2: npt.ArrayLike, ridge: float = 0.0) -> Array:
    """Optimal map from N(0, S1) to N(0, S2): the symmetric A with ``A S1 A == S2``.

    ``A = S1^{-1/2} (S1^{1/2} S2 S1^{1/2})^{1/2} S1^{-1/2}`` (Gelbrich 1990).

    Parameters
    ----------
    ridge : float
        Added to the diagonal of S1, whose inverse is wanted.

    Returns
    -------
    ndarray, float64, shape (c, c)
    """
    first = np.asarray(cov1, np.float64)
    first_root, values = root(first + ridge * np.eye(len(first)))
    inverse = np.linalg.pinv(first_root, hermitian=True) if values[-1] <= 0 else np.linalg.inv(first_root)
    middle, _values = root(first_root @ np.asarray(cov2, np.float64) @ first_root)
    return inverse @ middle @ inverse


def moments(rows: npt.NDArray[np.floating], rows_at_once: int = 1 << 16) -> tuple[Array, Array, int]:
    """Mean, population covariance and count of vectors, summed in float64.

    Parameters
    ----------
    rows : ndarray, shape (..., c)
        The last axis is the vector's, all others are positions.

    Returns
    -------
    mean : ndarray, float64, shape (c,)
    cov : ndarray, float64, shape (c, c)
    count : int
    """
    rows = rows.reshape(-1, rows.shape[-1])
    mean = rows.mean(axis=0, dtype=np.float64)
    cov = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), rows_at_once):
        centred = rows[start : start + rows_at_once] - mean
        cov += centred.T @ centred
    return mean, cov / len(rows), len(rows)
