"""The cross term of the squared Wasserstein-2 distance and its gradient, by the method that suits a layer.

The notation is that of `functional`. C is not needed: with Z = (X - mu) F / sqrt N, of size N x k, the cross term
tr (F^T C F)^{1/2} is the nuclear norm of Z, and

    (X - mu) T / sqrt N = Z (Z^T Z)^{-1/2} F^T = (Z Z^T)^{-1/2} Z F^T

The method depends on the layer and on the data:

- Layers with fewer than `MIN_FACTOR_CHANNELS` channels compute F^T C F and T from C. Deeper ones compute Z^T Z and Y
  from Z. Both products are float32, and `eigh` runs in float64.
- If an eigenvalue is below the noise floor of float32, Z^T Z is computed in float64 from rows that are centred again.
  Flat colours and spectra over many magnitudes need this.
- If there are about as many positions as columns of F, or fewer, Z^T Z has no inverse root. Z Z^T replaces it.

No method recovers what float32 has already rounded away in the activations or in Z. Tiles know C alone
(`w2_from_moments`): they omit eigenvalues below the noise floor of F^T C F as well.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from ...backends.ops import after, cond, matmul, sum_of_squares
from ...backends.runtime import ops
from .inverse_sqrt import inverse_sqrt_factor, product_noise, transpose_a
from .moments import center_rows, covariance, rows_of

#: Noise floor of Z^T Z and Z Z^T in float64, from float32 inputs: relative to the diagonal, and to
#: |F|^2 (|mu|^2 + tr C).
_FACTOR_ROUNDING, _ROW_ROUNDING = 2.0**-40, 2.0**-44
#: Noise that a cross term without a gradient may contain, as a fraction of tr C + tr S.
_NOISE_TOLERANCE = 2.0**-16
#: Layers with this many channels compute X - Y from Z, in float32 at any precision of the network, and others from T,
#: which costs less. Deep layers have few positions. T is large in directions in which these hardly vary, so that
#: bfloat16 would leave nothing but its rounding error.
MIN_FACTOR_CHANNELS = 512
#: Positions per column of F below which Z Z^T is decomposed, since Z^T Z is nearly singular: six to five.
GRAM_RATIO = (6, 5)

#: Returns a gradient. The argument is a tensor to wait for, or None: see `compile.vjp`.
Gradient = Callable[[Any], Any]


def layer_distance(activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> _LayerDistance:
    """Return a layer's distance to a style, by the method for its channels. Arguments are as for `distance`."""
    kind = _FromFactor if activations.shape[-1] >= MIN_FACTOR_CHANNELS else _FromCovariance
    return kind(activations, target, weight, mask)


