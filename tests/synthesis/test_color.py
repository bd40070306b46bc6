from __future__ import annotations

import numpy as np
import pytest

from pipeline.synthesis.color import keep_colors, match_colors
from stylebank.math import gaussian
from stylebank.math.gaussian import moments
from stylebank.style import Gaussian

_LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def palette() -> Gaussian:
    cov = np.array([[900.0, 300, 100], [300, 400, 50], [100, 50, 200]])
    return Gaussian(np.array([120.0, 140, 90]), cov, *gaussian.sqrtm_psd(cov), 1000)


def _distance(pixels: np.ndarray, palette: Gaussian) -> float:
    mean, cov, _count = moments(pixels)
    return gaussian.wasserstein2(mean, cov, palette.mean, palette.cov)


def test_strength_moves_colors_towards_the_palette(china: np.ndarray, palette: Gaussian) -> None:
    whole, half, none = (match_colors(china, palette, strength) for strength in (1.0, 0.5, 0.0))
    far = _distance(china, palette)
    assert _distance(whole, palette) < 0.1 * far
    assert _distance(half, palette) == pytest.approx(0.5 * far, rel=0.15)
    np.testing.assert_allclose(none, china, atol=1e-3)


def test_luma_keeps_the_subjects_chroma(china: np.ndarray) -> None:
    picture = np.ascontiguousarray(china[::-1, ::-1, ::-1])
    result = keep_colors(picture, china, "luma")
    np.testing.assert_allclose(result - (result @ _LUMA)[..., None], china - (china @ _LUMA)[..., None], atol=1e-2)
    assert result.min() >= -1e-3 and result.max() <= 255.001
    moved = np.abs(result @ _LUMA - picture @ _LUMA)
    assert np.median(moved) < 1e-2  # only where a colour would have clipped


def test_luma_of_the_subject_itself_changes_nothing(china: np.ndarray) -> None:
    np.testing.assert_allclose(keep_colors(china, china, "luma"), china, atol=1e-2)


def test_transport_matches_mean_and_covariance(china: np.ndarray) -> None:
    result = keep_colors(np.ascontiguousarray(255 - china), china, "transport")
    mean, cov, _count = moments(result)
    subject_mean, subject_cov, _count = moments(china)
    assert np.abs(mean - subject_mean).max() < 6
    assert np.linalg.norm(cov - subject_cov) < 0.2 * np.linalg.norm(subject_cov)
