"""The squared Wasserstein-2 distance of activations to a style, its gradient written out.

At a layer with activations X (N x c), Gaussian N(mu, C), and a style N(m, S), S = F F^T with F of size
c x k, the squared Wasserstein-2 distance is (Dowson and Landau 1982; Olkin and Pukelsheim 1982)

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2}

and its derivative by C is I - T, with T = F (F^T C F)^{-1/2} F^T the optimal map on the range of F
(Gelbrich 1990). By the activations that is

    dW2^2/dX = 2/N (X - Y),    Y = m + (X - mu) T

where Y is what the map makes of X: rows with the style's mean and covariance, each as near to its own row of
X as can be. So nothing is differentiated but the network, which pulls X - Y back to the picture; equal
eigenvalues, where autodiff through `eigh` gives NaN, do no harm.

C itself is not needed. With Z = (X - mu) F / sqrt N, of size N x k, the cross term is the nuclear norm of Z and

    (X - mu) T / sqrt N = Z (Z^T Z)^{-1/2} F^T = (Z Z^T)^{-1/2} Z F^T

so that the eigendecomposition, in float64, is of k x k or of N x N, whichever side is the shorter: where there are
fewer positions than columns Z^T Z has no inverse root, and Z Z^T has. F is thin: the tail of S that
`SynthesisSettings.tolerance` leaves out costs time and no loss that could be measured.

Holding T or Y over several steps would save some of that, and was tried: with T held the function is a lower bound
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
from .preparation import preparing

#: Share of the largest eigenvalue below which a style's tail is left out where a loss is told: what the
#: float32 of the bank's files rounds away.
EXACT = 1e-7
#: What of F^T C F is taken for rounding, as a share of its diagonal: where C or Z^T Z were made in float32, and where Z
#: alone was. With 2^-22 the noise of directions that cannot be told turned gradients by as much as 6e-4 in the cosine.
_ROUNDED, _ROUNDED_TWICE = 2.0**-16, 2.0**-40
#: From this many channels on X - Y is made of Z, in float32 whatever the network's precision, and not of T: deep layers
#: have few positions, and of directions in which these hardly vary T's entries are so large that bfloat16's rounding of
#: them is all there is. A picture of 128 pixels ended at a loss of 0.61 instead of 0.41.
_DEEP = 512
#: Positions over columns below which Z Z^T is taken apart: a bit above 1, where Z^T Z is as good as singular.
_FEW = (6, 5)


@preparing()
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
        ``mean`` (n, 1, c) and ``cov`` (n, c, c).
    """
    mean, centred, share = _centred(activations, mask)
    return {"mean": mean, "cov": _covariance(centred, share)}


def _covariance(centred: Any, share: Any) -> Any:
    if len(share.shape) == 0:
        return share * backend.products(centred, centred, turned=True)
    return backend.products(centred, share * centred, turned=True)


def _projected(centred: Any, root: Any, factor: Any) -> Any:
    """Z, (n, h * w, k): `root` being that of the shares."""
    if len(root.shape) == 0:
        return backend.products(centred, root * factor)
    return root * backend.products(centred, factor)


