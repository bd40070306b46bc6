from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.vgg.network import VGG19, blocks
from pipeline.vgg.weights import Weights
from stylebank.errors import UsageError
from stylebank.style import CONVOLUTIONS, PADDINGS, POOLINGS


def _features(network: VGG19, pixels: np.ndarray, layers: list[str]) -> dict[str, np.ndarray]:
    image = runtime.to_tensors(np.ascontiguousarray(pixels, np.float32))
    return {name: runtime.to_numpy(x) for name, x in network.features(image, network.parameters, layers).items()}


def test_layers_come_in_order_with_their_channels(vgg: Weights, china: np.ndarray) -> None:
    network = VGG19(vgg, "avg", "reflect")
    layers_in_order = list(network.iter_layers(runtime.to_tensors(china), network.parameters))
    convolutions = [(name, x.shape[-1]) for name, x in layers_in_order if name.startswith("conv")]
    assert convolutions == list(CONVOLUTIONS.items())
    assert [name for name, _ in layers_in_order[:3]] == ["conv1_1", "relu1_1", "conv1_2"]
    assert layers_in_order[-1][0] == "conv5_4"


def test_the_first_layer_equals_an_explicit_convolution(vgg: Weights, china: np.ndarray) -> None:
    kernel, bias = vgg.layers["conv1_1"]
    features = _features(VGG19(vgg, "avg", "zero"), china, ["conv1_1"])["conv1_1"][0]
    bgr = china[..., ::-1] - vgg.mean_pixel_bgr
    patch = bgr[9:12, 19:22]
    np.testing.assert_allclose(features[10, 20], np.einsum("hwi,hwio->o", patch, kernel) + bias, rtol=1e-4, atol=1e-2)


def test_relu_layers_clip_the_convolutions_at_zero(vgg: Weights, china: np.ndarray) -> None:
    features = _features(VGG19(vgg, "max", "replicate"), china, ["conv3_2", "relu3_2"])
    np.testing.assert_array_equal(features["relu3_2"], np.maximum(features["conv3_2"], 0))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_an_odd_last_row_is_pooled_too(vgg: Weights, china: np.ndarray, pooling: str, size: tuple[int, int]) -> None:
    pixels = china[: size[0], : size[1]]
    layers = ["conv2_1", "conv5_1"] if pooling != "none" else ["conv2_1"]
    features = _features(VGG19(vgg, pooling, "zero"), pixels, layers)
    divided = -(-np.array(size) // (1 if pooling == "none" else 2))
    assert features["conv2_1"].shape[1:3] == tuple(divided)
    if pooling != "none":
        assert features["conv5_1"].shape[1:3] == tuple(-(-np.array(size) // 16))


def test_padding_changes_the_border_and_nothing_else(vgg: Weights, china: np.ndarray) -> None:
    features = {p: _features(VGG19(vgg, "avg", p), china, ["conv1_1"])["conv1_1"][0] for p in PADDINGS}
    for padding in PADDINGS:
        np.testing.assert_allclose(features[padding][1:-1, 1:-1], features["zero"][1:-1, 1:-1], rtol=1e-3, atol=1e-2)
    assert np.abs(features["zero"][0] - features["reflect"][0]).max() > 1
    assert np.abs(features["replicate"][0] - features["reflect"][0]).max() > 1


@pytest.mark.parametrize(("padding", "mode"), [("reflect", "reflect"), ("replicate", "edge")])
def test_padding_modes_match_numpys(vgg: Weights, china: np.ndarray, padding: str, mode: str) -> None:
    around = np.pad(china, ((1, 1), (1, 1), (0, 0)), mode=mode)
    wide = _features(VGG19(vgg, "avg", "zero"), around, ["conv1_1"])["conv1_1"][0, 1:-1, 1:-1]
    plain = _features(VGG19(vgg, "avg", padding), china, ["conv1_1"])["conv1_1"][0]
    np.testing.assert_allclose(plain, wide, rtol=1e-3, atol=1e-2)


def test_a_flat_image_has_flat_activations_unless_padding_is_zero(vgg: Weights) -> None:
    flat = np.full((48, 48, 3), 180.0, np.float32)
    for padding in ("reflect", "replicate"):
        features = _features(VGG19(vgg, "avg", padding), flat, ["conv4_1"])["conv4_1"][0]
        assert np.abs(features - features[3, 3]).max() < 1e-3 * np.abs(features).max()


@pytest.mark.parametrize(("pooling", "padding"), [("mean", "zero"), ("avg", "circular")])
def test_an_unknown_pooling_or_padding_names_the_known_ones(vgg: Weights, pooling: str, padding: str) -> None:
    with pytest.raises(UsageError, match="expected one of"):
        VGG19(vgg, pooling, padding)


def test_blocks_end_with_the_last_feature() -> None:
    first, second, third = blocks(["relu1_2", "conv3_2", "conv1_1"])
    assert first.convolutions == ("conv1_1", "conv1_2") and first.features == ("conv1_1", "relu1_2")
    assert second.convolutions == ("conv2_1", "conv2_2") and second.features == () and second.pools
    assert third.convolutions == ("conv3_1", "conv3_2") and third.features == ("conv3_2",) and not third.pools
