"""The inverse square root of F^T C F, eigendecomposed in float64, and the noise floor below which it is cut off."""

from __future__ import annotations

from typing import Any

from ...backends.runtime import ops

#: What float32 may have made of nothing in F^T C F, in units of its diagonal and of |F's column|^2 tr C.
_PRODUCT_ROUNDING, _COV_ROUNDING = 2.0**-16, 2.0**-22
#: The same in units of |F's column|^2 |mu|^2: the square of what a mean of many rows is off by.
_MEAN_ROUNDING = 2.0**-30
#: What taking a matrix apart in float64 may make of nothing, in units of its trace: rows that do not count have no
#: noise of their own, yet some `eigh` give them eigenvalues other than 0.
EIGH_NOISE_FLOOR = 2.0**-46


def inverse_sqrt_factor(product: Any, noise: Any) -> tuple[Any, Any, Any]:
    """Take matrices P (n, k, k) >= 0 apart, in float64.

    Parameters
    ----------
    product : tensor, shape (n, k, k)
        P, symmetric but for rounding.
    noise : tensor, shape (n or 1, k)
        Of the diagonal, what may be rounding. In a direction v it is v^2 times that, and no less is divided by.

    Returns
    -------
    tensors, float64 (n, k, k), float32 (n,) and float32 (n,)
        H with H H^T = P^{-1/2}, tr P^{1/2}, and what of that is not told from rounding; 0 where every eigenvalue is.
    """
    # tensors' own @: Keras' matmul falls back to float32 on PyTorch
    product = ops.cast(product, "float64")
    values, vectors = ops.linalg.eigh((product + transpose_a(product)) / 2)
    noise = ops.sum(ops.square(vectors) * ops.cast(noise, "float64")[:, :, None], axis=1)
    noise = noise + EIGH_NOISE_FLOOR * ops.trace(product, axis1=1, axis2=2)[:, None] + 1e-30
    above_noise = values > noise
    cross = ops.where(above_noise, ops.sqrt(ops.maximum(values, noise)), values / ops.sqrt(noise))
    factor = vectors * ops.maximum(values, noise)[:, None, :] ** -0.25
    noise_trace = ops.where(above_noise, 0.0, ops.sqrt(noise))
    return factor, ops.cast(ops.sum(cross, axis=1), "float32"), ops.cast(ops.sum(noise_trace, axis=1), "float32")


def product_noise(product: Any, mean: Any, trace_cov: Any, factor_transposed: Any) -> Any:
    """The noise of F^T C F made in float32, (n, k)."""
    columns = ops.sum(ops.square(factor_transposed), axis=1)
    diagonal = ops.maximum(ops.diagonal(product, axis1=1, axis2=2), 0)
    scale = _COV_ROUNDING * trace_cov[:, None] + _MEAN_ROUNDING * ops.sum(ops.square(mean), axis=2)
    return _PRODUCT_ROUNDING * diagonal + scale * columns


def transpose_a(matrices: Any) -> Any:
    """Return matrices (n, a, b) as (n, b, a)."""
    return ops.transpose(matrices, (0, 2, 1))
