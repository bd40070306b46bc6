"""Both ways a layer's cross term is made, on rows of every kind, against float64 by singular values."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.synthesis.losses import wasserstein
from pipeline.synthesis.losses.functional import layer_target
from stylebank.math import gaussian
from stylebank.math.gaussian import Array, moments
from tests.conftest import cosine

from .exact import assert_agree, by_singular_values, by_the_engine, measured


@pytest.fixture(params=["as shallow layers", "as deep layers"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels make a layer shallow; what is true of the one way is true of the other."""
    if request.param == "as deep layers":
        monkeypatch.setattr(wasserstein, "MIN_FACTOR_CHANNELS", 1)


def picture_and_style(shape: tuple[int, int], scale: float) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(16, 16)) * np.geomspace(1, 1e-2, 16)
    picture = scale * (random.normal(size=(*shape, 16)) @ mixing + 1)
    return picture, scale * (random.normal(size=(20, 20, 16)) @ mixing[::-1])


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("shape", [(3, 3), (4, 4), (17, 1), (3, 6), (5, 4), (40, 40)], ids=lambda shape: f"{shape}")
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_any_number_of_positions_has_the_value_and_gradient_of_w2(shape: tuple[int, int], scale: float) -> None:
    """Fewer positions than channels, as many, a few more, and many."""
    picture, rows = picture_and_style(shape, scale)
    style = measured(rows)
    found = by_the_engine(picture, style)
    assert_agree(found, by_singular_values(picture, style))
    own_mean, own_cov, _count = moments(picture)
    assert found[0] == pytest.approx(gaussian.wasserstein2(own_mean, own_cov, style.mean, style.cov) ** 2, rel=1e-3)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("lowest", [-1.0, 0.1], ids=["half of it zero", "soft"])
@pytest.mark.parametrize("shape", [(4, 4), (6, 5), (24, 20)])
def test_a_mask_counts_positions_as_rows_weighed(shape: tuple[int, int], lowest: float) -> None:
    """Among them fewer positions than columns, and fewer covered than columns."""
    picture, rows = picture_and_style(shape, 1.0)
    mask = np.maximum(0, np.random.default_rng(1).uniform(lowest, 1, (*shape, 1)))
    style = measured(rows)
    assert_agree(by_the_engine(picture, style, mask=mask), by_singular_values(picture, style, mask=mask))


@pytest.mark.usefixtures("either_way")
def test_a_mask_leaves_alone_what_it_does_not_cover() -> None:
    """Where a mask is 0 nothing matters; a mask of ones changes nothing."""
    picture, rows = picture_and_style((12, 10), 50.0)
    style = measured(rows)
    mask = np.zeros((12, 10, 1))
    mask[:7] = 1
    value, gradient = by_the_engine(picture, style, mask=mask)
    alone, alone_gradient = by_the_engine(picture[:7], style)
    assert value == pytest.approx(alone, rel=1e-5)
    np.testing.assert_allclose(gradient[:7], alone_gradient, rtol=1e-3, atol=1e-4)
    assert not gradient[7:].any()
    whole = by_the_engine(picture, style, mask=np.ones_like(mask))
    assert whole[0] == pytest.approx(by_the_engine(picture, style)[0], rel=1e-5)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("shape", [(3, 3), (12, 12)], ids=["few", "many"])
def test_equal_pictures_are_at_distance_zero_with_gradient_zero(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).normal(size=(*shape, 8)) * 30 + 5
    value, gradient = by_the_engine(picture, measured(picture))
    spread = float(moments(picture)[1].trace())
    assert abs(value) < 1e-5 * spread
    assert np.abs(gradient).max() < 1e-3


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("shape", [(2, 2), (10, 10), (128, 86)], ids=["few", "many", "very many"])
@pytest.mark.parametrize("flat", ["picture", "style", "both"])
def test_one_flat_colour_is_as_exact_as_any_picture(flat: str, shape: tuple[int, int]) -> None:
    """Of a flat colour the mean alone is to be moved, however float32 rounds the mean of its rows."""
    random = np.random.default_rng(2)
    busy, plain = random.normal(size=(*shape, 8)) * 20, np.full((*shape, 8), 237.3)
    picture = np.float32(plain if flat in {"picture", "both"} else busy)
    style = measured(np.float64(np.float32(plain - 5 if flat in {"style", "both"} else busy)))
    found, exact = by_the_engine(picture, style), by_singular_values(picture, style)
    assert_agree(found, exact)


