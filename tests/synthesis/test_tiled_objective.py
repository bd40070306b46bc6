"""Strips against the whole picture: the same value, the same gradient, and no seam."""

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

#: Every block but the last, features before and after ReLU, several of one block, and one of style and content both.
LAYERS = ("conv1_1", "relu1_2", "conv2_1", "conv3_1", "relu3_2", "conv4_2")


@pytest.fixture
def eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile nothing: these pictures are smaller than the functions."""

    def bound(function: Callable[..., Any], parameters: Any) -> Callable[..., Any]:
        return lambda *arguments: function(*arguments, parameters)

    for module in ("backends.compile", "synthesis.losses.objective", "synthesis.tiled_objective"):
        monkeypatch.setattr(f"pipeline.{module}.compile_bound", bound)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Patches of colour with grain, (1, height, width, 3)."""
    random = np.random.default_rng(seed)
    patches = random.uniform(20, 235, (height // 8 + 1, width // 8 + 1, 3))
    pixels = np.kron(patches, np.ones((8, 8, 1)))[:height, :width] + random.normal(0, 6, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.float32)[None]


def region(vgg: Weights, layers: tuple[str, ...], mask: np.ndarray | None = None, seed: int = 9) -> StyleTarget:
    network = VGG19(vgg, "avg", "reflect")
    style = measure_pixels(picture(48, 40, seed)[0], network, layers)
    targets = [runtime.to_tensors(layer_target(style[layer], 1e-4)) for layer in layers]
    return StyleTarget(targets, targets, mask)


def compared(objective: Objective, regions: list[StyleTarget], shape: tuple[int, int], rows: int) -> tuple[Any, Any]:
    """The evaluation whole, and in strips of so many rows of the picture, at the same pictures."""
    subject, at = picture(*shape), picture(*shape, seed=1)
    strips = in_strips(objective, rows * shape[1] * 64 * 2)
    found = []
    for one in (objective, strips):
        problem = one.problem(regions, subject, content_weight=1.0)
        evaluation = one(at, problem)
        assert one.evaluate_exact(at, problem).value[0] == pytest.approx(evaluation.value[0], rel=0.01)
        found.append(evaluation)
    return found[0], found[1]


def agrees(whole: Any, strips: Any) -> None:
    np.testing.assert_allclose(strips.style, whole.style, rtol=1e-5, atol=1e-5 * whole.style.max())
    np.testing.assert_allclose(strips.content, whole.content, rtol=1e-5)
    assert strips.value[0] == pytest.approx(whole.value[0], rel=1e-5)
    assert cosine(whole.gradient, strips.gradient) > 0.99999
    assert np.abs(strips.gradient - whole.gradient).max() < 1e-3 * np.abs(whole.gradient).max()


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zero"])
@pytest.mark.parametrize(
    ("pooling", "shape", "rows"), [("avg", (53, 35), 8), ("max", (48, 33), 20), ("avg", (35, 64), 13)]
)
@pytest.mark.usefixtures("eagerly")
def test_strips_are_the_whole_picture(
    vgg: Weights, pooling: str, padding: str, shape: tuple[int, int], rows: int
) -> None:
    objective = Objective(vgg, pooling, padding, LAYERS, content_layers=("conv4_2",))
    whole, strips = compared(objective, [region(vgg, LAYERS)], shape, rows)
    assert whole.gradient.any()
    agrees(whole, strips)


@pytest.mark.usefixtures("eagerly")
def test_regions_count_in_every_strip_what_is_theirs(vgg: Weights) -> None:
    """One is in the upper strips alone, the other everywhere else, with a soft edge."""
    mask = np.zeros((64, 40), np.float32)
    mask[:14] = 1
    mask[14:20] = np.linspace(1, 0, 6)[:, None]
    objective = Objective(vgg, "avg", "reflect", LAYERS, content_layers=("relu3_2",))
    regions = [region(vgg, LAYERS, mask), region(vgg, LAYERS, 1 - mask, seed=3)]
    agrees(*compared(objective, regions, (64, 40), 8))


@pytest.mark.usefixtures("eagerly")
def test_pictures_side_by_side_have_moments_of_their_own(vgg: Weights) -> None:
    layers = ("conv1_1", "conv2_1")
    objective = Objective(vgg, "avg", "reflect", layers)
    subjects = np.concatenate([picture(40, 32), picture(40, 32, seed=2)])
    whole, strips = (
        one(subjects[::-1].copy(), one.problem([region(vgg, layers)], subjects))
        for one in (objective, in_strips(objective, 8 * 32 * 128))
    )
    np.testing.assert_allclose(strips.style, whole.style, rtol=1e-5)
    for number in range(2):
        assert cosine(whole.gradient[number], strips.gradient[number]) > 0.99999


@pytest.mark.usefixtures("eagerly")
def test_bfloat16_in_strips_points_the_same_way(vgg: Weights) -> None:
    objective = Objective(vgg, "avg", "reflect", LAYERS, content_layers=("conv4_2",), precision="bfloat16")
    whole, strips = compared(objective, [region(vgg, LAYERS)], (48, 40), 12)
    assert strips.value[0] == pytest.approx(whole.value[0], rel=1e-3)
    assert cosine(whole.gradient, strips.gradient) > 0.999


@pytest.mark.usefixtures("eagerly")
def test_there_is_no_seam(vgg: Weights) -> None:
    """Neither is the gradient's step larger across strips' borders than elsewhere, nor its error."""
    layers = ("conv1_1", "conv1_2", "conv2_2", "conv3_4")
    objective = Objective(vgg, "avg", "reflect", layers)
    whole, strips = compared(objective, [region(vgg, layers)], (128, 32), 16)
    border = np.zeros(127, bool)
    border[[begin - 1 for begin, _ in split_rows(128, 16)[1:]]] = True
    for gradient in (whole.gradient[0], strips.gradient[0]):
        steps = np.sqrt(np.square(np.diff(gradient, axis=0)).mean(axis=(1, 2)))
        # rows 16 apart are where the picture's own patches end, too
        patches = np.arange(1, 128) % 8 == 0
        assert steps[border].mean() < 1.25 * steps[patches & ~border].mean()
    error = np.abs(strips.gradient - whole.gradient)[0].max(axis=(1, 2)) / np.abs(whole.gradient).max()
    assert error.max() < 1e-4
    near = border[:-1] | border[1:]
    assert error[1:-1][near].mean() < 3 * error[1:-1][~near].mean() + 1e-6


def test_all_blocks_compiled_serve_every_size(vgg: Weights) -> None:
    """Compiled once a block and edge: another size is no new trace."""
    layers = ("conv1_1", "conv3_1", "conv5_1")
    objective = Objective(vgg, "avg", "reflect", layers, content_layers=("conv4_2",))
    agrees(*compared(objective, [region(vgg, layers)], (133, 40), 16))
    if runtime.NAME != "tensorflow":
        return
    strips = in_strips(objective, 16 * 40 * 128)
    passes = strips._step.__self__  # type: ignore[attr-defined]
    traced = []
    features = passes._features
    passes._features = lambda *arguments: traced.append(1) or features(*arguments)
    for number, shape in enumerate([(133, 40), (150, 44)]):
        subject = picture(*shape)
        strips(subject, strips.problem([region(vgg, layers)], subject, content_weight=1.0))
        if number == 0:
            first = len(traced)
    assert 10 <= len(traced) == first


@pytest.mark.soak
@pytest.mark.parametrize("how", ["--whole", "--strips"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_more_memory_is_taken_than_told(how: str, precision: str) -> None:
    command = [sys.executable, "-m", "tests.bench.large", "--width", "768", "--height", "512", "--steps", "2"]
    printed = subprocess.run(
        [*command, how, "--precision", precision],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    told = json.loads(printed)
    expected = memory.estimate_bytes((768, 512), 1, precision, tiled=how == "--strips") / 1e9
    assert 0.5 * expected < told["peak GB"] < expected
