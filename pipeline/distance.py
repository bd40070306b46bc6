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

F is thin: the tail of S that `SynthesisSettings.tolerance` leaves out costs time and no loss that could be measured.

Which way is taken:

- Layers of fewer than `_DEEP` channels have F^T C F and T from C, deeper ones Z^T Z and Y from Z: both in float32,
  taken apart (`eigh`) in float64.
- Where an eigenvalue is no more than float32 may have made of nothing, as with flat colours or a spread of many
  magnitudes, Z^T Z is made in float64, of rows whose mean is taken once more.
- Where there are about as many positions as columns, or fewer, Z Z^T takes its place: Z^T Z has no inverse root there.

What float32 has rounded away already of the activations or of Z is left out in any of them. Strips know C alone
(`matched`): what is not told there from rounding is left out too.

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
#: What float32 may have made of nothing in F^T C F, in units of its diagonal and of |F's column|^2 tr C.
_PRODUCT_ROUNDING, _COV_ROUNDING = 2.0**-16, 2.0**-22
#: The same in units of |F's column|^2 |mu|^2: the square of what a mean of many rows is off by.
_MEAN_ROUNDING = 2.0**-30
#: What float32 may have made of nothing in Z^T Z or Z Z^T made in float64: as above, and of |F|^2 (|mu|^2 + tr C).
_FACTOR_ROUNDING, _ROW_ROUNDING = 2.0**-40, 2.0**-44
#: What taking a matrix apart in float64 may make of nothing, in units of its trace: rows that do not count have no
#: noise of their own, yet some `eigh` give them eigenvalues other than 0.
_APART_ROUNDING = 2.0**-46
#: What of tr C + tr S a cross term may owe to rounding where it alone is asked for.
_UNTOLD = 2.0**-16
#: From this many channels on X - Y is made of Z, in float32 whatever the network's precision, and not of T: deep layers
#: have few positions, and of directions in which these hardly vary T's entries are so large that bfloat16's rounding of
#: them is all there is. A picture of 128 pixels ended at a loss of 0.61 instead of 0.41. In other layers T costs less.
_DEEP = 512
#: Six positions for five columns: below that Z Z^T is taken apart, since Z^T Z is as good as singular.
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


