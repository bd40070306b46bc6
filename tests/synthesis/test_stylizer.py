"""Whole syntheses with various settings, sizes and styles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.backends import runtime
from pipeline.ingest.measure import measure_pixels
from pipeline.settings import SynthesisSettings
from pipeline.synthesis import stylizer as stylizer_module
from pipeline.synthesis import tiled_objective
from pipeline.synthesis.masks import RegionMasks, regions
from pipeline.synthesis.stylizer import Stylizer
from pipeline.vgg.network import VGG19
from pipeline.vgg.weights import Weights
from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import FingerprintMismatch, UsageError
from stylebank.math import gaussian
from stylebank.math.gaussian import moments
from stylebank.style import PIXELS, Gaussian, Style
from tests.conftest import DATA, LAYERS

QUICK = SynthesisSettings(size=64, steps=4)
AT_96 = SynthesisSettings(size=96, steps=6, precision="float32")


def test_the_picture_moves_towards_the_style_and_keeps_its_bounds(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    result = Stylizer(wave, vgg, dataclasses.replace(QUICK, steps=8)).stylize(china)
    assert result.pixels.shape == (43, 64, 3)
    assert result.final_loss < 0.6 * result.start_loss
    assert result.pixels.min() >= 0 and result.pixels.max() <= 255
    assert result.steps == 8


def test_a_content_weight_keeps_the_subject(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    def distance(content_weight: float) -> float:
        settings = dataclasses.replace(QUICK, steps=10, content_weight=content_weight, match_color=False)
        picture = Stylizer(wave, vgg, settings).stylize(china).pixels
        start = Stylizer(wave, vgg, dataclasses.replace(settings, steps=1)).stylize(china).pixels
        return float(np.abs(picture - start).mean())

    assert distance(50.0) < 0.7 * distance(0.0)


def test_match_colors_gives_the_paintings_palette(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    recolored = Stylizer(wave, vgg, QUICK).match_colors(china, 96)
    painting = wave.scales[96][PIXELS]
    mean, cov, _count = moments(recolored)
    assert np.abs(mean - painting.mean).max() < 6
    assert np.linalg.norm(cov - painting.cov) < 0.25 * np.linalg.norm(painting.cov)
    grey = np.repeat(china.mean(axis=2, keepdims=True), 3, axis=2)
    assert np.isfinite(Stylizer(wave, vgg, QUICK).match_colors(grey, 96)).all()


def test_the_same_settings_give_the_same_picture(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    first, second = (Stylizer(wave, vgg, QUICK).stylize(china).pixels for _ in range(2))
    np.testing.assert_array_equal(np.rint(first), np.rint(second))


def test_noise_follows_its_seed(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    def from_noise(seed: int) -> np.ndarray:
        return Stylizer(wave, vgg, dataclasses.replace(QUICK, init="noise", seed=seed, steps=1)).stylize(china).pixels

    np.testing.assert_array_equal(from_noise(1), from_noise(1))
    assert np.abs(from_noise(1) - from_noise(2)).mean() > 10


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_the_other_optimisers_lower_the_loss_too(wave: Style, vgg: Weights, china: np.ndarray, optimizer: str) -> None:
    settings = dataclasses.replace(QUICK, optimizer=optimizer, steps=12)
    result = Stylizer(wave, vgg, settings).stylize(china)
    assert result.final_loss < 0.9 * result.start_loss


def test_other_weights_and_unmeasured_layers_are_refused(wave: Style, vgg: Weights) -> None:
    with pytest.raises(FingerprintMismatch, match=r"'wave'.*weights_sha256.*abc"):
        Stylizer(wave, dataclasses.replace(vgg, sha256="abc"), QUICK)
    with pytest.raises(FingerprintMismatch, match=r"conv1_1 conv2_1 conv3_1.*conv5_1"):
        Stylizer(wave, vgg, dataclasses.replace(QUICK, layers=("conv5_1",)))


def test_content_layers_decide_what_is_kept_of_the_subject(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    network = VGG19(vgg, "avg", "reflect")

    def lost(pixels: np.ndarray, layer: str) -> float:
        ours, theirs = (
            runtime.to_numpy(network.features(runtime.to_tensors(image), network.parameters, (layer,))[layer])
            for image in (np.ascontiguousarray(pixels, np.float32), images.resize(china, (64, 43)))
        )
        return float(np.square(ours - theirs).sum() / np.square(theirs).sum())

    settings = dataclasses.replace(QUICK, content_weight=6.0, content_detail=0.0, steps=12, match_color=False)
    shallow, deep = (
        Stylizer(wave, vgg, dataclasses.replace(settings, content_layers=(layer,))).stylize(china).pixels
        for layer in ("relu1_2", "relu4_2")
    )
    assert lost(shallow, "relu1_2") < 0.8 * lost(deep, "relu1_2")


def test_a_batch_equals_single_images(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    settings = dataclasses.replace(QUICK, precision="float32", steps=6)
    stylizer = Stylizer(wave, vgg, settings)
    subjects = [china, np.ascontiguousarray(china[::-1])]
    pictures_seen: list[int] = []
    together = stylizer.stylize_batch(subjects, on_step=lambda info: pictures_seen.append(info.picture))
    assert {0, 1} == set(pictures_seen)
    for subject, result in zip(subjects, together, strict=True):
        alone = stylizer.stylize(subject)
        assert result.final_loss == pytest.approx(alone.final_loss, rel=1e-3)
        assert np.abs(result.pixels - alone.pixels).mean() < 0.5


@pytest.mark.skipif(runtime.NAME != "tensorflow", reason="JAX compiles once per shape, PyTorch never")
def test_another_size_needs_no_new_trace(
    wave: Style, vgg: Weights, china: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: list[str] = []
    compile_graph = runtime.tf.function

    def counted(function: Callable[..., object] | None = None, **options: object) -> object:
        if function is None:  # the call as a decorator with options, in Keras
            return compile_graph(**options)

        def traced_function(*arguments: object) -> object:
            traced.append(getattr(function, "__qualname__", ""))
            return function(*arguments)

        return compile_graph(traced_function, **options)

    monkeypatch.setattr("pipeline.backends.compile.tf.function", counted)
    stylizer_module._objective.cache_clear()  # other tests have compiled it
    stylizer = Stylizer(wave, vgg, dataclasses.replace(QUICK, steps=2))
    stylizer.stylize(china)
    traced_first = list(traced)
    assert traced_first
    stylizer.stylize(china)
    stylizer.stylize(np.ascontiguousarray(china[:45, :70].transpose(1, 0, 2)))
    assert traced == traced_first


def test_a_batch_of_two_sizes_is_refused(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"43 x 64, 64 x 43"):
        Stylizer(wave, vgg, QUICK).stylize_batch([china, np.ascontiguousarray(china.transpose(1, 0, 2))])


def test_bfloat16_ends_where_float32_does(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    ends = {}
    for precision in ("float32", "bfloat16"):
        settings = dataclasses.replace(QUICK, steps=12, precision=precision)
        ends[precision] = Stylizer(wave, vgg, settings).stylize(china).final_loss
    assert ends["bfloat16"] == pytest.approx(ends["float32"], rel=0.03)


def test_bfloat16_suffices_for_deep_layers_with_few_positions(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    """Deep layers compute their gradient in float32 at either precision."""
    layers = ("conv1_1", "conv4_2", "conv5_1", "conv5_4")
    painting = images.resize(images.load(DATA / "styles/great_wave.jpg").pixels, (256, 172))
    network = VGG19(vgg, "avg", "reflect")
    fingerprint = dataclasses.replace(wave.header.fingerprint, layers=(PIXELS, *layers), pooling="avg")
    deep = Style(
        dataclasses.replace(wave.header, fingerprint=fingerprint), {96: measure_pixels(painting, network, layers)}
    )
    ends = {}
    for precision in ("float32", "bfloat16"):
        settings = dataclasses.replace(QUICK, size=96, steps=15, content_weight=0, precision=precision)
        ends[precision] = Stylizer(deep, vgg, settings).stylize(china).final_loss
    assert ends["bfloat16"] == pytest.approx(ends["float32"], rel=0.05)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("photograph", "painting"),
    [("china", "starry_night"), ("rocket", "great_wave"), ("astronaut", "composition_viii")],
)
def test_bfloat16_ends_where_float32_does_on_the_samples(
    vgg: Weights, tmp_path: Path, photograph: str, painting: str
) -> None:
    """With all layers, all steps and every size."""
    bank = Bank(tmp_path)
    pipeline.add(bank, DATA / f"styles/{painting}.jpg", name="style", scales=(160, 320))
    subject = images.load(DATA / f"subjects/{photograph}.jpg").pixels
    ends = {}
    for precision in ("float32", "bfloat16"):
        settings = SynthesisSettings(size=320, precision=precision)
        ends[precision] = Stylizer(bank.get("style"), vgg, settings).stylize(subject).final_loss
    assert ends["bfloat16"] == pytest.approx(ends["float32"], rel=0.03)


def test_a_tiled_picture_equals_the_plain_one(
    wave: Style, vgg: Weights, china: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(QUICK, precision="float32", steps=3)
    plain = Stylizer(wave, vgg, settings).stylize(china)
    requests = []

    def too_large(size: tuple[int, int], *_: object, **more: object) -> bool:
        requests.append((size, more["limit"]))
        return True

    monkeypatch.setattr(stylizer_module, "require_memory", too_large)
    monkeypatch.setattr(
        stylizer_module, "in_strips", lambda objective: tiled_objective.in_strips(objective, 64 * 16 * 128)
    )
    result = Stylizer(wave, vgg, dataclasses.replace(settings, memory_limit=2_000_000_000)).stylize(china)
    assert requests == [((64, 43), 2_000_000_000)]
    assert result.start_loss == pytest.approx(plain.start_loss, rel=1e-5)
    assert result.final_loss == pytest.approx(plain.final_loss, rel=1e-3)
    assert np.abs(result.pixels - plain.pixels).mean() < 0.05


def test_a_picture_too_large_for_the_memory_is_refused_first(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    stylizer = Stylizer(wave, vgg, dataclasses.replace(QUICK, size=4096, memory_limit=3_000_000_000))
    with pytest.raises(UsageError, match=r"4096 x 2731 pixels need about .* 3\.0 GB are allowed\. Choose --size"):
        stylizer.stylize(china, on_step=lambda info: pytest.fail("work began"))


def test_strength_0_returns_the_subject_and_more_changes_more(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    none, some, half, full = (
        Stylizer(wave, vgg, dataclasses.replace(AT_96, strength=strength)).stylize(china).pixels
        for strength in (0, 0.05, 0.5, 1)
    )
    np.testing.assert_array_equal(none, china)
    distances = [float(np.abs(picture - china).mean()) for picture in (some, half, full)]
    assert distances == sorted(distances)
    assert distances[0] < 0.25 * distances[2] and distances[1] < 0.8 * distances[2]


def test_each_region_approaches_its_style(
    wave: Style, night: Style, vgg: Weights, china: np.ndarray, left: RegionMasks
) -> None:
    both = regions([left.masks[0], None], (96, 64))
    stylizer = Stylizer([wave, night], vgg, dataclasses.replace(AT_96, steps=20, content_weight=0))
    picture = stylizer.stylize(china, regions=both).pixels
    objective = stylizer.objective(False)

    def distance(mask: np.ndarray, style: Gaussian) -> float:
        mean, cov = objective.gaussians(picture, mask)[1]
        return gaussian.wasserstein2(mean, cov, style.mean, style.cov)

    ends = wave.scales[96][LAYERS[1]], night.scales[90][LAYERS[1]]
    for number, mask in enumerate(both.masks):
        assert distance(mask, ends[number]) < 0.5 * distance(mask, ends[1 - number])


def test_several_styles_without_masks_are_refused(wave: Style, night: Style, vgg: Weights, china: np.ndarray) -> None:
    with pytest.raises(UsageError, match="2 styles and no masks"):
        Stylizer([wave, night], vgg, AT_96).stylize(china)


def test_a_weight_for_an_unused_layer_is_refused(wave: Style, vgg: Weights) -> None:
    with pytest.raises(UsageError, match="layer_weights conv5_1: not among the style layers conv1_1 conv2_1 conv3_1"):
        Stylizer(wave, vgg, dataclasses.replace(AT_96, layer_weights=(("conv5_1", 2.0),)))


def test_masks_in_a_batch_apply_per_image(wave: Style, vgg: Weights, china: np.ndarray, left: RegionMasks) -> None:
    stylizer = Stylizer(wave, vgg, dataclasses.replace(AT_96, steps=3))
    other = np.ascontiguousarray(china[:, ::-1])
    pictures_seen = []
    both = stylizer.stylize_batch(
        [china, other], regions=[left, None], on_step=lambda info: pictures_seen.append(info.picture)
    )
    np.testing.assert_array_equal(both[0].pixels, stylizer.stylize(china, regions=left).pixels)
    np.testing.assert_array_equal(both[1].pixels, stylizer.stylize(other).pixels)
    assert pictures_seen == [0] * 3 + [1] * 3
