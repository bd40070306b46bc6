"""The squared Wasserstein-2 distance of activations to a style, its gradient written out.

At a layer with activations X (N x c), Gaussian N(mu, C), and a style N(m, S), S = F F^T with F of size
c x k, the squared Wasserstein-2 distance is (Dowson and Landau 1982; Olkin and Pukelsheim 1982)

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2}

and its derivative by C is I - T, with T = F (F^T C F)^{-1/2} F^T the optimal map on the range of F
(Gelbrich 1990). By the activations that is

    dW2^2/dX = 2/N (X - Y),    Y = m + (X - mu) T

where Y is what the map makes of X: rows with the style's mean and covariance, each as near to its own row of
X as can be. So nothing is differentiated but the network, which pulls X - Y back to the picture; equal
eigenvalues, where autodiff through `eigh` gives NaN, do no harm. `wasserstein` has the ways to the last term and to Y.

F is thin: the tail of S that `SynthesisSettings.tolerance` leaves out costs time and no loss that could be measured.

Holding T or Y over several steps would save some of that, and was tried: with T held the function is a lower bound
of W2^2 without a minimum, with Y held an upper bound whose steps are too short. Both reach a given loss later.
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

#: Share of the largest eigenvalue below which a style's tail is left out where a loss is told: what the
#: float32 of the bank's files rounds away.
EXACT_TOLERANCE = 1e-7


@setup_timer()
def layer_target(style: Gaussian, tolerance: float = EXACT_TOLERANCE) -> dict[str, npt.NDArray[np.float32]]:
    """Return what the objective needs of a style's layer.

    Parameters
    ----------
    tolerance
        Share of the largest eigenvalue below which the style's tail, of trace t, is left out. The
        cross term 2 tr (F^T C F)^{1/2} loses at most 2 sqrt(t tr C) by it: see `stylebank.math.gaussian.factor`.

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


def distance(
    activations: Any, target: Mapping[str, Any], weight: Any = None, mask: Any = None
) -> tuple[Any, Gradient | None]:
    """Squared W2 from a layer's activations to a style, and what makes its gradient.

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
        The distance squared, not weighted, to some 1e-6 of tr C + tr S, which is all there is to see of
        pictures that are nearly equal; their gradient does not suffer from that.
    callable, or None
        ``gradient(above)`` gives a tensor like `activations`. In layers of few channels it keeps these and little
        else until it is called, and TensorFlow makes nothing of it before `above` is there, which may be None.
    """
    term = layer_distance(activations, target, weight, mask)
    cross, gradient = term.cross_term()
    value = ops.sum(ops.square(term.offset), axis=(1, 2)) + term.trace_cov + target["trace"] - 2 * cross
    return value, gradient


def feature_distance(activations: Any, subject: Mapping[str, Any], weight: Any) -> tuple[Any, Any]:
    """Squared distance to the subject's activations over their variance, (n,), and its gradient times `weight`."""
    difference = ops.cast(activations - subject["features"], "float32")
    size = ops.cast(ops.size(difference[0]), "float32")
    value = ops.sum(ops.square(difference), axis=(1, 2, 3)) / (size * subject["variance"])
    scale = ops.reshape(2 * weight / (size * subject["variance"]), (-1, 1, 1, 1))
    return value, ops.cast(scale * difference, activations.dtype)


def mask_at(mask: npt.NDArray[np.float32], layer: str, pooling: str) -> npt.NDArray[np.float32]:
    """Bring a mask (H, W) to a layer's positions by averaging, (1, h, w, 1)."""
    halvings = 0 if pooling == "none" else int(layer[4]) - 1
    for _ in range(halvings):
        padded = np.pad(mask, [(0, side % 2) for side in mask.shape], mode="edge")
        height, width = padded.shape
        mask = padded.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return np.ascontiguousarray(mask[None, :, :, None], np.float32)


#: Grey levels: differences well below this are no edges, and cost as their square.
_TV_EPSILON = 8.0


def total_variation(pictures: Pixels) -> tuple[npt.NDArray[np.float64], Pixels]:
    """Return how rough pictures are, and the gradient.

    The mean over pixels and colours of ``sqrt(dx^2 + dy^2 + e^2) - e``, with dx and dy the differences to
    the next pixel on the right and below and e = 8: total variation (Rudin, Osher and Fatemi 1992)
    rounded off at 0, where it has no derivative.

    Parameters
    ----------
    pictures : ndarray, float32, shape (n, H, W, 3)
        In 0..255.

    Returns
    -------
    ndarray, float64, shape (n,)
        In grey levels.
    ndarray, float32, shape (n, H, W, 3)
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