def _centred(activations: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Means (n, 1, c), rows less these (n, h * w, c), and what each counts, a number or (n or 1, h * w, 1): float32."""
    activations = ops.cast(activations, "float32")
    rows = _rows(activations)
    # row by row of the picture: added up at once, 175 000 positions put the mean off by as much as 4e-4 of itself
    if mask is None:
        share = 1 / ops.cast(ops.shape(rows)[1], "float32")
        counts = ops.ones_like(activations[:, :, None, :, 0])
        mean = share * ops.sum(backend.products(counts, activations), axis=1)
    else:
        share = _shares(mask)
        shares = ops.reshape(share, (mask.shape[0], *ops.shape(mask)[1:2], 1, -1))
        mean = ops.sum(backend.products(shares, activations), axis=1)
    return mean, rows - mean, share


def _half(product: Any, noise: Any) -> tuple[Any, Any, Any]:
    """Take matrices P (n, k, k) >= 0 apart, in float64.

    Parameters
    ----------
    noise : tensor, shape (n or 1, k)
        Of the diagonal, what may be rounding. In a direction v it is v^2 times that, and no less is divided by.

    Returns
    -------
    tensors, float64 (n, k, k), float32 (n,) and float32 (n,)
        H with H H^T = P^{-1/2}, tr P^{1/2}, and what of that is not told from rounding; 0 where every eigenvalue is.
    """
    # tensors' own @: Keras' matmul falls back to float32 on PyTorch
    product = ops.cast(product, "float64")
    values, vectors = ops.linalg.eigh((product + _turned(product)) / 2)
    noise = ops.sum(ops.square(vectors) * ops.cast(noise, "float64")[:, :, None], axis=1)
    noise = noise + _APART_ROUNDING * ops.trace(product, axis1=1, axis2=2)[:, None] + 1e-30
    told = values > noise
    cross = ops.where(told, ops.sqrt(ops.maximum(values, noise)), values / ops.sqrt(noise))
    half = vectors * ops.maximum(values, noise)[:, None, :] ** -0.25
    untold = ops.where(told, 0.0, ops.sqrt(noise))
    return half, ops.cast(ops.sum(cross, axis=1), "float32"), ops.cast(ops.sum(untold, axis=1), "float32")


def _product_noise(product: Any, mean: Any, spread: Any, factor_transposed: Any) -> Any:
    """The noise of F^T C F made in float32, (n, k)."""
    columns = ops.sum(ops.square(factor_transposed), axis=1)
    own = ops.maximum(ops.diagonal(product, axis1=1, axis2=2), 0)
    size = _COV_ROUNDING * spread[:, None] + _MEAN_ROUNDING * ops.sum(ops.square(mean), axis=2)
    return _PRODUCT_ROUNDING * own + size * columns


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
    layer = _Layer(activations, target, weight, mask)
    above, below = _FEW
    few = below * ops.shape(layer.centred)[1] < above * ops.shape(layer.factor_transposed)[0]
    cross, *gradient = backend.either(few, lambda: layer.exactly(rows=True), layer.by_columns)
    value = ops.sum(ops.square(layer.apart), axis=(1, 2)) + layer.spread + target["trace"] - 2 * cross
    return value, gradient[0] if gradient else None


class _Layer:
    """A layer's activations beside a style's; letters are the module's docstring's.

    `by_columns` and `exactly` return the cross term (n,), and with a weight the gradient.
    """

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        self.activations, self.mask = activations, mask
        self.mean, self.centred, self.share = _centred(activations, mask)
        self.root = ops.sqrt(self.share)
        self.apart = self.mean - target["mean"]
        self.scale = None if weight is None else 2 * ops.reshape(weight, (-1, 1, 1))
        self.trace, self.factor_transposed = target["trace"], target["factor_transposed"]
        self.factor = ops.transpose(self.factor_transposed)[None]
        self.deep = activations.shape[-1] >= _DEEP
        if self.deep:
            self.z = self._projected()
            self.product = backend.products(self.z, self.z, turned=True)
            squares = backend.sum_of_squares(self.centred if mask is None else self.root * self.centred)
            self.spread = squares * (self.share if mask is None else 1)
        else:
            cov = _covariance(self.centred, self.share)
            self.product = backend.products(backend.products(self.factor_transposed[None], cov), self.factor)
            self.spread = ops.trace(cov, axis1=1, axis2=2)

    def _projected(self) -> Any:
        """Z, (n, h * w, k)."""
        if self.mask is None:
            return backend.products(self.centred, self.root * self.factor)
        return self.root * backend.products(self.centred, self.factor)

    def by_columns(self) -> Any:
        """Take F^T C F, made in float32, apart; where that does not do, Z^T Z made in float64."""
        noise = _product_noise(self.product, self.mean, self.spread, self.factor_transposed)
        half, cross, untold = _half(self.product, noise)
        # a gradient has a direction for each eigenvalue; a value has but their sum
        allowed = 0.0 if self.scale is not None else _UNTOLD * (self.spread + self.trace)
        return backend.either(
            ops.all(untold <= allowed), lambda: self._plainly(half, cross), lambda: self.exactly(rows=False)
        )

    def _plainly(self, half: Any, cross: Any) -> tuple[Any, ...]:
        if self.scale is None:
            return (cross,)
        half = ops.cast(half, "float32")
        to_style = backend.products(half, backend.products(half, self.factor_transposed[None], turned=True))
        if self.deep:
            return cross, self._less_carried(self.z, to_style)
        linear = self.scale * (
            ops.eye(self.centred.shape[-1], dtype="float32") - backend.products(self.factor, to_style)
        )
        if self.mask is None:
            linear, constant = self.share * linear, self.scale * self.share * self.apart
            return cross, matched_gradient(self.activations, self.mean, linear, constant, self.centred)
        gradient = matched_gradient(self.activations, self.mean, linear, self.scale * self.apart, self.centred)
        return cross, gradient * ops.reshape(ops.cast(self.share, gradient.dtype), ops.shape(self.mask))

    def exactly(self, *, rows: bool) -> tuple[Any, ...]:
        """Take Z Z^T apart if `rows`, else Z^T Z, made in float64."""
        z = ops.cast(self.z if self.deep else self._projected(), "float64")
        roots = ops.cast(self.root, "float64") * ops.ones_like(z[:, :, :1])
        z = z - roots * ops.sum(roots * z, axis=1, keepdims=True)  # roots are of length 1: what is left has mean 0
        columns = ops.sum(ops.square(self.factor_transposed), axis=1)
        size = _ROW_ROUNDING * (self.spread + ops.sum(ops.square(self.mean), axis=(1, 2)))[:, None]
        if rows:
            product, size = z @ _turned(z), size * ops.max(columns) * ops.cast(ops.square(roots[:, :, 0]), "float32")
        else:
            product, size = _turned(z) @ z, size * columns
        own = ops.diagonal(product, axis1=1, axis2=2)
        half, cross, _untold = _half(product, _FACTOR_ROUNDING * own + ops.cast(size, "float64"))
        if self.scale is None:
            return (cross,)
        carried = half @ (_turned(half) @ z) if rows else (z @ half) @ _turned(half)
        return cross, self._less_carried(ops.cast(carried, "float32"), self.factor_transposed[None])

    def _less_carried(self, left: Any, right: Any) -> Any:
        """The gradient, the rows of Y - m being `left` (n, h * w, k) times `right` (n or 1, k, c) over `root`."""
        gradient = self.scale * self.share * (self.centred + self.apart)
        gradient = gradient - backend.products(self.scale * self.root * left, right)
        return ops.reshape(ops.cast(gradient, self.activations.dtype), ops.shape(self.activations))


def matched(mean: Any, cov: Any, target: Mapping[str, Any], weight: Any = None) -> tuple[Any, Any, Any]:
    """Squared W2 from Gaussians to a style, and what its gradient is made of.

    Parameters
    ----------
    mean, cov : tensors, float32, shapes (n, 1, c) and (n, c, c)
    target, weight
        As for `distance`.

    Returns
    -------
    tensor, float32, shape (n,)
        The distance squared, not weighted.
    tensors, float32, shapes (n, c, c) and (n, 1, c), or None
        L = 2 weight (I - T) and d = 2 weight (mean - style's): the gradient at a row x is
        ((x - mean) L + d) times the row's share of the count.
    """
    factor_transposed = target["factor_transposed"]
    factor = ops.transpose(factor_transposed)[None]
    product = backend.products(backend.products(factor_transposed[None], cov), factor)
    spread, apart = ops.trace(cov, axis1=1, axis2=2), mean - target["mean"]
    half, cross, _untold = _half(product, _product_noise(product, mean, spread, factor_transposed))
    value = ops.sum(ops.square(apart), axis=(1, 2)) + spread + target["trace"] - 2 * cross
    if weight is None:
        return value, None, None
    half = backend.products(factor, ops.cast(half, "float32"))
    scale = 2 * ops.reshape(weight, (-1, 1, 1))
    return value, scale * (ops.eye(cov.shape[-1], dtype="float32") - half @ _turned(half)), scale * apart


def matched_gradient(activations: Any, mean: Any, linear: Any, constant: Any, centred: Any = None) -> Any:
    """Return (X - mean) L + d, like the activations X (n, h, w, c); `centred` is X - mean where it is there already."""
    kept = activations.dtype
    if kept == mean.dtype or activations.shape[-1] >= _DEEP:
        rows = ops.cast(_rows(activations), mean.dtype) - mean if centred is None else centred
        activations = ops.reshape(rows, ops.shape(activations))
    else:
        linear = ops.cast(linear, kept)  # as the rows are multiplied by, so is their mean
        constant = constant - ops.matmul(mean, ops.cast(linear, mean.dtype))
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
