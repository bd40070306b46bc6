"""Both methods of the cross term on rows of every kind, against float64 by SVD."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.synthesis.losses import wasserstein
from pipeline.synthesis.losses.functional import layer_target
from stylebank.math import gaussian
from stylebank.math.gaussian import Array, moments
from tests.conftest import cosine

from .exact import assert_agree, by_svd, computed, measured


@pytest.fixture(params=["from covariance", "from factor"])
def both_methods(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with both methods on layers of few channels."""
    if request.param == "from factor":
        monkeypatch.setattr(wasserstein, "MIN_FACTOR_CHANNELS", 1)


def picture_and_style(shape: tuple[int, int], scale: float) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(16, 16)) * np.geomspace(1, 1e-2, 16)
    picture = scale * (random.normal(size=(*shape, 16)) @ mixing + 1)
    return picture, scale * (random.normal(size=(20, 20, 16)) @ mixing[::-1])


@pytest.mark.usefixtures("both_methods")
@pytest.mark.parametrize("shape", [(3, 3), (4, 4), (17, 1), (3, 6), (5, 4), (40, 40)], ids=lambda shape: f"{shape}")
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_any_number_of_positions_has_the_value_and_gradient_of_w2(shape: tuple[int, int], scale: float) -> None:
    """Fewer positions than channels, as many, a few more, and many."""
    picture, rows = picture_and_style(shape, scale)
    style = measured(rows)
    result = computed(picture, style)
    assert_agree(result, by_svd(picture, style))
    picture_mean, picture_cov, _count = moments(picture)
    assert result[0] == pytest.approx(
        gaussian.wasserstein2(picture_mean, picture_cov, style.mean, style.cov) ** 2, rel=1e-3
    )


@pytest.mark.usefixtures("both_methods")
@pytest.mark.parametrize("lowest", [-1.0, 0.1], ids=["half of it zero", "soft"])
@pytest.mark.parametrize("shape", [(4, 4), (6, 5), (24, 20)])
def test_a_mask_weights_positions(shape: tuple[int, int], lowest: float) -> None:
    """Among them are fewer positions than columns, and fewer covered positions than columns."""
    picture, rows = picture_and_style(shape, 1.0)
    mask = np.maximum(0, np.random.default_rng(1).uniform(lowest, 1, (*shape, 1)))
    style = measured(rows)
    assert_agree(computed(picture, style, mask=mask), by_svd(picture, style, mask=mask))


@pytest.mark.usefixtures("both_methods")
def test_positions_outside_a_mask_have_no_gradient() -> None:
    """A mask of ones changes nothing."""
    picture, rows = picture_and_style((12, 10), 50.0)
    style = measured(rows)
    mask = np.zeros((12, 10, 1))
    mask[:7] = 1
    value, gradient = computed(picture, style, mask=mask)
    alone, alone_gradient = computed(picture[:7], style)
    assert value == pytest.approx(alone, rel=1e-5)
    np.testing.assert_allclose(gradient[:7], alone_gradient, rtol=1e-3, atol=1e-4)
    assert not gradient[7:].any()
    whole = computed(picture, style, mask=np.ones_like(mask))
    assert whole[0] == pytest.approx(computed(picture, style)[0], rel=1e-5)


@pytest.mark.usefixtures("both_methods")
@pytest.mark.parametrize("shape", [(3, 3), (12, 12)], ids=["few", "many"])
def test_equal_images_have_distance_and_gradient_zero(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).normal(size=(*shape, 8)) * 30 + 5
    value, gradient = computed(picture, measured(picture))
    variances = float(moments(picture)[1].trace())
    assert abs(value) < 1e-5 * variances
    assert np.abs(gradient).max() < 1e-3


@pytest.mark.usefixtures("both_methods")
@pytest.mark.parametrize("shape", [(2, 2), (10, 10), (128, 86)], ids=["few", "many", "very many"])
@pytest.mark.parametrize("flat", ["picture", "style", "both"])
def test_a_flat_colour_is_exact(flat: str, shape: tuple[int, int]) -> None:
    """A flat colour has a gradient in its mean alone, however float32 rounds the mean of its rows."""
    random = np.random.default_rng(2)
    busy, plain = random.normal(size=(*shape, 8)) * 20, np.full((*shape, 8), 237.3)
    picture = np.float32(plain if flat in {"picture", "both"} else busy)
    style = measured(np.float64(np.float32(plain - 5 if flat in {"style", "both"} else busy)))
    result, exact = computed(picture, style), by_svd(picture, style)
    assert_agree(result, exact)


