"""Weights of the content term, where the answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pipeline.synthesis.losses.content import detail_weights

RANDOM = np.random.default_rng(0)


def test_flat_features_weigh_all_positions_alike() -> None:
    weights = detail_weights(np.full((2, 9, 7, 4), 3.0, np.float32), 1.0)
    assert weights.shape == (2, 9, 7, 1) and weights.dtype == np.float32
    assert (weights == 1).all()


def test_no_detail_weighs_all_positions_alike() -> None:
    assert detail_weights(RANDOM.normal(size=(1, 12, 12, 3)).astype(np.float32), 0.0) == pytest.approx(1)


def test_half_a_picture_with_contrast_takes_the_weight_of_the_other_half() -> None:
    features = np.zeros((1, 20, 40, 8), np.float32)
    features[:, :, 20:] = RANDOM.normal(size=(1, 20, 20, 8))
    weights = detail_weights(features, 1.0)[0, :, :, 0]
    assert weights.mean() == pytest.approx(1, abs=1e-6)
    assert weights[:, :14] == pytest.approx(weights[0, 0]) and weights[:, 26:].min() > 10 * weights[0, 0]
    softer = detail_weights(features, 0.5)[0, :, :, 0]
    assert weights[0, 0] <= softer[0, 0] < 1 < softer[:, 26:].mean() <= weights[:, 26:].mean() + 1e-6


def test_the_weight_is_the_local_variance_over_its_mean() -> None:
    y, x = np.mgrid[:16, :24]
    features = np.stack([np.sin(x / 3) * (2 + np.cos(y / 4)), np.cos(y / 2)], axis=-1)[None]
    window = np.ones((5, 5)) / 25
    energy = np.zeros((16, 24))
    for channel in range(2):
        values = features[0, :, :, channel]
        energy += (values - ndimage.convolve(values, window, mode="nearest")) ** 2 / 2
    energy = ndimage.convolve(energy, window, mode="nearest")
    expected = np.clip(energy / energy.mean(), 0.1, 3.0)
    assert detail_weights(features, 1.0)[0, :, :, 0] == pytest.approx(expected / expected.mean(), rel=1e-4)


def test_contrast_and_brightness_of_the_whole_picture_do_not_matter() -> None:
    features = RANDOM.normal(size=(1, 15, 15, 6)) * np.linspace(0.2, 2, 15)[:, None, None]
    assert detail_weights(5 * features + 7, 1.0) == pytest.approx(detail_weights(features, 1.0), rel=1e-4)