class _LayerDistance(ABC):
    """The distance of a layer's activations to a style.

    Attributes
    ----------
    mean, centred, offset
        mu, X - mu and mu - m.
    row_weight, sqrt_row_weight
        The weight of a row, 1 / N without a mask, and its square root.
    factor, trace_style, trace_cov
        F, tr S and tr C.
    use_gram
        Whether Z Z^T replaces Z^T Z; a tensor if the size is unknown at compile time.
    """

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        self.activations, self.mask = activations, mask
        self.mean, self.centred, self.row_weight = center_rows(activations, mask)
        self.sqrt_row_weight = ops.sqrt(self.row_weight)
        self.offset = self.mean - target["mean"]
        self.scale = None if weight is None else 2 * ops.reshape(weight, (-1, 1, 1))
        self.trace_style, self.factor_transposed = target["trace"], target["factor_transposed"]
        self.factor = ops.transpose(self.factor_transposed)[None]
        numerator, denominator = GRAM_RATIO
        self.use_gram = denominator * ops.shape(self.centred)[1] < numerator * ops.shape(self.factor_transposed)[0]
        self.trace_cov: Any = None

    @abstractmethod
    def cross_term(self) -> tuple[Any, Gradient | None]:
        """Return the cross term (n,), and with a weight the function that returns the gradient."""

    def _z(self) -> Any:
        """Return Z, (n, h * w, k)."""
        if self.mask is None:
            return matmul(self.centred, self.sqrt_row_weight * self.factor)
        return self.sqrt_row_weight * matmul(self.centred, self.factor)

    def _decomposed(self, product: Any) -> tuple[Any, Any, Any]:
        """Return H and the trace of `inverse_sqrt_factor`, and whether float32 suffices for them."""
        noise = product_noise(product, self.mean, self.trace_cov, self.factor_transposed)
        inverse_factor, cross, noise_trace = inverse_sqrt_factor(product, noise)
        # a gradient needs every eigenvalue; a value needs only their sum
        allowed = 0.0 if self.scale is not None else _NOISE_TOLERANCE * (self.trace_cov + self.trace_style)
        return inverse_factor, cross, ops.all(noise_trace <= allowed)

    def _style_map(self, inverse_factor: Any) -> Any:
        """Return (F^T C F)^{-1/2} F^T, (n, k, c)."""
        inverse_factor = ops.cast(inverse_factor, "float32")
        return matmul(inverse_factor, matmul(inverse_factor, self.factor_transposed[None], transpose_a=True))

    def _float64_cross_term(self, *, gram: bool) -> tuple[Any, Callable[[], Any]]:
        """Return the cross term from Z Z^T if `gram`, else from Z^T Z, in float64, and a function for the gradient."""
        z = ops.cast(self._z(), "float64")
        sqrt_weights = ops.cast(self.sqrt_row_weight, "float64") * ops.ones_like(z[:, :, :1])
        # the square roots of the weights have length 1: after the projection the rows have mean 0
        z = z - sqrt_weights * ops.sum(sqrt_weights * z, axis=1, keepdims=True)
        columns = ops.sum(ops.square(self.factor_transposed), axis=1)
        noise_scale = _ROW_ROUNDING * (self.trace_cov + ops.sum(ops.square(self.mean), axis=(1, 2)))[:, None]
        if gram:
            product, noise_scale = (
                z @ transpose_a(z),
                noise_scale * ops.max(columns) * ops.cast(ops.square(sqrt_weights[:, :, 0]), "float32"),
            )
        else:
            product, noise_scale = transpose_a(z) @ z, noise_scale * columns
        diagonal = ops.diagonal(product, axis1=1, axis2=2)
        inverse_factor, cross, _noise_trace = inverse_sqrt_factor(
            product, _FACTOR_ROUNDING * diagonal + ops.cast(noise_scale, "float64")
        )

        def gradient() -> Any:
            mapped = (
                inverse_factor @ (transpose_a(inverse_factor) @ z)
                if gram
                else (z @ inverse_factor) @ transpose_a(inverse_factor)
            )
            return self._mapped_gradient(ops.cast(mapped, "float32"), self.factor_transposed[None])

        return cross, gradient

    def _mapped_gradient(self, left: Any, right: Any) -> Any:
        """Return the gradient from the mapped rows Y - m.

        They are `left` (n, h * w, k) times `right` (n or 1, k, c), divided by the square root of the row weight.
        """
        gradient = self.scale * self.row_weight * (self.centred + self.offset)
        gradient = gradient - matmul(self.scale * self.sqrt_row_weight * left, right)
        return ops.reshape(ops.cast(gradient, self.activations.dtype), ops.shape(self.activations))


class _FromCovariance(_LayerDistance):
    """The method for many positions and few channels: T from C.

    The gradient is computed late, from the activations alone. In float64 it decomposes Z once more.
    """

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        super().__init__(activations, target, weight, mask)
        cov = covariance(self.centred, self.row_weight)
        self.trace_cov = ops.trace(cov, axis1=1, axis2=2)
        self.inverse_factor: Any = None
        self.cross: Any = None
        self.float32_suffices: Any = False
        if self.use_gram is not True:
            product = matmul(matmul(self.factor_transposed[None], cov), self.factor)
            self.inverse_factor, self.cross, above_noise = self._decomposed(product)
            self.float32_suffices = ops.logical_and(above_noise, ops.logical_not(self.use_gram))

    def cross_term(self) -> tuple[Any, Gradient | None]:
        cross = cond(self.float32_suffices, lambda: self.cross, lambda: self._float64_branch(lambda result: result[0]))
        self.centred = None  # it is as large as the activations, and the gradient keeps this object alive
        return cross, None if self.scale is None else self._gradient

    def _float64_branch(self, select: Callable[[tuple[Any, Callable[[], Any]]], Any]) -> Any:
        return cond(
            self.use_gram,
            lambda: select(self._float64_cross_term(gram=True)),
            lambda: select(self._float64_cross_term(gram=False)),
        )

    def _gradient(self, upstream: Any) -> Any:
        delayed = copy.copy(self)
        delayed.activations = after(self.activations, upstream)
        return cond(self.float32_suffices, delayed._float32_gradient, delayed._float64_gradient)

    def _float32_gradient(self) -> Any:
        linear = ops.eye(self.activations.shape[-1], dtype="float32")
        linear = self.scale * (linear - matmul(self.factor, self._style_map(self.inverse_factor)))
        if self.mask is None:
            linear, constant = self.row_weight * linear, self.scale * self.row_weight * self.offset
            return affine_gradient(self.activations, self.mean, linear, constant)
        gradient = affine_gradient(self.activations, self.mean, linear, self.scale * self.offset)
        return gradient * ops.reshape(ops.cast(self.row_weight, gradient.dtype), ops.shape(self.mask))

    def _float64_gradient(self) -> Any:
        self.centred = ops.cast(rows_of(self.activations), "float32") - self.mean
        return self._float64_branch(lambda result: result[1]())


