"""Distances at a photograph's layers against float64, masks at a layer's size, and total variation."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.ingest.measure import measure_pixels
from pipeline.settings import SynthesisSettings
from pipeline.synthesis.losses.functional import EXACT_TOLERANCE, distance, layer_target, mask_at, total_variation
from pipeline.vgg.network import VGG19
from pipeline.vgg.weights import Weights
from stylebank import images
from stylebank.math.gaussian import Array
from stylebank.style import Gaussian
from tests.conftest import DATA, cosine

from .exact import assert_agree, by_svd, computed, measured

#: One layer of each width, which covers all methods of a layer's distance.
LAYERS = ("conv1_2", "conv2_2", "conv3_4", "conv4_1", "conv5_1")


@pytest.fixture(scope="module")
def network(vgg: Weights) -> VGG19:
    return VGG19(vgg, "avg", "reflect")


@pytest.fixture(scope="module")
def great_wave(network: VGG19) -> dict[str, Gaussian]:
    pixels = images.load(DATA / "styles/great_wave.jpg").pixels
    return measure_pixels(images.resize(pixels, (256, 176)), network, LAYERS)


def activations_of(network: VGG19, size: tuple[int, int]) -> dict[str, Array]:
    pixels = images.resize(images.load(DATA / "subjects/china.jpg").pixels, size)
    features = network.features(runtime.to_tensors(pixels[None]), network.parameters, LAYERS)
    return {layer: runtime.to_numpy(activations)[0] for layer, activations in features.items()}


@pytest.mark.parametrize("size", [(16, 16), (96, 64), (256, 171), (384, 256)], ids=lambda size: f"{size}")
@pytest.mark.parametrize("tolerance", [EXACT_TOLERANCE, SynthesisSettings().tolerance], ids=["reported", "step"])
def test_a_photograph_has_the_value_and_gradient_of_float64(
    network: VGG19, great_wave: dict[str, Gaussian], size: tuple[int, int], tolerance: float
) -> None:
    """From one position at conv5_1, over about as many as the factor has columns, to many."""
    for layer, activations in activations_of(network, size).items():
        result = computed(activations, great_wave[layer], tolerance)
        assert_agree(result, by_svd(activations, great_wave[layer], tolerance))


@pytest.mark.parametrize("size", [(96, 64), (160, 107), (256, 171)], ids=lambda size: f"{size}")
def test_a_masked_photograph_has_the_value_and_gradient_of_float64(
    network: VGG19, great_wave: dict[str, Gaussian], size: tuple[int, int]
) -> None:
    """Rows of zeros have no rounding error, but LAPACK's eigenvalues for them do."""
    mask = np.zeros(size[::-1], np.float32)
    mask[:, : size[0] // 2] = np.linspace(0, 1, size[0] // 2)
    for layer, activations in activations_of(network, size).items():
        layer_mask = mask_at(mask, layer, "avg")[0]
        if np.count_nonzero(layer_mask) > 1:
            result = computed(activations, great_wave[layer], EXACT_TOLERANCE, layer_mask)
            assert_agree(result, by_svd(activations, great_wave[layer], EXACT_TOLERANCE, layer_mask))


def test_deep_layers_are_exact_for_bfloat16_activations(network: VGG19, great_wave: dict[str, Gaussian]) -> None:
    """bfloat16 rounds a deep layer's gradient once, at the end."""
    for layer, activations in activations_of(network, (256, 171)).items():
        if activations.shape[-1] == 512:
            rounded = runtime.keras.ops.cast(
                runtime.keras.ops.cast(runtime.to_tensors(activations), "bfloat16"), "float32"
            )
            result = computed(activations, great_wave[layer], 3e-4, kind="bfloat16")
            assert_agree(result, by_svd(runtime.to_numpy(rounded), great_wave[layer], 3e-4))


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_images_of_a_batch_have_separate_distances(
    network: VGG19, great_wave: dict[str, Gaussian], masked: bool
) -> None:
    for layer, activations in activations_of(network, (96, 64)).items():
        pair = np.stack([activations, 2 * activations[::-1] + 1])
        mask = np.random.default_rng(5).uniform(0, 1, (*activations.shape[:2], 1)) if masked else None
        layer_mask = runtime.to_tensors(mask.astype(np.float32)[None]) if mask is not None else None
        target = runtime.to_tensors(layer_target(great_wave[layer], 3e-4))
        values, gradients = distance(
            runtime.to_tensors(pair), target, runtime.to_tensors(np.ones(2, np.float32)), layer_mask
        )
        for number in range(2):
            value, gradient = computed(pair[number], great_wave[layer], 3e-4, mask)
            assert runtime.to_numpy(values)[number] == pytest.approx(value, rel=1e-4)
            assert cosine(runtime.to_numpy(gradients(None))[number], gradient) > 0.99999


@pytest.mark.skipif(runtime.NAME != "torch", reason="compiled functions hide their tensors")
def test_a_pending_gradient_stores_the_activations_alone() -> None:
    activations = runtime.to_tensors(np.random.default_rng(0).normal(size=(1, 31, 37, 8)).astype(np.float32))
    style = measured(np.random.default_rng(1).normal(size=(20, 20, 8)))
    _value, gradient = distance(
        activations, runtime.to_tensors(layer_target(style)), runtime.to_tensors(np.ones(1, np.float32))
    )
    gc.collect()
    alive = [tensor for tensor in gc.get_objects() if isinstance(tensor, runtime.torch.Tensor)]
    assert sum(tensor.shape[-1:] == (8,) and tensor.numel() >= activations.numel() for tensor in alive) == 1
    assert gradient is not None and gradient(None).shape == activations.shape


def test_a_mask_is_averaged_down_to_a_layers_positions() -> None:
    mask = np.zeros((5, 7), np.float32)
    mask[:2] = 1
    assert mask_at(mask, "conv1_2", "avg").shape == (1, 5, 7, 1)
    np.testing.assert_array_equal(mask_at(mask, "relu2_1", "max")[0, :, 0, 0], [1, 0, 0])
    assert mask_at(mask, "conv3_1", "avg").shape == (1, 2, 2, 1)
    assert mask_at(mask, "conv3_1", "none").shape == (1, 5, 7, 1)


def test_flat_images_are_smooth_and_a_checkerboard_is_not(china: np.ndarray) -> None:
    board = np.indices((64, 96)).sum(axis=0)[..., None] % 2 * np.float32(40)
    rough = np.clip(china + board - 20, 0, 255)
    values, gradients = total_variation(np.stack([np.full_like(china, 90), china, rough]))
    assert values[0] == 0 and not gradients[0].any()
    assert values[2] > values[1] + 10
    smoother = np.clip(rough - 1e5 * gradients[2], 0, 255)
    assert total_variation(smoother[None])[0][0] < values[2] - 5


def test_the_gradient_of_total_variation_matches_differences(china: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    _values, gradient = total_variation(china[None])
    assert gradient.dtype == np.float32 and gradient.shape == (1, *china.shape)
    for _ in range(3):
        direction = rng.normal(size=china.shape).astype(np.float32)
        ahead, behind = (total_variation(china[None] + sign * direction)[0][0] for sign in (0.1, -0.1))
        np.testing.assert_allclose((ahead - behind) / 0.2, float((gradient[0] * direction).sum()), rtol=2e-2, atol=1e-4)


def test_images_of_a_batch_have_separate_total_variations(china: np.ndarray) -> None:
    both = total_variation(np.stack([china, china[::-1]]))
    alone = total_variation(china[None])
    np.testing.assert_allclose(both[0][0], alone[0][0])
    np.testing.assert_array_equal(both[1][0], alone[1][0])
