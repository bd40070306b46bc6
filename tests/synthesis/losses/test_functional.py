"""W2 and its gradient at a layer: both ways it is made, against float64 by singular values."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pipeline.backends import runtime as backend
from pipeline.ingest.measure import measure_pixels
from pipeline.settings import SynthesisSettings
from pipeline.synthesis.losses import wasserstein as module
from pipeline.synthesis.losses.functional import EXACT, distance, layer_target, mask_at
from pipeline.vgg.network import Trunk
from pipeline.vgg.weights import Weights
from stylebank.images import io as images
from stylebank.math import gaussian
from stylebank.math.gaussian import Array, moments
from stylebank.style import Gaussian
from tests.conftest import DATA, cosine

#: One layer of each width, which are all the ways a layer's distance is made.
LAYERS = ("conv1_2", "conv2_2", "conv3_4", "conv4_1", "conv5_1")


@pytest.fixture(params=["as shallow layers", "as deep layers"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels make a layer shallow; what is true of the one way is true of the other."""
    if request.param == "as deep layers":
        monkeypatch.setattr(module, "_DEEP", 1)


def measured(rows: Array) -> Gaussian:
    mean, cov, count = moments(rows)
    cov_sqrt, values = gaussian.root(cov)
    return Gaussian(mean, cov, cov_sqrt, values, count)


def by_the_engine(
    activations: Array, style: Gaussian, tolerance: float = 1e-12, mask: Array | None = None, kind: str = "float32"
) -> tuple[float, Array]:
    """Value and gradient, shaped like the activations (h, w, c)."""
    given = backend.keras.ops.cast(backend.tree(activations.astype(np.float32)[None]), kind)
    target = backend.tree(layer_target(style, tolerance))
    shares = None if mask is None else backend.tree(mask.astype(np.float32)[None])
    value, gradient = distance(given, target, backend.tree(np.ones(1, np.float32)), shares)
    gradient = backend.to_numpy(backend.keras.ops.cast(gradient(None), "float32"))[0]
    return float(backend.to_numpy(value)[0]), gradient.astype(np.float64)


def by_singular_values(
    activations: Array, style: Gaussian, tolerance: float = 1e-12, mask: Array | None = None
) -> tuple[float, Array]:
    """The same in float64: the nuclear norm's gradient, of least norm where it has a kink."""
    rows = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
    share = np.ones((len(rows), 1)) if mask is None else mask.reshape(-1, 1).astype(np.float64)
    share = share / share.sum()
    mean = (share * rows).sum(axis=0)
    centred, apart = rows - mean, mean - style.mean
    factor = gaussian.factor(style.cov, tolerance)
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
    given = (backend.tree(own_mean.astype(np.float32)[None, None]), backend.tree(own_cov.astype(np.float32)[None]))
    target = backend.tree(layer_target(style, 1e-12))
    value, linear, constant = module.matched(*given, target, backend.tree(np.full(1, 1 / count, np.float32)))
    rows = picture.reshape(-1, 24).astype(np.float64)
    gradient = (rows - own_mean) @ backend.to_numpy(linear)[0] + backend.to_numpy(constant)[0]
    exact = by_singular_values(picture, style)
    assert backend.to_numpy(value)[0] == pytest.approx(exact[0], rel=1e-3)
    assert np.linalg.norm(gradient) < 1.1 * np.linalg.norm(exact[1])


@pytest.fixture(scope="module")
def trunk(vgg: Weights) -> Trunk:
    return Trunk(vgg, "avg", "reflect")


@pytest.fixture(scope="module")
def great_wave(trunk: Trunk) -> dict[str, Gaussian]:
    pixels = images.load(DATA / "styles/great_wave.jpg").pixels
    return measure_pixels(images.resize(pixels, (256, 176)), trunk, LAYERS)


def activations_of(trunk: Trunk, size: tuple[int, int]) -> dict[str, Array]:
    pixels = images.resize(images.load(DATA / "subjects/china.jpg").pixels, size)
    found = trunk.features(backend.tree(pixels[None]), trunk.parameters, LAYERS)
    return {layer: backend.to_numpy(at)[0] for layer, at in found.items()}


