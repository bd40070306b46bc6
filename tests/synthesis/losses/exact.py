"""The squared W2 distance and its gradient at a layer: as computed in a step, and in float64 by SVD."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.synthesis.losses.functional import distance, layer_target
from stylebank.math import gaussian
from stylebank.math.gaussian import Array, moments
from stylebank.style import Gaussian
from tests.conftest import cosine


def measured(rows: Array) -> Gaussian:
    mean, cov, count = moments(rows)
    cov_sqrt, values = gaussian.sqrtm_psd(cov)
    return Gaussian(mean, cov, cov_sqrt, values, count)


def computed(
    activations: Array, style: Gaussian, tolerance: float = 1e-12, mask: Array | None = None, kind: str = "float32"
) -> tuple[float, Array]:
    """Return the value and the gradient of a step; the gradient has the shape of the activations (h, w, c)."""
    tensor = runtime.keras.ops.cast(runtime.to_tensors(activations.astype(np.float32)[None]), kind)
    target = runtime.to_tensors(layer_target(style, tolerance))
    mask_tensor = None if mask is None else runtime.to_tensors(mask.astype(np.float32)[None])
    value, gradient = distance(tensor, target, runtime.to_tensors(np.ones(1, np.float32)), mask_tensor)
    gradient = runtime.to_numpy(runtime.keras.ops.cast(gradient(None), "float32"))[0]
    return float(runtime.to_numpy(value)[0]), gradient.astype(np.float64)


def by_svd(
    activations: Array, style: Gaussian, tolerance: float = 1e-12, mask: Array | None = None
) -> tuple[float, Array]:
    """Return the same in float64 by SVD. At a kink of the nuclear norm it is the gradient of least norm."""
    rows = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
    row_weight = np.ones((len(rows), 1)) if mask is None else mask.reshape(-1, 1).astype(np.float64)
    row_weight = row_weight / row_weight.sum()
    mean = (row_weight * rows).sum(axis=0)
    centred, offset = rows - mean, mean - style.mean
    factor = gaussian.low_rank_factor(style.cov, tolerance)
    left, values, right = np.linalg.svd(np.sqrt(row_weight) * centred @ factor, full_matrices=False)
    rounding = 1e-12 * np.sqrt((row_weight * rows**2).sum()) * np.linalg.norm(factor)
    significant = values > max(1e-9 * values[0], rounding)
    mapped = (left[:, significant] @ right[significant]) @ factor.T
    value = offset @ offset + (row_weight * centred**2).sum() + np.trace(style.cov, dtype=np.float64) - 2 * values.sum()
    gradient = 2 * row_weight * (centred + offset) - 2 * np.sqrt(row_weight) * mapped
    return float(value), gradient.reshape(activations.shape)


def assert_agree(result: tuple[float, Array], exact: tuple[float, Array]) -> None:
    """Assert the accuracy that a step needs."""
    assert result[0] == pytest.approx(exact[0], rel=1e-3)
    assert cosine(result[1], exact[1]) > 0.9999
    assert np.linalg.norm(result[1]) == pytest.approx(np.linalg.norm(exact[1]), rel=5e-3)
