"""The loop over sizes: progress, the subject's colours, and masks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.settings import SynthesisSettings
from pipeline.synthesis.masks import RegionMasks
from pipeline.synthesis.multiscale import StepInfo, SynthesisResult
from pipeline.synthesis.stylizer import Stylizer
from pipeline.vgg.weights import Weights
from stylebank.math import gaussian
from stylebank.style import Style

QUICK = SynthesisSettings(size=96, steps=6, precision="float32")
_LUMA = np.array([0.299, 0.587, 0.114])


def stylize(
    styles: Any, vgg: Weights, subject: np.ndarray, regions: RegionMasks | None = None, **settings: Any
) -> SynthesisResult:
    return Stylizer(styles, vgg, dataclasses.replace(QUICK, **settings)).stylize(subject, regions=regions)


def mean_difference(picture: np.ndarray, subject: np.ndarray) -> float:
    return float(np.abs(picture - subject).mean())


def test_progress_rises_to_one(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    steps_seen: list[StepInfo] = []
    settings = SynthesisSettings(size=320, steps=2)
    Stylizer(wave, vgg, settings).stylize(china, on_step=steps_seen.append)
    assert [info.step for info in steps_seen] == [1, 2, 3, 4]
    assert [info.steps for info in steps_seen] == [4] * 4
    progress = [info.progress for info in steps_seen]
    assert progress == sorted(progress) and progress[-1] == 1.0
    assert progress[1] == pytest.approx(1 / 5, abs=0.01)  # half the size is a quarter of the work
    assert steps_seen[0].pixels.shape[1] == 160 and steps_seen[-1].pixels.shape[1] == 320


def test_keep_color_luma_keeps_the_subjects_chroma(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    picture = stylize(wave, vgg, china, keep_color="luma").pixels
    chroma, subject_chroma = (pixels - (pixels @ _LUMA)[..., None] for pixels in (picture, china))
    np.testing.assert_allclose(chroma, subject_chroma, atol=0.5)
    assert np.abs((picture - china) @ _LUMA).mean() > 5


def test_keep_color_transport_keeps_the_palette(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    plain, matched = (stylize(wave, vgg, china, keep_color=method).pixels for method in ("none", "transport"))

    def palette_distance(picture: np.ndarray) -> float:
        (mean, cov, _), (subject_mean, subject_cov, _) = gaussian.moments(picture), gaussian.moments(china)
        return gaussian.wasserstein2(mean, cov, subject_mean, subject_cov)

    assert palette_distance(matched) < 0.15 * palette_distance(plain)


@pytest.mark.parametrize("settings", [{}, {"keep_color": "luma"}, {"init": "noise"}, {"strength": 0.5}])
def test_pixels_outside_the_mask_stay_bit_by_bit(
    wave: Style, vgg: Weights, china: np.ndarray, left: RegionMasks, settings: dict[str, Any]
) -> None:
    picture = stylize(wave, vgg, china, left, **settings).pixels
    np.testing.assert_array_equal(picture[:, 48:], china[:, 48:])
    assert mean_difference(picture[:, :48], china[:, :48]) > 4