@pytest.mark.parametrize("size", [(16, 16), (96, 64), (256, 171), (384, 256)], ids=lambda size: f"{size}")
@pytest.mark.parametrize("tolerance", [EXACT, SynthesisSettings().tolerance], ids=["told", "step"])
def test_a_photograph_has_the_value_and_gradient_of_float64(
    trunk: Trunk, great_wave: dict[str, Gaussian], size: tuple[int, int], tolerance: float
) -> None:
    """From 1 position at conv5_1, over about as many as the style's factor has columns, to all that are needed."""
    for layer, activations in activations_of(trunk, size).items():
        found = by_the_engine(activations, great_wave[layer], tolerance)
        assert_agree(found, by_singular_values(activations, great_wave[layer], tolerance))


@pytest.mark.parametrize("size", [(96, 64), (160, 107), (256, 171)], ids=lambda size: f"{size}")
def test_half_a_photograph_has_the_value_and_gradient_of_float64(
    trunk: Trunk, great_wave: dict[str, Gaussian], size: tuple[int, int]
) -> None:
    """Rows of zeros have no rounding of their own; LAPACK's eigenvalues of them do."""
    mask = np.zeros(size[::-1], np.float32)
    mask[:, : size[0] // 2] = np.linspace(0, 1, size[0] // 2)
    for layer, activations in activations_of(trunk, size).items():
        shares = mask_at(mask, layer, "avg")[0]
        if np.count_nonzero(shares) > 1:
            found = by_the_engine(activations, great_wave[layer], EXACT, shares)
            assert_agree(found, by_singular_values(activations, great_wave[layer], EXACT, shares))


def test_deep_layers_are_as_exact_of_rounded_activations(trunk: Trunk, great_wave: dict[str, Gaussian]) -> None:
    """What bfloat16 does to a deep layer's gradient is to round it once, when all is done."""
    for layer, activations in activations_of(trunk, (256, 171)).items():
        if activations.shape[-1] == 512:
            rounded = backend.keras.ops.cast(backend.keras.ops.cast(backend.tree(activations), "bfloat16"), "float32")
            found = by_the_engine(activations, great_wave[layer], 3e-4, kind="bfloat16")
            assert_agree(found, by_singular_values(backend.to_numpy(rounded), great_wave[layer], 3e-4))


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_pictures_side_by_side_have_distances_of_their_own(
    trunk: Trunk, great_wave: dict[str, Gaussian], masked: bool
) -> None:
    for layer, activations in activations_of(trunk, (96, 64)).items():
        pair = np.stack([activations, 2 * activations[::-1] + 1])
        mask = np.random.default_rng(5).uniform(0, 1, (*activations.shape[:2], 1)) if masked else None
        shares = backend.tree(mask.astype(np.float32)[None]) if mask is not None else None
        target = backend.tree(layer_target(great_wave[layer], 3e-4))
        values, gradients = distance(backend.tree(pair), target, backend.tree(np.ones(2, np.float32)), shares)
        for number in range(2):
            value, gradient = by_the_engine(pair[number], great_wave[layer], 3e-4, mask)
            assert backend.to_numpy(values)[number] == pytest.approx(value, rel=1e-4)
            assert cosine(backend.to_numpy(gradients(None))[number], gradient) > 0.99999


@pytest.mark.skipif(backend.NAME != "torch", reason="compiled functions have their tensors elsewhere")
def test_a_gradient_to_be_made_keeps_the_activations_alone() -> None:
    activations = backend.tree(np.random.default_rng(0).normal(size=(1, 31, 37, 8)).astype(np.float32))
    style = measured(np.random.default_rng(1).normal(size=(20, 20, 8)))
    _value, gradient = distance(activations, backend.tree(layer_target(style)), backend.tree(np.ones(1, np.float32)))
    gc.collect()
    alive = [found for found in gc.get_objects() if isinstance(found, backend.torch.Tensor)]
    assert sum(found.shape[-1:] == (8,) and found.numel() >= activations.numel() for found in alive) == 1
    assert gradient is not None and gradient(None).shape == activations.shape


def test_a_mask_is_averaged_down_to_a_layers_positions() -> None:
    mask = np.zeros((5, 7), np.float32)
    mask[:2] = 1
    assert mask_at(mask, "conv1_2", "avg").shape == (1, 5, 7, 1)
    np.testing.assert_array_equal(mask_at(mask, "relu2_1", "max")[0, :, 0, 0], [1, 0, 0])
    assert mask_at(mask, "conv3_1", "avg").shape == (1, 2, 2, 1)
    assert mask_at(mask, "conv3_1", "none").shape == (1, 5, 7, 1)
