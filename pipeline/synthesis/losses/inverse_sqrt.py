"""The inverse square root of F^T C F by eigendecomposition in float64, cut off at a noise floor."""

from __future__ import annotations

from typing import Any

from ...backends.runtime import ops

#: Noise floor of the eigenvalues of F^T C F in float32, relative to its diagonal and to |F's column|^2 tr C.
_PRODUCT_ROUNDING, _COV_ROUNDING = 2.0**-16, 2.0**-22
#: The same relative to |F's column|^2 |mu|^2: the squared error of a mean over many rows.
_MEAN_ROUNDING = 2.0**-30
#: Noise floor of `eigh` in float64, relative to the trace. Rows of weight 0 have no noise, but some implementations
#: return nonzero eigenvalues for them.
EIGH_NOISE_FLOOR = 2.0**-46


def inverse_sqrt_factor(product: Any, noise: Any) -> tuple[Any, Any, Any]:
    """Return a factor of the inverse square root of matrices P >= 0, computed in float64.

    Parameters
    ----------
    product : tensor, shape (n, k, k)
        P, symmetric up to rounding.
    noise : tensor, shape (n or 1, k)
        Noise floor of the diagonal. The noise floor along an eigenvector v is the sum of v^2 times it.
        Eigenvalues below their noise floor are replaced by it in the inverse.

    Returns
    -------
    tensors, float64 (n, k, k), float32 (n,) and float32 (n,)
        H with H H^T = P^{-1/2}; tr P^{1/2}; and the part of that trace which may be noise, 0 if every eigenvalue is
        above its noise floor.
    """
    # the operator @ keeps float64; Keras' matmul falls back to float32 on PyTorch
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
    """Return the noise floor of the diagonal of F^T C F computed in float32, with shape (n, k)."""
    columns = ops.sum(ops.square(factor_transposed), axis=1)
    diagonal = ops.maximum(ops.diagonal(product, axis1=1, axis2=2), 0)
    scale = _COV_ROUNDING * trace_cov[:, None] + _MEAN_ROUNDING * ops.sum(ops.square(mean), axis=2)
    return _PRODUCT_ROUNDING * diagonal + scale * columns


def transpose_a(matrices: Any) -> Any:
    """Return matrices (n, a, b) as (n, b, a)."""
    return ops.transpose(matrices, (0, 2, 1))
