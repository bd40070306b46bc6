"""Tiles against the whole image: the same value, the same gradient, and no seam."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.ingest.measure import measure_pixels
from pipeline.synthesis import memory
from pipeline.synthesis.losses.functional import layer_target
from pipeline.synthesis.losses.objective import Objective
from pipeline.synthesis.losses.problem import StyleTarget
from pipeline.synthesis.tiled_objective import in_strips
from pipeline.synthesis.tiling import split_rows
from pipeline.vgg.network import VGG19
from pipeline.vgg.weights import Weights
from tests.conftest import cosine

#: All blocks but the last, layers before and after ReLU, several per block, and one for both style and content.
LAYERS = ("conv1_1", "relu1_2", "conv2_1", "conv3_1", "relu3_2", "conv4_2")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile nothing: compilation takes longer than these small images."""

    def bound(function: Callable[..., Any], parameters: Any) -> Callable[..., Any]:
        return lambda *arguments: function(*arguments, parameters)

    for module in ("backends.compile", "synthesis.losses.objective", "synthesis.tiled_objective"):
        monkeypatch.setattr(f"pipeline.{module}.compile_bound", bound)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return patches of colour with grain, (1, height, width, 3)."""
    random = np.random.default_rng(seed)
    patches = random.uniform(20, 235, (height // 8 + 1, width // 8 + 1, 3))
    pixels = np.kron(patches, np.ones((8, 8, 1)))[:height, :width] + random.normal(0, 6, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.float32)[None]


def region(vgg: Weights, layers: tuple[str, ...], mask: np.ndarray | None = None, seed: int = 9) -> StyleTarget:
    network = VGG19(vgg, "avg", "reflect")
    style = measure_pixels(picture(48, 40, seed)[0], network, layers)
    targets = [runtime.to_tensors(layer_target(style[layer], 1e-4)) for layer in layers]
    return StyleTarget(targets, targets, mask)


def evaluate_both(
    objective: Objective, regions: list[StyleTarget], shape: tuple[int, int], rows: int
) -> tuple[Any, Any]:
    """Return the evaluations of the whole image and of tiles of `rows` rows, at the same pixels."""
    subject, pixels = picture(*shape), picture(*shape, seed=1)
    tiled = in_strips(objective, rows * shape[1] * 64 * 2)
    evaluations = []
    for variant in (objective, tiled):
        problem = variant.problem(regions, subject, content_weight=1.0, content_detail=1.0)
        evaluation = variant(pixels, problem)
        assert variant.evaluate_exact(pixels, problem).value[0] == pytest.approx(evaluation.value[0], rel=0.01)
        evaluations.append(evaluation)
    return evaluations[0], evaluations[1]


def assert_agree(whole: Any, tiled: Any) -> None:
    np.testing.assert_allclose(tiled.style, whole.style, rtol=1e-5, atol=1e-5 * whole.style.max())
    np.testing.assert_allclose(tiled.content, whole.content, rtol=1e-5)
    assert tiled.value[0] == pytest.approx(whole.value[0], rel=1e-5)
    assert cosine(whole.gradient, tiled.gradient) > 0.99999
    assert np.abs(tiled.gradient - whole.gradient).max() < 1e-3 * np.abs(whole.gradient).max()


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zero"])
@pytest.mark.parametrize(
    ("pooling", "shape", "rows"), [("avg", (53, 35), 8), ("max", (48, 33), 20), ("avg", (35, 64), 13)]
)
@pytest.mark.usefixtures("uncompiled")
def test_tiles_equal_the_whole_image(
    vgg: Weights, pooling: str, padding: str, shape: tuple[int, int], rows: int
) -> None:
    objective = Objective(vgg, pooling, padding, LAYERS, content_layers=("conv4_2",))
    whole, tiled = evaluate_both(objective, [region(vgg, LAYERS)], shape, rows)
    assert whole.gradient.any()
    assert_agree(whole, tiled)


@pytest.mark.usefixtures("uncompiled")
def test_masks_apply_in_every_tile(vgg: Weights) -> None:
    """One region lies in the upper tiles alone, the other everywhere else, with a soft edge."""
    mask = np.zeros((64, 40), np.float32)
    mask[:14] = 1
    mask[14:20] = np.linspace(1, 0, 6)[:, None]
    objective = Objective(vgg, "avg", "reflect", LAYERS, content_layers=("relu3_2",))
    regions = [region(vgg, LAYERS, mask), region(vgg, LAYERS, 1 - mask, seed=3)]
    assert_agree(*evaluate_both(objective, regions, (64, 40), 8))


@pytest.mark.usefixtures("uncompiled")
def test_images_of_a_batch_have_separate_moments(vgg: Weights) -> None:
    layers = ("conv1_1", "conv2_1")
    objective = Objective(vgg, "avg", "reflect", layers)
    subjects = np.concatenate([picture(40, 32), picture(40, 32, seed=2)])
    whole, tiled = (
        variant(subjects[::-1].copy(), variant.problem([region(vgg, layers)], subjects))
        for variant in (objective, in_strips(objective, 8 * 32 * 128))
    )
    np.testing.assert_allclose(tiled.style, whole.style, rtol=1e-5)
    for number in range(2):
        assert cosine(whole.gradient[number], tiled.gradient[number]) > 0.99999


@pytest.mark.usefixtures("uncompiled")
def test_bfloat16_gradients_in_tiles_agree(vgg: Weights) -> None:
    objective = Objective(vgg, "avg", "reflect", LAYERS, content_layers=("conv4_2",), precision="bfloat16")
    whole, tiled = evaluate_both(objective, [region(vgg, LAYERS)], (48, 40), 12)
    assert tiled.value[0] == pytest.approx(whole.value[0], rel=1e-3)
    assert cosine(whole.gradient, tiled.gradient) > 0.999


@pytest.mark.usefixtures("uncompiled")
def test_gradients_have_no_seam(vgg: Weights) -> None:
    """Neither the gradient's difference nor its error is larger at the borders of tiles than elsewhere."""
    layers = ("conv1_1", "conv1_2", "conv2_2", "conv3_4")
    objective = Objective(vgg, "avg", "reflect", layers)
    whole, tiled = evaluate_both(objective, [region(vgg, layers)], (128, 32), 16)
    border = np.zeros(127, bool)
    border[[begin - 1 for begin, _ in split_rows(128, 16)[1:]]] = True
    for gradient in (whole.gradient[0], tiled.gradient[0]):
        steps = np.sqrt(np.square(np.diff(gradient, axis=0)).mean(axis=(1, 2)))
        # the patches of the image end at the same rows as the tiles
        patches = np.arange(1, 128) % 8 == 0
        assert steps[border].mean() < 1.25 * steps[patches & ~border].mean()
    error = np.abs(tiled.gradient - whole.gradient)[0].max(axis=(1, 2)) / np.abs(whole.gradient).max()
    assert error.max() < 1e-4
    near = border[:-1] | border[1:]
    assert error[1:-1][near].mean() < 3 * error[1:-1][~near].mean() + 1e-6


