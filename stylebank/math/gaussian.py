"""Gaussians under optimal transport, in float64.

The squared Wasserstein-2 distance of two Gaussians (Dowson and Landau 1982; Olkin and
Pukelsheim 1982) is

    W2^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^{1/2} S2 S1^{1/2})^{1/2}
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from ..style import Gaussian

Array = npt.NDArray[np.float64]

#: Number of leading axes in the joint subspace of the bound from marginals.
AXES = 64
#: Relative squared distance below which `layer_distance` uses singular values.
_CLOSE = 1e-3
#: Largest rounding error of a bound, relative to the variance.
_ROUNDING_MARGIN = 1e-5


def eigh_descending(cov: npt.ArrayLike) -> tuple[Array, Array]:
    """Return eigenvalues, largest first, and eigenvectors of a covariance.

    Parameters
    ----------
    cov : array_like, shape (c, c)
        Symmetric. Negative eigenvalues, which rounding causes, become 0.

    Returns
    -------
    eigenvalues : ndarray, float64, shape (c,)
    eigenvectors : ndarray, float64, shape (c, c)
        One per column, in the same order.
    """
    matrix = np.asarray(cov, np.float64)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def sqrtm_psd(cov: npt.ArrayLike) -> tuple[Array, Array]:
    """Return the principal square root of a covariance, and its eigenvalues, largest first.

    Returns
    -------
    cov_sqrt : ndarray, float64, shape (c, c)
        The symmetric positive R with ``R @ R == cov``.
    eigenvalues : ndarray, float64, shape (c,)
    """
    values, vectors = eigh_descending(cov)
    cov_sqrt = (vectors * np.sqrt(values)) @ vectors.T
    return (cov_sqrt + cov_sqrt.T) / 2, values


def low_rank_factor(cov: npt.ArrayLike, tolerance: float = 1e-7) -> Array:
    """Return a thin factor F with ``F @ F.T == cov`` up to a tail of eigenvalues.

    Eigenvalues below `tolerance` times the largest are dropped: in a float32 covariance they are rounding errors. A
    dropped tail of trace t changes the W2^2 to a covariance C by at most ``2 sqrt(t tr C) + t``.

    Returns
    -------
    ndarray, float64, shape (c, k)
        k is at least 1; for a zero `cov` the column is zero.
    """
    values, vectors = eigh_descending(cov)
    kept = max(1, int(np.count_nonzero(values > tolerance * values[0])))
    return vectors[:, :kept] * np.sqrt(values[:kept])


def wasserstein2(mean1: npt.ArrayLike, cov1: npt.ArrayLike, mean2: npt.ArrayLike, cov2: npt.ArrayLike) -> float:
    """Return the Wasserstein-2 distance of two Gaussians.

    The cross term ``tr (S1^{1/2} S2 S1^{1/2})^{1/2}`` is computed as the sum of the singular values of
    ``S1^{1/2} S2^{1/2}``, which does not square the condition number.

    Parameters
    ----------
    mean1, mean2 : array_like, shape (c,)
    cov1, cov2 : array_like, shape (c, c)
        Symmetric, positive semi-definite; they may be singular.

    Returns
    -------
    float
        Distance, not squared, in units of the activations.
    """
    difference = np.asarray(mean1, np.float64) - np.asarray(mean2, np.float64)
    root1, values1 = sqrtm_psd(cov1)
    root2, values2 = sqrtm_psd(cov2)
    cross = scipy.linalg.svdvals(root1 @ root2).sum()
    return float(np.sqrt(max(0.0, difference @ difference + values1.sum() + values2.sum() - 2.0 * cross)))


def transport_map(cov1: npt.ArrayLike, cov2: npt.ArrayLike, ridge: float = 0.0) -> Array:
    """Return the optimal map from N(0, S1) to N(0, S2): the symmetric A with ``A S1 A == S2``.

    ``A = S1^{-1/2} (S1^{1/2} S2 S1^{1/2})^{1/2} S1^{-1/2}`` (Gelbrich 1990).

    Parameters
    ----------
    ridge : float
        Added to the diagonal of S1, which is inverted.

    Returns
    -------
    ndarray, float64, shape (c, c)
    """
    first = np.asarray(cov1, np.float64)
    first_root, values = sqrtm_psd(first + ridge * np.eye(len(first)))
    inverse = np.linalg.pinv(first_root, hermitian=True) if values[-1] <= 0 else np.linalg.inv(first_root)
    middle, _values = sqrtm_psd(first_root @ np.asarray(cov2, np.float64) @ first_root)
    return inverse @ middle @ inverse


def moments(rows: npt.NDArray[np.floating], rows_at_once: int = 1 << 16) -> tuple[Array, Array, int]:
    """Return mean, population covariance and count of vectors, summed in float64.

    Parameters
    ----------
    rows : ndarray, shape (..., c)
        The last axis holds the channels, all others are positions.

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


