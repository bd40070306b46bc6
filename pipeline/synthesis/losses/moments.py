"""Means and covariances of a layer's activations, in float32, over all positions or those a mask counts."""

from __future__ import annotations

from typing import Any

from ...backends.ops import matmul
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
    mean, rows, row_weight = center_rows(activations, mask)
    return {"mean": mean, "cov": covariance(rows, row_weight)}


def center_rows(activations: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Return means (n, 1, c), rows less these (n, h * w, c), and a row's share, a number or (n or 1, h * w, 1)."""
    activations = ops.cast(activations, "float32")
    rows = rows_of(activations)
    # row by row of the picture: added up at once, 175 000 positions put the mean off by as much as 4e-4 of itself
    if mask is None:
        row_weight = 1 / ops.cast(ops.shape(rows)[1], "float32")
        counts = ops.ones_like(activations[:, :, None, :, 0])
        mean = row_weight * ops.sum(matmul(counts, activations), axis=1)
    else:
        row_weight = _row_weights(mask)
        picture_weights = ops.reshape(row_weight, (mask.shape[0], *ops.shape(mask)[1:2], 1, -1))
        mean = ops.sum(matmul(picture_weights, activations), axis=1)
    return mean, rows - mean, row_weight


def covariance(centred: Any, row_weight: Any) -> Any:
    """Return (n, c, c) of what `centred` returns."""
    if len(row_weight.shape) == 0:
        return row_weight * matmul(centred, centred, transpose_a=True)
    return matmul(centred, row_weight * centred, transpose_a=True)


def rows_of(activations: Any) -> Any:
    """Return activations (n, h, w, c) as (n, h * w, c)."""
    return ops.reshape(activations, (activations.shape[0], -1, activations.shape[-1]))


def _row_weights(mask: Any) -> Any:
    """The mask as a column whose sum is 1, (n or 1, h * w, 1); 0 where there is none of it."""
    column = rows_of(mask)
    return column / ops.maximum(ops.sum(column, axis=1, keepdims=True), 1e-12)