def test_compiled_blocks_serve_every_size(vgg: Weights) -> None:
    """There is one trace per block and border. Another size needs no new trace."""
    layers = ("conv1_1", "conv3_1", "conv5_1")
    objective = Objective(vgg, "avg", "reflect", layers, content_layers=("conv4_2",))
    assert_agree(*evaluate_both(objective, [region(vgg, layers)], (133, 40), 16))
    if runtime.NAME != "tensorflow":
        return
    tiled = in_strips(objective, 16 * 40 * 128)
    passes = tiled._step.__self__  # type: ignore[attr-defined]
    traced = []
    features = passes._features
    passes._features = lambda *arguments: traced.append(1) or features(*arguments)
    for number, shape in enumerate([(133, 40), (150, 44)]):
        subject = picture(*shape)
        tiled(subject, tiled.problem([region(vgg, layers)], subject, content_weight=1.0))
        if number == 0:
            first = len(traced)
    assert 10 <= len(traced) == first


@pytest.mark.soak
@pytest.mark.parametrize("how", ["--whole", "--strips"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_peak_memory_stays_within_the_estimate(how: str, precision: str) -> None:
    command = [sys.executable, "-m", "tests.bench.large", "--width", "768", "--height", "512", "--steps", "2"]
    printed = subprocess.run(
        [*command, how, "--precision", precision],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    measured = json.loads(printed)
    expected = memory.estimate_bytes((768, 512), 1, precision, tiled=how == "--strips") / 1e9
    assert 0.5 * expected < measured["peak GB"] < expected
