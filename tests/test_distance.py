"""W2 and its gradient at a layer: both ways it is made, against float64 by singular values."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import backend
from pipeline import distance as module
from pipeline.distance import EXACT, distance, layer_target, mask_at
from pipeline.ingest import measure_pixels
from pipeline.network import Trunk
from pipeline.settings import SynthesisSettings
from pipeline.weights import Weights
from stylebank import gaussian, images
from stylebank.gaussian import Array, moments
from stylebank.style import Gaussian

from .conftest import DATA, cosine

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
    gradient = backend.to_numpy(backend.keras.ops.cast(gradient, "float32"))[0]
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
    kept = values > 1e-9 * values[0]
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
@pytest.mark.parametrize("shape", [(4, 4), (24, 20)])
def test_a_soft_mask_counts_positions_as_rows_weighed(shape: tuple[int, int]) -> None:
    picture, rows = picture_and_style(shape, 1.0)
    mask = np.random.default_rng(1).uniform(0.1, 1, (*shape, 1))
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
@pytest.mark.parametrize("shape", [(2, 2), (10, 10)], ids=["few", "many"])
@pytest.mark.parametrize("flat", ["picture", "style", "both"])
def test_one_flat_colour_stays_finite(flat: str, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    busy, plain = random.normal(size=(*shape, 8)) * 20, np.full((*shape, 8), 7.0)
    picture = plain if flat in {"picture", "both"} else busy
    style = measured(plain if flat in {"style", "both"} else busy)
    value, gradient = by_the_engine(picture, style)
    own_mean, own_cov, _count = moments(picture)
    exact = gaussian.wasserstein2(own_mean, own_cov, style.mean, style.cov) ** 2
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert value == pytest.approx(exact, rel=1e-3, abs=1e-3)


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


def test_deep_layers_are_as_exact_of_rounded_activations(trunk: Trunk, great_wave: dict[str, Gaussian]) -> None:
    """What bfloat16 does to a deep layer's gradient is to round it once, when all is done."""
    for layer, activations in activations_of(trunk, (256, 171)).items():
        if activations.shape[-1] == 512:
            rounded = backend.keras.ops.cast(backend.keras.ops.cast(backend.tree(activations), "bfloat16"), "float32")
            found = by_the_engine(activations, great_wave[layer], 3e-4, kind="bfloat16")
            assert_agree(found, by_singular_values(backend.to_numpy(rounded), great_wave[layer], 3e-4))


def test_pictures_side_by_side_have_distances_of_their_own(trunk: Trunk, great_wave: dict[str, Gaussian]) -> None:
    for layer, activations in activations_of(trunk, (96, 64)).items():
        pair = np.stack([activations, 2 * activations[::-1] + 1])
        target = backend.tree(layer_target(great_wave[layer], 3e-4))
        values, gradients = distance(backend.tree(pair), target, backend.tree(np.ones(2, np.float32)))
        for number in range(2):
            value, gradient = by_the_engine(pair[number], great_wave[layer], 3e-4)
            assert backend.to_numpy(values)[number] == pytest.approx(value, rel=1e-4)
            assert cosine(backend.to_numpy(gradients)[number], gradient) > 0.99999


def test_a_mask_is_averaged_down_to_a_layers_positions() -> None:
    mask = np.zeros((5, 7), np.float32)
    mask[:2] = 1
    assert mask_at(mask, "conv1_2", "avg").shape == (1, 5, 7, 1)
    np.testing.assert_array_equal(mask_at(mask, "relu2_1", "max")[0, :, 0, 0], [1, 0, 0])
    assert mask_at(mask, "conv3_1", "avg").shape == (1, 2, 2, 1)
    assert mask_at(mask, "conv3_1", "none").shape == (1, 5, 7, 1)
