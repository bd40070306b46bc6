"""The squared Wasserstein-2 distance from activations to a style, with an explicit gradient; also the other terms.

A layer has activations X (N x c) with Gaussian N(mu, C). A style has N(m, S) with S = F F^T and F of size c x k.
The squared Wasserstein-2 distance is (Dowson and Landau 1982; Olkin and Pukelsheim 1982)

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2}

Its derivative by C is I - T, where T = F (F^T C F)^{-1/2} F^T is the optimal map on the range of F (Gelbrich 1990).
The derivative by the activations is

    dW2^2/dX = 2/N (X - Y),    Y = m + (X - mu) T

Y is the image of X under the optimal map: the rows nearest to X that have the style's mean and covariance. The network
pulls X - Y back to the image, so nothing but the network is differentiated. Equal eigenvalues do no harm; automatic
differentiation of `eigh` returns NaN for them. `wasserstein` computes the cross term and Y.

F is thin: it omits the tail of S below `SynthesisSettings.tolerance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.math import gaussian
from stylebank.style import Gaussian

from ...backends.runtime import ops
from ...backends.timing import setup_timer
from .wasserstein import Gradient, layer_distance

#: Tolerance of reported losses: the fraction of the largest eigenvalue below which float32 files hold only rounding.
EXACT_TOLERANCE = 1e-7


@setup_timer()
def layer_target(style: Gaussian, tolerance: float = EXACT_TOLERANCE) -> dict[str, npt.NDArray[np.float32]]:
    """Return what the objective needs of one layer of a style.

    Parameters
    ----------
    style
        The layer's Gaussian.
    tolerance
        Fraction of the largest eigenvalue below which the tail of S is omitted. A tail of trace t lowers the
        cross term 2 tr (F^T C F)^{1/2} by at most 2 sqrt(t tr C): see `stylebank.math.gaussian.low_rank_factor`.

    Returns
    -------
    dict
        ``mean`` (c,), ``factor_transposed`` (k, c), and ``trace``, which is that of all of S.
    """
    factor = gaussian.low_rank_factor(style.cov, tolerance)
    return {
        "mean": np.ascontiguousarray(style.mean, np.float32),
        "factor_transposed": np.ascontiguousarray(factor.T, np.float32),
        "trace": np.float32(np.trace(style.cov, dtype=np.float64)),  # type: ignore[dict-item]
    }


def distance(
    activations: Any, target: Mapping[str, Any], weight: Any = None, mask: Any = None
) -> tuple[Any, Gradient | None]:
    """Return the squared W2 distance from a layer's activations to a style, and a function that returns its gradient.

    Parameters
    ----------
    activations : tensor, shape (n, h, w, c)
    target
        As `layer_target` returns it, as tensors.
    weight : tensor, float32, shape (n,), optional
        Factor of the gradient. Without it there is no gradient.
    mask
        As for `moments`.

    Returns
    -------
    tensor, float32, shape (n,)
        The unweighted squared distance, accurate to about 1e-6 of tr C + tr S. Distances of nearly equal images are
        smaller than that; their gradients stay accurate.
    callable, or None
        ``gradient(upstream)`` returns a tensor like `activations`. In layers of few channels it stores the
        activations and little else. TensorFlow computes it after `upstream`, which may be None.
    """
    term = layer_distance(activations, target, weight, mask)
    cross, gradient = term.cross_term()
    value = ops.sum(ops.square(term.offset), axis=(1, 2)) + term.trace_cov + target["trace"] - 2 * cross
    return value, gradient


def feature_distance(activations: Any, subject: Mapping[str, Any], weight: Any) -> tuple[Any, Any]:
    """Return the squared distance to the subject's activations, and its gradient.

    Parameters
    ----------
    activations : tensor, shape (n, h, w, c)
    subject
        ``features``, of the same shape, and ``variance`` (n,); ``position_weights`` (n, h, w, 1) if positions count
        differently.
    weight : tensor, float32, shape (n,)
        Factor of the gradient.

    Returns
    -------
    tensor, float32, shape (n,)
        The mean squared difference divided by ``variance``, without `weight`.
    tensor, shape (n, h, w, c)
        The weighted gradient.
    """
    difference = ops.cast(activations - subject["features"], "float32")
    size = ops.cast(ops.size(difference[0]), "float32")
    weighted = subject["position_weights"] * difference if "position_weights" in subject else difference
    value = ops.sum(weighted * difference, axis=(1, 2, 3)) / (size * subject["variance"])
    scale = ops.reshape(2 * weight / (size * subject["variance"]), (-1, 1, 1, 1))
    return value, ops.cast(scale * weighted, activations.dtype)


def mask_at(mask: npt.NDArray[np.float32], layer: str, pooling: str) -> npt.NDArray[np.float32]:
    """Average a mask (H, W) down to a layer's positions, with shape (1, h, w, 1).

    Parameters
    ----------
    layer
        Name of the layer. Its block determines how often the mask is halved.
    pooling
        The network's pooling. The mask keeps its size for ``none``.
    """
    halvings = 0 if pooling == "none" else int(layer[4]) - 1
    for _ in range(halvings):
        padded = np.pad(mask, [(0, side % 2) for side in mask.shape], mode="edge")
        height, width = padded.shape
        mask = padded.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return np.ascontiguousarray(mask[None, :, :, None], np.float32)


#: In pixel values. Differences well below it are not edges, and cost their square.
_TV_EPSILON = 8.0


def total_variation(pictures: Pixels) -> tuple[npt.NDArray[np.float64], Pixels]:
    """Return the smoothed total variation of images, and its gradient.

    It is the mean over pixels and channels of ``sqrt(dx^2 + dy^2 + e^2) - e``. Here dx and dy are the differences to
    the next pixel on the right and below, and e = 8. This is total variation (Rudin, Osher and Fatemi 1992), smoothed
    at 0, where it has no derivative.

    Parameters
    ----------
    pictures : ndarray, float32, shape (n, H, W, 3)
        In 0..255.

    Returns
    -------
    ndarray, float64, shape (n,)
        In units of pixel values.
    ndarray, float32, shape (n, H, W, 3)
        The gradient.
    """
    right = np.zeros_like(pictures)
    down = np.zeros_like(pictures)
    np.subtract(pictures[:, :, 1:], pictures[:, :, :-1], out=right[:, :, :-1])
    np.subtract(pictures[:, 1:], pictures[:, :-1], out=down[:, :-1])
    length = np.sqrt(np.square(right) + np.square(down) + np.float32(_TV_EPSILON**2))
    count = pictures[0].size
    value = length.sum(axis=(1, 2, 3), dtype=np.float64) / count - _TV_EPSILON
    length *= np.float32(count)
    right /= length
    down /= length
    gradient = -right - down
    gradient[:, :, 1:] += right[:, :, :-1]
    gradient[:, 1:] += down[:, :-1]
    return value, gradient