def on_axes(variances: Array, seed: int) -> Array:
    """Return rows (48, 64, c) with given variances along oblique axes, which are the same for every seed."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(len(variances), len(variances))))[0]
    return np.asarray(
        5 + np.random.default_rng(seed).normal(size=(48, 64, len(variances))) * np.sqrt(variances) @ axes.T
    )


@pytest.mark.usefixtures("both_methods")
@pytest.mark.parametrize("fraction", [0.0, 1e-10, 1e-8, 1e-6, 1e-4])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_a_nearly_constant_direction_is_exact(fraction: float, masked: bool) -> None:
    """Along one of the style's axes the variance of the image is below the noise floor of its covariance."""
    variances = 100 * np.geomspace(1, 1e-2, 24)
    weak = variances * np.random.default_rng(1).uniform(0.3, 3, 24)
    weak[3] = fraction * weak.sum()
    picture, style = np.float32(on_axes(weak, 1)), measured(on_axes(variances, 2))
    mask = np.random.default_rng(4).uniform(0, 1, (48, 64, 1)).round(1) if masked else None
    result, exact = computed(picture, style, mask=mask), by_svd(picture, style, mask=mask)
    assert result[0] == pytest.approx(exact[0], rel=1e-3)
    if fraction:
        assert cosine(result[1], exact[1]) > 0.9999
    # without variance there are many gradients; none moves the image beyond the style's spread
    assert np.linalg.norm(result[1]) < 1.1 * np.linalg.norm(exact[1])


@pytest.mark.usefixtures("both_methods")
def test_a_style_of_rank_one_is_exact() -> None:
    across, along = 900 * np.ones(24), np.zeros(24)
    across[0], along[0] = 0, 100
    for seed in range(4):
        picture, style = np.float32(on_axes(across, seed)), measured(on_axes(along, seed + 9))
        result, exact = computed(picture, style), by_svd(picture, style)
        assert result[0] == pytest.approx(exact[0], rel=1e-3)
        assert np.linalg.norm(result[1]) < 1.1 * np.linalg.norm(exact[1])


@pytest.mark.usefixtures("both_methods")
def test_weak_directions_beside_a_strong_one_are_exact() -> None:
    """Black and white with faint grain: black and white dominate the cross term."""
    for weak in (1e-4, 1e-6, 1e-8):
        variances = np.full(24, weak * 900)
        variances[0] = 900
        picture, style = np.float32(on_axes(variances, 1)), measured(on_axes(np.full(24, 100.0), 2))
        assert_agree(computed(picture, style), by_svd(picture, style))


@pytest.mark.parametrize("fraction", [0.0, 1e-8])
def test_moments_alone_never_exceed_the_distance(fraction: float) -> None:
    """Tiles compute from moments alone, and omit eigenvalues below the noise floor."""
    variances = 100 * np.geomspace(1, 1e-2, 24)
    weak = variances * np.random.default_rng(1).uniform(0.3, 3, 24)
    weak[3] = fraction * weak.sum()
    picture, style = np.float32(on_axes(weak, 1)), measured(on_axes(variances, 2))
    picture_mean, picture_cov, count = moments(picture.astype(np.float64))
    picture_moments = (
        runtime.to_tensors(picture_mean.astype(np.float32)[None, None]),
        runtime.to_tensors(picture_cov.astype(np.float32)[None]),
    )
    target = runtime.to_tensors(layer_target(style, 1e-12))
    value, linear, constant = wasserstein.w2_from_moments(
        *picture_moments, target, runtime.to_tensors(np.full(1, 1 / count, np.float32))
    )
    rows = picture.reshape(-1, 24).astype(np.float64)
    gradient = (rows - picture_mean) @ runtime.to_numpy(linear)[0] + runtime.to_numpy(constant)[0]
    exact = by_svd(picture, style)
    assert runtime.to_numpy(value)[0] == pytest.approx(exact[0], rel=1e-3)
    assert np.linalg.norm(gradient) < 1.1 * np.linalg.norm(exact[1])
