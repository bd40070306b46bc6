"""Means and covariances of a layer's activations in float32, weighted by a mask or over all positions."""

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
        Weight of each position. Only ratios matter.

    Returns
    -------
    dict of float32 tensors
        ``mean`` (n, 1, c) and ``cov`` (n, c, c).
    """
    mean, rows, row_weight = center_rows(activations, mask)
    return {"mean": mean, "cov": covariance(rows, row_weight)}


def center_rows(activations: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Return the means, the centred rows and the row weights of activations.

    Returns
    -------
    tensor, float32, shape (n, 1, c)
        The means.
    tensor, float32, shape (n, h * w, c)
        The rows minus their mean.
    tensor, float32, a scalar or of shape (n or 1, h * w, 1)
        The weight of a row: 1 / N, or the mask over its sum.
    """
    activations = ops.cast(activations, "float32")
    rows = rows_of(activations)
    # summed row by row of the image: one sum over all positions loses digits of the mean in float32
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
    """Return the covariances (n, c, c) of rows and weights as `center_rows` returns them."""
    if len(row_weight.shape) == 0:
        return row_weight * matmul(centred, centred, transpose_a=True)
    return matmul(centred, row_weight * centred, transpose_a=True)


def rows_of(activations: Any) -> Any:
    """Return activations (n, h, w, c) as rows (n, h * w, c)."""
    return ops.reshape(activations, (activations.shape[0], -1, activations.shape[-1]))


def _row_weights(mask: Any) -> Any:
    """Return a mask as a column that sums to 1, of shape (n or 1, h * w, 1); all 0 if the mask is."""
    column = rows_of(mask)
    return column / ops.maximum(ops.sum(column, axis=1, keepdims=True), 1e-12)