def on_axes(spread: Array, seed: int) -> Array:
    """Rows (48, 64, c) with given variances along axes that are no coordinate's: the same ones for every seed."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(len(spread), len(spread))))[0]
    return np.asarray(5 + np.random.default_rng(seed).normal(size=(48, 64, len(spread))) * np.sqrt(spread) @ axes.T)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("share", [0.0, 1e-10, 1e-8, 1e-6, 1e-4])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_where_the_style_varies_the_picture_need_not(share: float, masked: bool) -> None:
    """Along one of the style's axes the picture has next to nothing: not told from rounding in its covariance."""
    spread = 100 * np.geomspace(1, 1e-2, 24)
    weak = spread * np.random.default_rng(1).uniform(0.3, 3, 24)
    weak[3] = share * weak.sum()
    picture, style = np.float32(on_axes(weak, 1)), measured(on_axes(spread, 2))
    mask = np.random.default_rng(4).uniform(0, 1, (48, 64, 1)).round(1) if masked else None
    found, exact = by_the_engine(picture, style, mask=mask), by_singular_values(picture, style, mask=mask)
    assert found[0] == pytest.approx(exact[0], rel=1e-3)
    if share:
        assert cosine(found[1], exact[1]) > 0.9999
    # without any variance there are many gradients: none carries the picture beyond the style's spread
    assert np.linalg.norm(found[1]) < 1.1 * np.linalg.norm(exact[1])


@pytest.mark.usefixtures("either_way")
def test_a_style_of_one_axis_asks_nothing_of_the_others() -> None:
    across, along = 900 * np.ones(24), np.zeros(24)
    across[0], along[0] = 0, 100
    for seed in range(4):
        picture, style = np.float32(on_axes(across, seed)), measured(on_axes(along, seed + 9))
        found, exact = by_the_engine(picture, style), by_singular_values(picture, style)
        assert found[0] == pytest.approx(exact[0], rel=1e-3)
        assert np.linalg.norm(found[1]) < 1.1 * np.linalg.norm(exact[1])


@pytest.mark.usefixtures("either_way")
def test_a_strong_direction_does_not_hide_weak_ones() -> None:
    """A drawing in black and white with faint grain: the cross term is nearly all the black and white's."""
    for weak in (1e-4, 1e-6, 1e-8):
        spread = np.full(24, weak * 900)
        spread[0] = 900
        picture, style = np.float32(on_axes(spread, 1)), measured(on_axes(np.full(24, 100.0), 2))
        assert_agree(by_the_engine(picture, style), by_singular_values(picture, style))


@pytest.mark.parametrize("share", [0.0, 1e-8])
def test_a_covariance_alone_promises_no_more_than_is_there(share: float) -> None:
    """As strips have it: what is not told from rounding is left out."""
    spread = 100 * np.geomspace(1, 1e-2, 24)
    weak = spread * np.random.default_rng(1).uniform(0.3, 3, 24)
    weak[3] = share * weak.sum()
    picture, style = np.float32(on_axes(weak, 1)), measured(on_axes(spread, 2))
    own_mean, own_cov, count = moments(picture.astype(np.float64))
    given = (
        runtime.to_tensors(own_mean.astype(np.float32)[None, None]),
        runtime.to_tensors(own_cov.astype(np.float32)[None]),
    )
    target = runtime.to_tensors(layer_target(style, 1e-12))
    value, linear, constant = wasserstein.w2_from_moments(
        *given, target, runtime.to_tensors(np.full(1, 1 / count, np.float32))
    )
    rows = picture.reshape(-1, 24).astype(np.float64)
    gradient = (rows - own_mean) @ runtime.to_numpy(linear)[0] + runtime.to_numpy(constant)[0]
    exact = by_singular_values(picture, style)
    assert runtime.to_numpy(value)[0] == pytest.approx(exact[0], rel=1e-3)
    assert np.linalg.norm(gradient) < 1.1 * np.linalg.norm(exact[1])
