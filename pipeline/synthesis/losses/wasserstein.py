"""The cross term of the squared Wasserstein-2 distance and its gradient, in the way that suits a layer.

Letters are those of `functional`. C itself is not needed: with Z = (X - mu) F / sqrt N, of size N x k, the cross term
tr (F^T C F)^{1/2} is the nuclear norm of Z, and

    (X - mu) T / sqrt N = Z (Z^T Z)^{-1/2} F^T = (Z Z^T)^{-1/2} Z F^T

Which way is taken:

- Layers of fewer than `_DEEP` channels have F^T C F and T from C, deeper ones Z^T Z and Y from Z: both in float32,
  taken apart (`eigh`) in float64.
- Where an eigenvalue is no more than float32 may have made of nothing, as with flat colours or a spread of many
  magnitudes, Z^T Z is made in float64, of rows whose mean is taken once more.
- Where there are about as many positions as columns, or fewer, Z Z^T takes its place: Z^T Z has no inverse root there.

What float32 has rounded away already of the activations or of Z is left out in any of them. Strips know C alone
(`w2_from_moments`): what is not told there from rounding is left out too.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from ...backends import ops as backend_ops
from ...backends.runtime import ops
from .inverse_sqrt import inverse_sqrt_factor, product_noise, transpose_a
from .moments import centred, covariance, rows_of

#: What float32 may have made of nothing in Z^T Z or Z Z^T made in float64: as above, and of |F|^2 (|mu|^2 + tr C).
_FACTOR_ROUNDING, _ROW_ROUNDING = 2.0**-40, 2.0**-44
#: What of tr C + tr S a cross term may owe to rounding where it alone is asked for.
_UNTOLD = 2.0**-16
#: From this many channels on X - Y is made of Z, in float32 whatever the network's precision, and not of T: deep layers
#: have few positions, and of directions in which these hardly vary T's entries are so large that bfloat16's rounding of
#: them is all there is. A picture of 128 pixels ended at a loss of 0.61 instead of 0.41. In other layers T costs less.
_DEEP = 512
#: Six positions for five columns: below that Z Z^T is taken apart, since Z^T Z is as good as singular.
GRAM_RATIO = (6, 5)

#: What a gradient is made by, given what it is not to be made before, or None: see `compiling.vjp`.
Gradient = Callable[[Any], Any]


def layer_against(activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> _Layer:
    """Return a layer's activations beside a style's, arguments as for `distance`."""
    kind = _FromFactor if activations.shape[-1] >= _DEEP else _FromCovariance
    return kind(activations, target, weight, mask)


class _Layer(ABC):
    """A layer's activations beside a style's.

    Attributes
    ----------
    mean, centred, offset
        mu, X - mu and mu - m.
    share, root
        1 / N, or with a mask what a row counts, and its square root.
    factor, trace, spread
        F, tr S and tr C.
    few
        Whether Z Z^T is taken apart; a tensor where the size is not known when compiled.
    """

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        self.activations, self.mask = activations, mask
        self.mean, self.centred, self.share = centred(activations, mask)
        self.root = ops.sqrt(self.share)
        self.offset = self.mean - target["mean"]
        self.scale = None if weight is None else 2 * ops.reshape(weight, (-1, 1, 1))
        self.trace, self.factor_transposed = target["trace"], target["factor_transposed"]
        self.factor = ops.transpose(self.factor_transposed)[None]
        above, below = GRAM_RATIO
        self.use_gram = below * ops.shape(self.centred)[1] < above * ops.shape(self.factor_transposed)[0]
        self.spread: Any = None

    @abstractmethod
    def cross_term(self) -> tuple[Any, Gradient | None]:
        """Return the cross term (n,), and with a weight what makes the gradient."""

    def _z(self) -> Any:
        """Z, (n, h * w, k)."""
        if self.mask is None:
            return backend_ops.matmul(self.centred, self.root * self.factor)
        return self.root * backend_ops.matmul(self.centred, self.factor)

    def _decomposed(self, product: Any) -> tuple[Any, Any, Any]:
        """`inverse_sqrt_factor` of F^T C F made in float32, and whether all of it is told from rounding."""
        noise = product_noise(product, self.mean, self.spread, self.factor_transposed)
        half, cross, noise_trace = inverse_sqrt_factor(product, noise)
        # a gradient has a direction for each eigenvalue; a value has but their sum
        allowed = 0.0 if self.scale is not None else _UNTOLD * (self.spread + self.trace)
        return half, cross, ops.all(noise_trace <= allowed)

    def _to_style(self, half: Any) -> Any:
        """(F^T C F)^{-1/2} F^T, (n, k, c)."""
        half = ops.cast(half, "float32")
        return backend_ops.matmul(half, backend_ops.matmul(half, self.factor_transposed[None], transpose_a=True))

    def _exactly(self, *, rows: bool) -> tuple[Any, Callable[[], Any]]:
        """Take Z Z^T apart if `rows`, else Z^T Z, made in float64; the gradient when it is asked for."""
        z = ops.cast(self._z(), "float64")
        roots = ops.cast(self.root, "float64") * ops.ones_like(z[:, :, :1])
        z = z - roots * ops.sum(roots * z, axis=1, keepdims=True)  # roots are of length 1: what is left has mean 0
        columns = ops.sum(ops.square(self.factor_transposed), axis=1)
        size = _ROW_ROUNDING * (self.spread + ops.sum(ops.square(self.mean), axis=(1, 2)))[:, None]
        if rows:
            product, size = (
                z @ transpose_a(z),
                size * ops.max(columns) * ops.cast(ops.square(roots[:, :, 0]), "float32"),
            )
        else:
            product, size = transpose_a(z) @ z, size * columns
        own = ops.diagonal(product, axis1=1, axis2=2)
        half, cross, _untold = inverse_sqrt_factor(product, _FACTOR_ROUNDING * own + ops.cast(size, "float64"))

        def gradient() -> Any:
            carried = half @ (transpose_a(half) @ z) if rows else (z @ half) @ transpose_a(half)
            return self._less_carried(ops.cast(carried, "float32"), self.factor_transposed[None])

        return cross, gradient

    def _less_carried(self, left: Any, right: Any) -> Any:
        """The gradient, the rows of Y - m being `left` (n, h * w, k) times `right` (n or 1, k, c) over `root`."""
        gradient = self.scale * self.share * (self.centred + self.offset)
        gradient = gradient - backend_ops.matmul(self.scale * self.root * left, right)
        return ops.reshape(ops.cast(gradient, self.activations.dtype), ops.shape(self.activations))


class _FromCovariance(_Layer):
    """Many positions, few channels: T from C.

    The gradient is made late, of the activations alone; where Z is needed it is taken apart once more for it.
    """

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        super().__init__(activations, target, weight, mask)
        cov = covariance(self.centred, self.share)
        self.spread = ops.trace(cov, axis1=1, axis2=2)
        self.half: Any = None
        self.cross: Any = None
        self.plain: Any = False
        if self.use_gram is not True:
            product = backend_ops.matmul(backend_ops.matmul(self.factor_transposed[None], cov), self.factor)
            self.half, self.cross, above_noise = self._decomposed(product)
            self.plain = ops.logical_and(above_noise, ops.logical_not(self.use_gram))

    def cross_term(self) -> tuple[Any, Gradient | None]:
        cross = backend_ops.cond(self.plain, lambda: self.cross, lambda: self._either_exactly(lambda found: found[0]))
        self.centred = None  # as large as the activations, and the gradient holds on to the layer
        return cross, None if self.scale is None else self._gradient

    def _either_exactly(self, wanted: Callable[[tuple[Any, Callable[[], Any]]], Any]) -> Any:
        return backend_ops.cond(
            self.use_gram, lambda: wanted(self._exactly(rows=True)), lambda: wanted(self._exactly(rows=False))
        )

    def _gradient(self, above: Any) -> Any:
        late = copy.copy(self)
        late.activations = backend_ops.after(self.activations, above)
        return backend_ops.cond(self.plain, late._plain_gradient, late._exact_gradient)

    def _plain_gradient(self) -> Any:
        linear = ops.eye(self.activations.shape[-1], dtype="float32")
        linear = self.scale * (linear - backend_ops.matmul(self.factor, self._to_style(self.half)))
        if self.mask is None:
            linear, constant = self.share * linear, self.scale * self.share * self.offset
            return affine_gradient(self.activations, self.mean, linear, constant)
        gradient = affine_gradient(self.activations, self.mean, linear, self.scale * self.offset)
        return gradient * ops.reshape(ops.cast(self.share, gradient.dtype), ops.shape(self.mask))

    def _exact_gradient(self) -> Any:
        self.centred = ops.cast(rows_of(self.activations), "float32") - self.mean
        return self._either_exactly(lambda found: found[1]())


class _FromFactor(_Layer):
    """Few positions, many channels: Y from Z, which is there for the value already. All is small, and made at once."""

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        super().__init__(activations, target, weight, mask)
        self.z = self._z()
        self.product = backend_ops.matmul(self.z, self.z, transpose_a=True)
        squares = backend_ops.sum_of_squares(self.centred if mask is None else self.root * self.centred)
        self.spread = squares * (self.share if mask is None else 1)

    def cross_term(self) -> tuple[Any, Gradient | None]:
        cross, *gradient = backend_ops.cond(
            self.use_gram, lambda: self._made(*self._exactly(rows=True)), self._by_columns
        )
        return cross, (lambda _above: gradient[0]) if gradient else None

    def _made(self, cross: Any, gradient: Callable[[], Any]) -> tuple[Any, ...]:
        return (cross,) if self.scale is None else (cross, gradient())

    def _by_columns(self) -> tuple[Any, ...]:
        half, cross, above_noise = self._decomposed(self.product)
        return backend_ops.cond(  # type: ignore[no-any-return]
            above_noise,
            lambda: self._made(cross, lambda: self._less_carried(self.z, self._to_style(half))),
            lambda: self._made(*self._exactly(rows=False)),
        )


def w2_from_moments(mean: Any, cov: Any, target: Mapping[str, Any], weight: Any = None) -> tuple[Any, Any, Any]:
    """Squared W2 from Gaussians to a style, and what its gradient is made of.

    Parameters
    ----------
    mean, cov : tensors, float32, shapes (n, 1, c) and (n, c, c)
    target, weight
        As for `functional.distance`.

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
    product = backend_ops.matmul(backend_ops.matmul(factor_transposed[None], cov), factor)
    spread, apart = ops.trace(cov, axis1=1, axis2=2), mean - target["mean"]
    half, cross, _untold = inverse_sqrt_factor(product, product_noise(product, mean, spread, factor_transposed))
    value = ops.sum(ops.square(apart), axis=(1, 2)) + spread + target["trace"] - 2 * cross
    if weight is None:
        return value, None, None
    half = backend_ops.matmul(factor, ops.cast(half, "float32"))
    scale = 2 * ops.reshape(weight, (-1, 1, 1))
    return value, scale * (ops.eye(cov.shape[-1], dtype="float32") - half @ transpose_a(half)), scale * apart


def affine_gradient(activations: Any, mean: Any, linear: Any, constant: Any) -> Any:
    """Return (X - mean) L + d, like the activations X (n, h, w, c)."""
    kept = activations.dtype
    if kept == mean.dtype or activations.shape[-1] >= _DEEP:
        rows = ops.cast(rows_of(activations), mean.dtype) - mean
        activations = ops.reshape(rows, ops.shape(activations))
    else:
        linear = ops.cast(linear, kept)  # as the rows are multiplied by, so is their mean
        constant = constant - ops.matmul(mean, ops.cast(linear, mean.dtype))
    linear, constant = ops.cast(linear, activations.dtype), ops.cast(constant, activations.dtype)
    if activations.shape[0] == 1:
        # backends add the constant as the convolution goes
        made = ops.conv(activations, linear[None], padding="valid", data_format="channels_last") + constant[0, 0]
    else:
        made = ops.matmul(rows_of(activations), linear) + constant
    return ops.cast(ops.reshape(made, ops.shape(activations)), kept)
