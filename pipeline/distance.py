"""The squared Wasserstein-2 distance of activations to a style, its gradient written out.

At a layer with activations X (N x c), Gaussian N(mu, C), and a style N(m, S), S = F F^T with F of size
c x k, the squared Wasserstein-2 distance is (Dowson and Landau 1982; Olkin and Pukelsheim 1982)

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2}

and its derivative by C is I - T, with T = F (F^T C F)^{-1/2} F^T the optimal map on the range of F
(Gelbrich 1990). By the activations that is

    dW2^2/dX = 2/N (X - Y),    Y = m + (X - mu) T

where Y is what the map makes of X: rows with the style's mean and covariance, each as near to its own row of
X as can be. So nothing is differentiated but the network, which pulls X - Y back to the picture; equal
eigenvalues, where autodiff through `eigh` gives NaN, do no harm. A step costs two products of N x c by c x c, and an
eigendecomposition of k x k, in float64: F^T C F squares the condition number, and in float32 its small
eigenvalues, whose roots count, drown in the rounding of the large ones. F is thin: the tail of S that
`SynthesisSettings.tolerance` leaves out costs time and no loss that could be measured.

Holding T or Y over several steps would save most of that, and was tried: with T held the function is a lower bound
of W2^2 without a minimum, with Y held an upper bound whose steps are too short. Both reach a given loss later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from stylebank import gaussian
from stylebank.style import Gaussian

from . import backend

#: Share of the largest eigenvalue below which a style's tail is left out where a loss is told: what the
#: float32 of the bank's files rounds away.
EXACT = 1e-7
#: Eigenvalues of F^T C F below this share of the largest count as this share.
_SMALLEST_EIGENVALUE = 1e-12
#: From this many channels on X - Y is made in float32 whatever the network's precision: deep layers have few positions,
#: and of directions in which these hardly vary T's entries are so large that bfloat16's rounding of them is all
#: there is. A picture of 128 pixels ended at a loss of 0.61 instead of 0.41.
_FLOAT32_FROM = 512


@backend.preparing()
def layer_target(style: Gaussian, tolerance: float = EXACT) -> dict[str, npt.NDArray[np.float32]]:
    """Return what the objective needs of a style's layer.

    Parameters
    ----------
    tolerance
        Share of the largest eigenvalue below which the style's tail, of trace t, is left out. The
        cross term 2 tr (F^T C F)^{1/2} loses at most 2 sqrt(t tr C) by it: see `stylebank.gaussian.factor`.

    Returns
    -------
    dict
        ``mean`` (c,), ``factor_transposed`` (k, c), and ``trace``, of all of S.
    """
    factor = gaussian.factor(style.cov, tolerance)
    return {
        "mean": np.ascontiguousarray(style.mean, np.float32),
        "factor_transposed": np.ascontiguousarray(factor.T, np.float32),
        "trace": np.float32(np.trace(style.cov, dtype=np.float64)),  # type: ignore[dict-item]
    }


def moments(activations: Any, mask: Any = None) -> dict[str, Any]:
    """Return the Gaussians of a layer's activations.

    Parameters
    ----------
    activations : tensor, shape (n, h, w, c)
    mask : tensor, float32, shape (n or 1, h, w, 1), optional
        How much each position counts; only ratios matter.

    Returns
    -------
    dict of float32 tensors
        ``mean`` (n, 1, c), ``cov`` (n, c, c), and ``centred``, the activations less their mean,
        (n, h * w, c).
    """
    rows = ops.cast(_rows(activations), "float32")
    if mask is None:
        count = ops.cast(ops.shape(rows)[1], "float32")
        mean = ops.matmul(ops.ones_like(rows[:, :, :1])[:, None, :, 0] / count, rows)
        centred = rows - mean
        cov = ops.matmul(ops.transpose(centred, (0, 2, 1)), centred) / count
    else:
        shares = _shares(mask)
        mean = ops.sum(shares * rows, axis=1, keepdims=True)
        centred = rows - mean
        cov = ops.matmul(ops.transpose(centred, (0, 2, 1)), shares * centred)
    return {"mean": mean, "cov": cov, "centred": centred}


def optimal_map(cov: Any, factor_transposed: Any) -> tuple[Any, Any]:
    """Return T, float32 (n, c, c), and the cross term tr (F^T C F)^{1/2}, float32 (n,)."""
    # tensors' own @: Keras' matmul falls back to float32 on PyTorch
    factor_transposed = ops.cast(factor_transposed, "float64")
    factor = ops.transpose(factor_transposed)
    product = factor_transposed @ ops.cast(cov, "float64") @ factor
    values, vectors = ops.linalg.eigh((product + ops.transpose(product, (0, 2, 1))) / 2)
    values = ops.maximum(values, _SMALLEST_EIGENVALUE * values[:, -1:] + 1e-30)
    half = factor @ (vectors * values[:, None, :] ** -0.25)
    transport = half @ ops.transpose(half, (0, 2, 1))
    return ops.cast(transport, "float32"), ops.cast(ops.sum(ops.sqrt(values), axis=1), "float32")


def distance(activations: Any, target: Mapping[str, Any], weight: Any = None, mask: Any = None) -> tuple[Any, Any]:
    """Squared W2 from a layer's activations to a style, and its gradient.

    Parameters
    ----------
    activations : tensor, shape (n, h, w, c)
    target
        As `layer_target` gives it, in tensors.
    weight : tensor, float32, shape (n,), optional
        What the gradient is multiplied by; without it there is none.
    mask
        As for `moments`.

    Returns
    -------
    tensor, float32, shape (n,)
        The distance squared, not weighted.
    tensor like `activations`, or None
    """
    found = moments(activations, mask)
    value, linear, constant = matched(found["mean"], found["cov"], target, weight)
    if weight is None:
        return value, None
    if mask is None:
        count = ops.cast(ops.shape(found["centred"])[1], "float32")
        linear, constant = linear / count, constant / count
    gradient = matched_gradient(activations, found["mean"], linear, constant, found["centred"])
    if mask is not None:
        gradient = gradient * ops.reshape(ops.cast(_shares(mask), gradient.dtype), ops.shape(mask))
    return value, gradient


def matched(mean: Any, cov: Any, target: Mapping[str, Any], weight: Any = None) -> tuple[Any, Any, Any]:
    """Squared W2 from Gaussians, (n, 1, c) and (n, c, c), to a style, and what its gradient is made of.

    Returns
    -------
    tensor, float32, shape (n,)
        The distance squared, not weighted.
    tensors, float32, shapes (n, c, c) and (n, 1, c), or None
        L = 2 weight (I - T) and d = 2 weight (mean - style's): the gradient at a row x is
        ((x - mean) L + d) times the row's share of the count.
    """
    transport, cross = optimal_map(cov, target["factor_transposed"])
    apart = mean - target["mean"]
    value = ops.sum(ops.square(apart), axis=(1, 2)) + ops.trace(cov, axis1=1, axis2=2) + target["trace"] - 2 * cross
    if weight is None:
        return value, None, None
    scale = 2 * ops.reshape(weight, (-1, 1, 1))
    return value, scale * (ops.eye(cov.shape[-1], dtype="float32") - transport), scale * apart


def matched_gradient(activations: Any, mean: Any, linear: Any, constant: Any, centred: Any = None) -> Any:
    """Return (X - mean) L + d, like the activations X (n, h, w, c); `centred` is X - mean where it is there already."""
    rows = _rows(activations)
    if rows.dtype == mean.dtype or rows.shape[-1] >= _FLOAT32_FROM:
        centred = ops.cast(rows, mean.dtype) - mean if centred is None else centred
        gradient = ops.cast(ops.matmul(centred, linear) + constant, rows.dtype)
    else:
        constant = constant - ops.matmul(mean, linear)
        gradient = ops.matmul(rows, ops.cast(linear, rows.dtype)) + ops.cast(constant, rows.dtype)
    return ops.reshape(gradient, ops.shape(activations))


def feature_distance(activations: Any, subject: Mapping[str, Any], weight: Any) -> tuple[Any, Any]:
    """Squared distance to the subject's activations over their variance, (n,), and its gradient times `weight`."""
    difference = ops.cast(activations - subject["features"], "float32")
    size = ops.cast(ops.size(difference[0]), "float32")
    value = ops.sum(ops.square(difference), axis=(1, 2, 3)) / (size * subject["variance"])
    scale = ops.reshape(2 * weight / (size * subject["variance"]), (-1, 1, 1, 1))
    return value, ops.cast(scale * difference, activations.dtype)


def _rows(activations: Any) -> Any:
    return ops.reshape(activations, (activations.shape[0], -1, activations.shape[-1]))


def _shares(mask: Any) -> Any:
    """The mask as a column whose sum is 1, (n or 1, h * w, 1); 0 where there is none of it."""
    column = _rows(mask)
    return column / ops.maximum(ops.sum(column, axis=1, keepdims=True), 1e-12)


def mask_at(mask: npt.NDArray[np.float32], layer: str, pooling: str) -> npt.NDArray[np.float32]:
    """Bring a mask (H, W) to a layer's positions by averaging, (1, h, w, 1)."""
    halvings = 0 if pooling == "none" else int(layer[4]) - 1
    for _ in range(halvings):
        padded = np.pad(mask, [(0, side % 2) for side in mask.shape], mode="edge")
        height, width = padded.shape
        mask = padded.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return np.ascontiguousarray(mask[None, :, :, None], np.float32)
