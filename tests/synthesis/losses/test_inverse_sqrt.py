"""The inverse square root of a covariance product, and its noise floor."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.synthesis.losses.inverse_sqrt import inverse_sqrt_factor


def decomposed(product: np.ndarray, noise: float) -> tuple[np.ndarray, float, float]:
    factor, cross, noise_trace = inverse_sqrt_factor(
        runtime.to_tensors(product[None]), runtime.to_tensors(np.full((1, len(product)), noise, np.float32))
    )
    return runtime.to_numpy(factor)[0], float(runtime.to_numpy(cross)[0]), float(runtime.to_numpy(noise_trace)[0])


def test_the_factor_times_itself_is_the_inverse_root() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6))
    product = (rows.T @ rows / 50).astype(np.float32)
    factor, cross, noise_trace = decomposed(product, 0.0)
    root = np.linalg.inv(factor @ factor.T)
    np.testing.assert_allclose(root @ root, product, atol=1e-6)
    assert cross == pytest.approx(np.trace(root), rel=1e-6)
    assert noise_trace == 0


def test_eigenvalues_below_the_noise_floor_are_replaced() -> None:
    product = np.diag([4.0, 1e-6, 0.0]).astype(np.float32)
    factor, cross, noise_trace = decomposed(product, 1e-4)
    np.testing.assert_allclose(np.linalg.eigvalsh(factor @ factor.T), [0.5, 100, 100], rtol=1e-3)
    assert cross == pytest.approx(2.0, rel=1e-3)
    assert noise_trace == pytest.approx(0.02, rel=1e-3)
