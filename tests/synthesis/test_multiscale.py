"""The loop over sizes: its progress, the subject's colours, and what a mask leaves alone."""

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


def made(
    styles: Any, vgg: Weights, subject: np.ndarray, where: RegionMasks | None = None, **settings: Any
) -> SynthesisResult:
    return Stylizer(styles, vgg, dataclasses.replace(QUICK, **settings)).stylize(subject, regions=where)


def away(picture: np.ndarray, subject: np.ndarray) -> float:
    return float(np.abs(picture - subject).mean())


def test_progress_goes_from_nothing_to_all(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    moments_seen: list[StepInfo] = []
    settings = SynthesisSettings(size=320, steps=2)
    Stylizer(wave, vgg, settings).stylize(china, on_step=moments_seen.append)
    assert [info.step for info in moments_seen] == [1, 2, 3, 4]
    assert [info.steps for info in moments_seen] == [4] * 4
    shares = [info.progress for info in moments_seen]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert shares[1] == pytest.approx(1 / 5, abs=0.01)  # half the size is a quarter of the work
    assert moments_seen[0].pixels.shape[1] == 160 and moments_seen[-1].pixels.shape[1] == 320


def test_keep_color_luma_keeps_chroma_and_takes_the_styles_light(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    picture = made(wave, vgg, china, keep_color="luma").pixels
    chroma, own = (pixels - (pixels @ _LUMA)[..., None] for pixels in (picture, china))
    np.testing.assert_allclose(chroma, own, atol=0.5)
    assert np.abs((picture - china) @ _LUMA).mean() > 5


def test_keep_color_transport_keeps_the_palette(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    plain, kept = (made(wave, vgg, china, keep_color=how).pixels for how in ("none", "transport"))

    def palette_distance(picture: np.ndarray) -> float:
        (mean, cov, _), (own_mean, own_cov, _) = gaussian.moments(picture), gaussian.moments(china)
        return gaussian.wasserstein2(mean, cov, own_mean, own_cov)

    assert palette_distance(kept) < 0.15 * palette_distance(plain)


@pytest.mark.parametrize("settings", [{}, {"keep_color": "luma"}, {"init": "noise"}, {"strength": 0.5}])
def test_a_mask_leaves_the_rest_as_it_is_bit_by_bit(
    wave: Style, vgg: Weights, china: np.ndarray, left: RegionMasks, settings: dict[str, Any]
) -> None:
    picture = made(wave, vgg, china, left, **settings).pixels
    np.testing.assert_array_equal(picture[:, 48:], china[:, 48:])
    assert away(picture[:, :48], china[:, :48]) > 4
