"""Geodesics and Wasserstein barycentres of Gaussians, in float64.

Both use factors ``S == F @ F.T`` and couplings ``x_i = F_i Q_i z`` of one standard normal z. No covariance is
inverted, so singular ones need no ridge. The optimal coupling of N(0, F F^T) with N(0, L L^T) has
``Q == polar(F^T L)``, the isometry U V^T of the singular value decomposition U s V^T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from .gaussian import Array, eigh_descending

#: The fixed-point iteration ends at steps below this fraction of ``sqrt(tr S)``, less than float32's rounding.
TOLERANCE = 1e-5
#: Largest factor by which a step is extrapolated.
_MAX_STEP_LENGTH = 1e4
MOST_ITERATIONS = 200
_EPSILON = float(np.finfo(np.float64).eps)
_EPSILON32 = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Convergence:
    """Status of a fixed-point iteration.

    Attributes
    ----------
    iterations : int
        0 for the closed form.
    residual : float
        W2 between the last two iterates, divided by ``sqrt(tr S)`` of the last.
    converged : bool
        Whether `residual` is at most the tolerance.
    """

    iterations: int
    residual: float
    converged: bool


def geodesic(
    mean1: npt.ArrayLike, cov1: npt.ArrayLike, mean2: npt.ArrayLike, cov2: npt.ArrayLike, t: float
) -> tuple[Array, Array]:
    """Return the Gaussian at `t` on the geodesic from one Gaussian to another: McCann's interpolation.

    With K the cross-covariance of an optimal coupling,

        S_t = (1 - t)^2 S1 + t^2 S2 + t (1 - t) (K + K^T),   K = F1 polar(F1^T F2) F2^T

    For an invertible S1 this is ``((1 - t) I + t A) S1 ((1 - t) I + t A)`` with the optimal map A (McCann 1997). If
    several couplings are optimal, because the ranges of S1 and S2 are partly orthogonal, those directions are
    coupled independently.

    Parameters
    ----------
    mean1, mean2 : array_like, shape (c,)
    cov1, cov2 : array_like, shape (c, c)
        Symmetric, positive semi-definite; they may be singular.
    t : float
        0 to 1. 0 returns a copy of the first Gaussian, 1 of the second.

    Returns
    -------
    mean : ndarray, float64, shape (c,)
    cov : ndarray, float64, shape (c, c)

    Raises
    ------
    UsageError
        If `t` is outside 0..1.
    """
    if not 0 <= t <= 1:
        raise UsageError(f"geodesic t = {t:g}: expected a number from 0 to 1.")
    means = np.asarray(mean1, np.float64), np.asarray(mean2, np.float64)
    covs = np.asarray(cov1, np.float64), np.asarray(cov2, np.float64)
    if t in (0, 1):
        return means[int(t)].copy(), covs[int(t)].copy()
    first, second = _factor(cov1), _factor(cov2)
    cross = first @ _polar(first.T @ second)[0] @ second.T
    cov = (1 - t) ** 2 * covs[0] + t**2 * covs[1] + t * (1 - t) * (cross + cross.T)
    return (1 - t) * means[0] + t * means[1], (cov + cov.T) / 2


def barycenter(
    means: Sequence[npt.ArrayLike],
    covs: Sequence[npt.ArrayLike],
    weights: Sequence[float],
    *,
    tolerance: float = TOLERANCE,
    most_iterations: int = MOST_ITERATIONS,
) -> tuple[Array, Array, Convergence]:
    """Return the Gaussian that minimises the weighted sum of squared W2 distances to several.

    The barycentre is a fixed point (Agueh and Carlier 2011) of ``S <- T S T``, with T the weighted mean of the
    optimal maps from S to each S_i (Alvarez-Esteban, del Barrio, Cuesta-Albertos and Matran 2016). With S = L L^T,
    ``T L == sum_i w_i F_i polar(F_i^T L)`` inverts nothing, and the step ``|T L - L|`` is W2 itself. The iteration
    starts at the weighted mean of the principal roots, which is exact if the covariances commute. It extrapolates
    steps by Barzilai and Borwein's length, and takes an extrapolation back if the cost rises. Two Gaussians have a
    closed form: a point of their `geodesic`.

    Parameters
    ----------
    means : sequence of array_like, shape (c,)
    covs : sequence of array_like, shape (c, c)
        Symmetric, positive semi-definite; they may be singular.
    weights : sequence of float
        From 0 up; divided by their sum. A Gaussian of weight 0 is ignored.
    tolerance : float
        The iteration ends at a step this short, relative to ``sqrt(tr S)``.
    most_iterations : int
        Maximum number of iterations.

    Returns
    -------
    mean : ndarray, float64, shape (c,)
    cov : ndarray, float64, shape (c, c)
    Convergence

    Raises
    ------
    UsageError
        If the numbers of means, covariances and weights differ, or a weight is not valid.
    """
    fractions = normalised(weights)
    if not len(means) == len(covs) == len(fractions):
        raise UsageError(
            f"{len(means)} means, {len(covs)} covariances and {len(fractions)} weights: "
            "expected one of each per Gaussian."
        )
    indices = [index for index, fraction in enumerate(fractions) if fraction > 0]
    fractions = fractions[indices]
    used_means = [np.asarray(means[index], np.float64) for index in indices]
    used_covs = [np.asarray(covs[index]) for index in indices]
    exact = Convergence(0, 0.0, True)
    if len(indices) == 1:
        return used_means[0].copy(), used_covs[0].astype(np.float64), exact
    if len(indices) == 2:
        mean, cov = geodesic(used_means[0], used_covs[0], used_means[1], used_covs[1], float(fractions[1]))
        return mean, cov, exact
    mean = np.asarray(sum(fraction * mean for fraction, mean in zip(fractions, used_means, strict=True)))
    cov, convergence = _fixed_point(used_covs, fractions, tolerance, most_iterations)
    return mean, cov, convergence


def normalised(weights: Sequence[float]) -> Array:
    """Return weights divided by their sum.

    Raises
    ------
    UsageError
        If a weight is negative or not finite, or if none is above 0.
    """
    fractions = np.asarray(weights, np.float64)
    if fractions.ndim != 1 or not np.isfinite(fractions).all() or (fractions < 0).any() or not fractions.sum() > 0:
        numbers = ", ".join(f"{weight:g}" for weight in fractions.ravel())
        raise UsageError(f"weights {numbers or 'none'}: expected numbers from 0 up, at least one above 0.")
    return np.asarray(fractions / fractions.sum())


def _fixed_point(
    covs: Sequence[npt.NDArray[Any]], fractions: Array, tolerance: float, most_iterations: int
) -> tuple[Array, Convergence]:
    factors = [_factor(cov) for cov in covs]
    channels, columns = len(covs[0]), sum(factor.shape[1] for factor in factors)
    # all iterates are in the span of the factors; for small scales its dimension is low
    basis = np.linalg.qr(np.hstack(factors))[0] if columns < channels else None
    if basis is not None:
        factors = [basis.T @ factor for factor in factors]
    iterate = sum(fraction * _principal_root(factor) for fraction, factor in zip(fractions, factors, strict=True))
    assert isinstance(iterate, np.ndarray)
    best, previous = np.inf, None
    mapped, residual, iteration = iterate, np.inf, 0
    while iteration < most_iterations:
        iteration += 1
        fallback = mapped
        mapped, cost = _step(iterate, factors, fractions)
        if cost > best + _EPSILON * abs(best) * channels and previous is not None:
            iterate, previous = fallback, None  # the extrapolation raised the cost
            continue
        step, best = mapped - iterate, cost
        spread = float(np.linalg.norm(mapped))
        residual = float(np.linalg.norm(step)) / spread if spread else 0.0
        if residual <= tolerance:
            break
        length = 1.0 if previous is None else _step_length(iterate - previous[0], previous[1] - step)
        previous = iterate, step
        iterate = iterate + length * step
    iterate = mapped
    if basis is not None:
        iterate = basis @ iterate
    cov = iterate @ iterate.T
    return (cov + cov.T) / 2, Convergence(iteration, residual, residual <= tolerance)


def _step(iterate: Array, factors: Sequence[Array], fractions: Array) -> tuple[Array, float]:
    """Return ``T L`` and the cost, up to a constant."""
    mapped, cost = np.zeros_like(iterate), float(np.sum(iterate**2))
    for fraction, factor in zip(fractions, factors, strict=True):
        polar, trace = _polar(factor.T @ iterate)
        mapped += fraction * (factor @ polar)
        cost -= 2 * float(fraction) * trace
    return mapped, cost


def _step_length(displacement: Array, change: Array) -> float:
    """Return the step length of Barzilai and Borwein (1988): ``L - T L`` is half the gradient of the cost."""
    slope = float(np.sum(displacement * change))
    return min(max(float(np.sum(displacement**2)) / slope, 1.0), _MAX_STEP_LENGTH) if slope > 0 else 1.0


def _factor(cov: npt.ArrayLike) -> Array:
    """Return a factor F with ``F @ F.T == cov`` up to the rounding of `cov`'s dtype; largest columns first."""
    values, vectors = eigh_descending(cov)
    rounding = _EPSILON32 if np.asarray(cov).dtype == np.float32 else len(values) * _EPSILON
    kept = max(1, int(np.count_nonzero(values > rounding * values[0])))
    return np.asarray(vectors[:, :kept] * np.sqrt(values[:kept]))


def _principal_root(factor: Array) -> Array:
    """Return the principal root of ``factor @ factor.T``; the columns of `factor` are orthogonal."""
    sizes = np.linalg.norm(factor, axis=0)
    return np.asarray((factor / np.where(sizes > 0, sizes, 1)) @ factor.T)


def _polar(matrix: Array) -> tuple[Array, float]:
    """Return U V^T of the singular value decomposition, without values below rounding, and the sum of all values."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    kept = int(np.count_nonzero(values > max(matrix.shape) * _EPSILON * values[0]))
    return np.asarray(left[:, :kept] @ right[:kept]), float(values.sum())
