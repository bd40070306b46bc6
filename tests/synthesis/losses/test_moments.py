"""Means and covariances of activations against float64."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.synthesis.losses.moments import moments
from stylebank.math import gaussian


def test_a_whole_picture_has_the_mean_and_covariance_of_its_rows() -> None:
    activations = np.random.default_rng(0).normal(40, 5, (2, 9, 7, 4)).astype(np.float32)
    result = moments(runtime.to_tensors(activations))
    for number in range(2):
        mean, cov, _count = gaussian.moments(activations[number].astype(np.float64))
        np.testing.assert_allclose(runtime.to_numpy(result["mean"])[number, 0], mean, rtol=1e-6)
        np.testing.assert_allclose(runtime.to_numpy(result["cov"])[number], cov, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.1], ids=["ones", "tenths"])
def test_only_ratios_of_a_mask_matter(scale: float) -> None:
    activations = np.random.default_rng(1).normal(size=(1, 6, 5, 3)).astype(np.float32)
    mask = np.zeros((1, 6, 5, 1), np.float32)
    mask[:, :4] = scale
    masked, alone = (
        moments(runtime.to_tensors(activations), runtime.to_tensors(mask)),
        moments(runtime.to_tensors(activations[:, :4])),
    )
    for part in ("mean", "cov"):
        np.testing.assert_allclose(runtime.to_numpy(masked[part]), runtime.to_numpy(alone[part]), atol=1e-5)


def test_many_rows_far_from_0_keep_their_mean() -> None:
    """One float32 sum over as many rows has a relative error of about 1e-3."""
    activations = np.full((1, 400, 440, 1), 1000.1, np.float32)
    mean = runtime.to_numpy(moments(runtime.to_tensors(activations))["mean"])
    assert mean[0, 0, 0] == pytest.approx(1000.1, rel=2e-5)
