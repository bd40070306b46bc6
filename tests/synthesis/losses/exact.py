"""W2 and its gradient at a layer: by the engine, and in float64 by singular values."""

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


def by_the_engine(
    activations: Array, style: Gaussian, tolerance: float = 1e-12, mask: Array | None = None, kind: str = "float32"
) -> tuple[float, Array]:
    """Value and gradient, shaped like the activations (h, w, c)."""
    given = runtime.keras.ops.cast(runtime.to_tensors(activations.astype(np.float32)[None]), kind)
    target = runtime.to_tensors(layer_target(style, tolerance))
    shares = None if mask is None else runtime.to_tensors(mask.astype(np.float32)[None])
    value, gradient = distance(given, target, runtime.to_tensors(np.ones(1, np.float32)), shares)
    gradient = runtime.to_numpy(runtime.keras.ops.cast(gradient(None), "float32"))[0]
    return float(runtime.to_numpy(value)[0]), gradient.astype(np.float64)


def by_singular_values(
    activations: Array, style: Gaussian, tolerance: float = 1e-12, mask: Array | None = None
) -> tuple[float, Array]:
    """The same in float64: the nuclear norm's gradient, of least norm where it has a kink."""
    rows = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
    share = np.ones((len(rows), 1)) if mask is None else mask.reshape(-1, 1).astype(np.float64)
    share = share / share.sum()
    mean = (share * rows).sum(axis=0)
    centred, apart = rows - mean, mean - style.mean
    factor = gaussian.low_rank_factor(style.cov, tolerance)
    left, values, right = np.linalg.svd(np.sqrt(share) * centred @ factor, full_matrices=False)
    rounding = 1e-12 * np.sqrt((share * rows**2).sum()) * np.linalg.norm(factor)
    kept = values > max(1e-9 * values[0], rounding)
    carried = (left[:, kept] @ right[kept]) @ factor.T
    value = apart @ apart + (share * centred**2).sum() + np.trace(style.cov, dtype=np.float64) - 2 * values.sum()
    gradient = 2 * share * (centred + apart) - 2 * np.sqrt(share) * carried
    return float(value), gradient.reshape(activations.shape)


def assert_agree(found: tuple[float, Array], exact: tuple[float, Array]) -> None:
    """As exact as a step is to be."""
    assert found[0] == pytest.approx(exact[0], rel=1e-3)
    assert cosine(found[1], exact[1]) > 0.9999
    assert np.linalg.norm(found[1]) == pytest.approx(np.linalg.norm(exact[1]), rel=5e-3)
