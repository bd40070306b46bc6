"""Means and covariances of a layer's activations, in float32, over all positions or those a mask counts."""

from __future__ import annotations

from typing import Any

from ...backends import ops as backend_ops
from ...backends.runtime import ops


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
    mean, rows, share = centred(activations, mask)
    return {"mean": mean, "cov": covariance(rows, share)}


def centred(activations: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Return means (n, 1, c), rows less these (n, h * w, c), and a row's share, a number or (n or 1, h * w, 1)."""
    activations = ops.cast(activations, "float32")
    rows = rows_of(activations)
    # row by row of the picture: added up at once, 175 000 positions put the mean off by as much as 4e-4 of itself
    if mask is None:
        share = 1 / ops.cast(ops.shape(rows)[1], "float32")
        counts = ops.ones_like(activations[:, :, None, :, 0])
        mean = share * ops.sum(backend_ops.matmul(counts, activations), axis=1)
    else:
        share = _shares(mask)
        shares = ops.reshape(share, (mask.shape[0], *ops.shape(mask)[1:2], 1, -1))
        mean = ops.sum(backend_ops.matmul(shares, activations), axis=1)
    return mean, rows - mean, share


def covariance(centred: Any, share: Any) -> Any:
    """Return (n, c, c) of what `centred` returns."""
    if len(share.shape) == 0:
        return share * backend_ops.matmul(centred, centred, transpose_a=True)
    return backend_ops.matmul(centred, share * centred, transpose_a=True)


def rows_of(activations: Any) -> Any:
    """Return activations (n, h, w, c) as (n, h * w, c)."""
    return ops.reshape(activations, (activations.shape[0], -1, activations.shape[-1]))


def _shares(mask: Any) -> Any:
    """The mask as a column whose sum is 1, (n or 1, h * w, 1); 0 where there is none of it."""
    column = rows_of(mask)
    return column / ops.maximum(ops.sum(column, axis=1, keepdims=True), 1e-12)