class _FromFactor(_LayerDistance):
    """The method for few positions and many channels: Y from Z.

    Z is small and exists for the value, so that value and gradient are computed together.
    """

    def __init__(self, activations: Any, target: Mapping[str, Any], weight: Any, mask: Any) -> None:
        super().__init__(activations, target, weight, mask)
        self.z = self._z()
        self.product = matmul(self.z, self.z, transpose_a=True)
        squares = sum_of_squares(self.centred if mask is None else self.sqrt_row_weight * self.centred)
        self.trace_cov = squares * (self.row_weight if mask is None else 1)

    def cross_term(self) -> tuple[Any, Gradient | None]:
        cross, *gradient = cond(
            self.use_gram, lambda: self._outputs(*self._float64_cross_term(gram=True)), self._from_columns
        )
        return cross, (lambda _upstream: gradient[0]) if gradient else None

    def _outputs(self, cross: Any, gradient: Callable[[], Any]) -> tuple[Any, ...]:
        return (cross,) if self.scale is None else (cross, gradient())

    def _from_columns(self) -> tuple[Any, ...]:
        inverse_factor, cross, above_noise = self._decomposed(self.product)
        return cond(  # type: ignore[no-any-return]
            above_noise,
            lambda: self._outputs(cross, lambda: self._mapped_gradient(self.z, self._style_map(inverse_factor))),
            lambda: self._outputs(*self._float64_cross_term(gram=False)),
        )


def w2_from_moments(mean: Any, cov: Any, target: Mapping[str, Any], weight: Any = None) -> tuple[Any, Any, Any]:
    """Return the squared W2 distance from Gaussians to a style, and the coefficients of its gradient.

    Parameters
    ----------
    mean, cov : tensors, float32, shapes (n, 1, c) and (n, c, c)
    target, weight
        As for `functional.distance`.

    Returns
    -------
    tensor, float32, shape (n,)
        The unweighted squared distance.
    tensors, float32, shapes (n, c, c) and (n, 1, c), or None
        L = 2 weight (I - T) and d = 2 weight (mean - m). The gradient at a row x is ((x - mean) L + d) times the
        weight of the row.
    """
    factor_transposed = target["factor_transposed"]
    factor = ops.transpose(factor_transposed)[None]
    product = matmul(matmul(factor_transposed[None], cov), factor)
    trace_cov, offset = ops.trace(cov, axis1=1, axis2=2), mean - target["mean"]
    inverse_factor, cross, _noise_trace = inverse_sqrt_factor(
        product, product_noise(product, mean, trace_cov, factor_transposed)
    )
    value = ops.sum(ops.square(offset), axis=(1, 2)) + trace_cov + target["trace"] - 2 * cross
    if weight is None:
        return value, None, None
    inverse_factor = matmul(factor, ops.cast(inverse_factor, "float32"))
    scale = 2 * ops.reshape(weight, (-1, 1, 1))
    return (
        value,
        scale * (ops.eye(cov.shape[-1], dtype="float32") - inverse_factor @ transpose_a(inverse_factor)),
        scale * offset,
    )


def affine_gradient(activations: Any, mean: Any, linear: Any, constant: Any) -> Any:
    """Return (X - mean) L + d with the shape and dtype of the activations X (n, h, w, c)."""
    dtype = activations.dtype
    if dtype == mean.dtype or activations.shape[-1] >= MIN_FACTOR_CHANNELS:
        rows = ops.cast(rows_of(activations), mean.dtype) - mean
        activations = ops.reshape(rows, ops.shape(activations))
    else:
        linear = ops.cast(linear, dtype)  # the mean is multiplied by the same rounded matrix as the rows
        constant = constant - ops.matmul(mean, ops.cast(linear, mean.dtype))
    linear, constant = ops.cast(linear, activations.dtype), ops.cast(constant, activations.dtype)
    if activations.shape[0] == 1:
        # backends fuse the addition into the convolution
        gradient = ops.conv(activations, linear[None], padding="valid", data_format="channels_last") + constant[0, 0]
    else:
        gradient = ops.matmul(rows_of(activations), linear) + constant
    return ops.cast(ops.reshape(gradient, ops.shape(activations)), dtype)