class MomentAccumulator:
    """Accumulates mean and covariance of rows over batches, exact within float64's rounding.

    For n and m rows with a difference d of their means, the scatter of the union is the sum of both scatters plus
    ``d^T d n m / (n + m)`` (Chan, Golub and LeVeque 1983).
    """

    def __init__(self) -> None:
        self.count: Array = np.zeros(1)
        self._mean: Array = np.zeros(1)
        self._scatter: Array = np.zeros(1)

    def update(self, mean: Array, cov: Array, count: Array) -> None:
        """Add `count` rows, shape (n,) or (1,), of mean (n, 1, c) and covariance (n, c, c); 0 rows change nothing."""
        weight = np.asarray(count, np.float64)[:, None, None]
        counted = weight > 0
        mean, cov = np.where(counted, mean, 0.0), np.where(counted, cov, 0.0)
        previous = self.count.reshape(-1, 1, 1)
        total = np.where(previous + weight > 0, previous + weight, 1.0)
        shift = mean - self._mean
        self._scatter = self._scatter + cov * weight + shift * shift.transpose(0, 2, 1) * (previous * weight / total)
        self._mean = self._mean + shift * (weight / total)
        self.count = (previous + weight).ravel()

    def moments(self) -> tuple[Array, Array]:
        """Return the mean, shape (n, 1, c), and covariance, shape (n, c, c), of all rows in float32."""
        cov = self._scatter / np.maximum(self.count, 1e-12)[:, None, None]
        return self._mean.astype(np.float32), cov.astype(np.float32)


def layer_distance(first: Gaussian, second: Gaussian) -> float:
    """Return W2^2 of two Gaussians, divided by their pooled variance (see `stylebank.similarity`)."""
    mean_distance, traces, variance = _moments(first, second.mean, second.eigenvalues)
    if not variance:
        return 0.0
    product = first.cov_sqrt.astype(np.float64) @ second.cov_sqrt.astype(np.float64)
    # eigenvalues are fast, but lose digits for a small distance
    cross = np.sqrt(np.linalg.eigvalsh(product @ product.T).clip(0)).sum()
    squared = mean_distance + traces - 2 * cross
    if squared < _CLOSE * variance:
        squared = mean_distance + traces - 2 * scipy.linalg.svdvals(product).sum()
    return max(0.0, float(squared)) / variance


def spectral_bound(first: Gaussian, mean: npt.NDArray[np.float32], eigenvalues: npt.NDArray[np.float32]) -> float:
    """Return a lower bound of `layer_distance` that needs only the mean and eigenvalues of the second Gaussian."""
    mean_distance, _both, variance = _moments(first, mean, eigenvalues)
    roots = [np.sqrt(np.maximum(values.astype(np.float64), 0)) for values in (first.eigenvalues, eigenvalues)]
    squared = float(mean_distance + ((roots[0] - roots[1]) ** 2).sum())
    return max(0.0, squared / variance - _ROUNDING_MARGIN) if variance else 0.0


class PrincipalAxes:
    """A Gaussian in the basis of its eigenvectors, for a lower bound of distances to it from marginals.

    Parameters
    ----------
    gaussian
        The Gaussian of one layer.
    """

    def __init__(self, gaussian: Gaussian) -> None:
        self._gaussian = gaussian
        values, vectors = eigh_descending(gaussian.cov)
        self._sizes = np.sqrt(values)
        self._vectors = vectors.astype(np.float32)

    def bound(
        self, mean: npt.NDArray[np.float32], cov_sqrt: npt.NDArray[np.float32], eigenvalues: npt.NDArray[np.float32]
    ) -> float:
        """Return a lower bound of `layer_distance` to another Gaussian, closer than `spectral_bound`.

        W2^2 is at least the sum of the W2^2 of the marginals on orthogonal subspaces. The leading `AXES` axes are
        one subspace, and each other axis is one.

        Parameters
        ----------
        mean : ndarray, float32, shape (c,)
        cov_sqrt : ndarray, float32, shape (c, c)
        eigenvalues : ndarray, float32, shape (c,)
            Moments of the other Gaussian.
        """
        mean_distance, traces, variance = _moments(self._gaussian, mean, eigenvalues)
        if not variance:
            return 0.0
        projected = cov_sqrt @ self._vectors
        leading = projected[:, :AXES].astype(np.float64)
        sizes = self._sizes[:AXES]
        middle = sizes[:, None] * (leading.T @ leading) * sizes
        cross = np.sqrt(np.linalg.eigvalsh(middle).clip(0)).sum()
        rest = np.sqrt(np.einsum("ij,ij->j", projected[:, AXES:], projected[:, AXES:], dtype=np.float64))
        squared = float(mean_distance + traces - 2 * (cross + self._sizes[AXES:] @ rest))
        return max(0.0, squared / variance - _ROUNDING_MARGIN)


def _moments(
    first: Gaussian, mean: npt.NDArray[np.float32], eigenvalues: npt.NDArray[np.float32]
) -> tuple[float, float, float]:
    """Return the squared distance of the means, the sum of the traces, and the pooled variance."""
    difference = first.mean.astype(np.float64) - mean
    mean_distance = float(difference @ difference)
    traces = float(first.eigenvalues.sum(dtype=np.float64) + eigenvalues.sum(dtype=np.float64))
    return mean_distance, traces, traces / 2 + mean_distance / 4


# public names of earlier versions
root, factor, transport = sqrtm_psd, low_rank_factor, transport_map