def _centred(activations: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Means (n, 1, c), rows less these (n, h * w, c), and what each counts, a number or (n or 1, h * w, 1): float32."""
    rows = ops.cast(_rows(activations), "float32")
    if mask is None:
        share = 1 / ops.cast(ops.shape(rows)[1], "float32")
        mean = share * backend.products(ops.ones_like(rows[:, :, :1])[:, None, :, 0], rows)
    else:
        share = _shares(mask)
        mean = ops.sum(share * rows, axis=1, keepdims=True)
    return mean, rows - mean, share


def optimal_map(cov: Any, factor_transposed: Any) -> tuple[Any, Any]:
    """Return T, float32 (n, c, c), and the cross term tr (F^T C F)^{1/2}, float32 (n,), from covariances (n, c, c)."""
    factor_transposed = ops.cast(factor_transposed, "float64")
    factor = ops.transpose(factor_transposed)
    half, cross = _half(factor_transposed @ ops.cast(cov, "float64") @ factor)
    half = factor @ half
    return ops.cast(half @ _turned(half), "float32"), cross


def _half(product: Any, rounding: float = _ROUNDED) -> tuple[Any, Any]:
    """H with H H^T = P^{-1/2}, float64, of matrices P (n, k, k) >= 0, and tr P^{1/2}, float32 (n,).

    In directions in which P is no more than `rounding` of what its diagonal is there, it counts as that.
    """
    # tensors' own @: Keras' matmul falls back to float32 on PyTorch
    product = ops.cast(product, "float64")
    values, vectors = ops.linalg.eigh((product + _turned(product)) / 2)
    own = ops.diagonal(product, axis1=1, axis2=2)[:, :, None]
    noise = rounding * ops.sum(ops.square(vectors) * ops.maximum(own, 0), axis=1)
    cross = ops.sum(ops.where(values > noise, ops.sqrt(ops.maximum(values, 0)), 0), axis=1)
    values = ops.maximum(values, noise + 1e-30)
    return vectors * values[:, None, :] ** -0.25, ops.cast(cross, "float32")


def _turned(matrices: Any) -> Any:
    return ops.transpose(matrices, (0, 2, 1))


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
    mean, centred, share = _centred(activations, mask)
    root = ops.sqrt(share)
    factor_transposed = target["factor_transposed"]
    factor = ops.transpose(factor_transposed)[None]
    deep = activations.shape[-1] >= _DEEP
    if deep:
        projected = _projected(centred, root, factor)
        product = backend.products(projected, projected, turned=True)
        spread = backend.sum_of_squares(centred if mask is None else root * centred) * (share if mask is None else 1)
    else:
        cov = _covariance(centred, share)
        product = backend.products(backend.products(factor_transposed[None], cov), factor)
        spread = ops.trace(cov, axis1=1, axis2=2)
    apart = mean - target["mean"]
    scale = None if weight is None else 2 * ops.reshape(weight, (-1, 1, 1))

    def less_carried(rows: Any, to_style: Any) -> Any:
        """The gradient, the rows of Y - m being the product of both over the root of their share."""
        gradient = scale * share * (centred + apart) - backend.products(scale * root * rows, to_style)
        return ops.reshape(ops.cast(gradient, activations.dtype), ops.shape(activations))

    def few_positions() -> tuple[Any, ...]:
        rows = ops.cast(projected if deep else _projected(centred, root, factor), "float64")
        roots = ops.cast(root, "float64") * ops.ones_like(rows[:, :, :1])
        rows = rows - roots * ops.sum(roots * rows, axis=1, keepdims=True)  # of length 1, and nothing lies along them
        half, cross = _half(rows @ _turned(rows), _ROUNDED_TWICE)
        if weight is None:
            return (cross,)
        return cross, less_carried(ops.cast(half @ (_turned(half) @ rows), "float32"), factor_transposed[None])

    def many_positions() -> tuple[Any, ...]:
        half, cross = _half(product)
        if weight is None:
            return (cross,)
        half = ops.cast(half, "float32")
        to_style = backend.products(half, backend.products(half, factor_transposed[None], turned=True))
        if deep:
            return cross, less_carried(projected, to_style)
        linear = scale * (ops.eye(activations.shape[-1], dtype="float32") - backend.products(factor, to_style))
        if mask is None:
            return cross, matched_gradient(activations, mean, share * linear, scale * share * apart, centred)
        gradient = matched_gradient(activations, mean, linear, scale * apart, centred)
        return cross, gradient * ops.reshape(ops.cast(share, gradient.dtype), ops.shape(mask))

    above, below = _FEW
    few = below * ops.shape(centred)[1] < above * ops.shape(factor_transposed)[0]
    found = backend.either(few, few_positions, many_positions)
    value = ops.sum(ops.square(apart), axis=(1, 2)) + spread + target["trace"] - 2 * found[0]
    return value, None if weight is None else found[1]


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
    kept = activations.dtype
    if kept == mean.dtype or activations.shape[-1] >= _DEEP:
        rows = ops.cast(_rows(activations), mean.dtype) - mean if centred is None else centred
        activations = ops.reshape(rows, ops.shape(activations))
    else:
        constant = constant - ops.matmul(mean, linear)
    linear, constant = ops.cast(linear, activations.dtype), ops.cast(constant, activations.dtype)
    if activations.shape[0] == 1:
        # backends add the constant, and what else the network pulls back to here, as the convolution goes
        made = ops.conv(activations, linear[None], padding="valid", data_format="channels_last") + constant[0, 0]
    else:
        made = ops.matmul(_rows(activations), linear) + constant
    return ops.cast(ops.reshape(made, ops.shape(activations)), kept)


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
