"""A style's targets: between two scales, at another scale, and between subject and style."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.settings import SynthesisSettings
from pipeline.synthesis.losses.targets import Targets
from pipeline.synthesis.stylizer import Stylizer
from pipeline.vgg.weights import Weights
from stylebank import images
from stylebank.math import gaussian
from stylebank.style import Gaussian, Style
from tests.conftest import DATA, LAYERS

QUICK = SynthesisSettings(size=96, steps=6, precision="float32")


def test_halfway_is_half_the_distance_at_every_layer(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    settings = dataclasses.replace(QUICK, strength=0.5)
    stylizer = Stylizer(wave, vgg, settings)
    objective = stylizer.objective(False)
    region = Targets(wave, LAYERS, settings).interpolated(objective, china)
    for layer, target, (mean, cov) in zip(LAYERS, region.exact, objective.gaussians(china), strict=True):
        factor = np.asarray(target["factor_transposed"]).T
        end = wave.scales[96][layer]
        whole = gaussian.wasserstein2(mean, cov, end.mean, end.cov)
        reached = gaussian.wasserstein2(mean, cov, np.asarray(target["mean"]), factor @ factor.T)
        assert reached == pytest.approx(0.5 * whole, rel=0.02)


def test_style_scale_takes_the_style_at_another_size(night: Style) -> None:
    def mean(style_scale: float, side: int = 128) -> np.ndarray:
        targets = Targets(night, LAYERS, dataclasses.replace(QUICK, style_scale=style_scale))
        return np.asarray(targets.style_target(side).exact[2]["mean"])

    for style_scale, scale in ((1, 128), (2, 256), (0.5, 64)):
        np.testing.assert_array_equal(mean(style_scale), night.scales[scale]["conv3_1"].mean)


def test_the_geodesic_point_is_nearer_than_either_scale(night: Style) -> None:
    """The scale 90 is omitted, and estimated from 64 and 128."""
    two = Style(night.header, {scale: night.scales[scale] for scale in (64, 128)})
    point = Targets(two, LAYERS, QUICK).at_scale(90)
    for layer in LAYERS:
        measured = night.scales[90][layer]

        def distance(other: Gaussian, measured: Gaussian = measured) -> float:
            return gaussian.wasserstein2(measured.mean, measured.cov, other.mean, other.cov)

        assert distance(point[layer]) < 0.8 * min(distance(two.scales[scale][layer]) for scale in (64, 128))


def test_a_preview_is_as_near_to_the_style_as_the_final_picture(night: Style, vgg: Weights) -> None:
    subject = images.load(DATA / "subjects/china.jpg").pixels

    def distances(size: int) -> np.ndarray:
        settings = dataclasses.replace(QUICK, size=size, steps=10, coarse_to_fine=False)
        stylizer = Stylizer(night, vgg, settings)
        layer_moments = stylizer.objective(False).gaussians(stylizer.stylize(subject).pixels)
        ends = [night.scales[size][layer] for layer in LAYERS]
        return np.array(
            [
                gaussian.wasserstein2(*moments, end.mean, end.cov) / np.sqrt(np.trace(end.cov))
                for moments, end in zip(layer_moments, ends, strict=True)
            ]
        )

    np.testing.assert_allclose(distances(128), distances(256), rtol=0.35)
