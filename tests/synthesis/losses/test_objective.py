"""Parity with the original program and with float64; `data/original_reference.npz` holds its numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.ingest.measure import measure_pixels
from pipeline.settings import SYNTHESIS_PRESETS, SynthesisSettings
from pipeline.synthesis.losses.functional import EXACT_TOLERANCE, layer_target, total_variation
from pipeline.synthesis.losses.objective import Objective
from pipeline.synthesis.losses.problem import Problem, StyleTarget
from pipeline.synthesis.optimizers import minimize
from pipeline.synthesis.stylizer import Stylizer
from pipeline.vgg.network import VGG19
from pipeline.vgg.weights import Weights
from stylebank.math import gaussian
from stylebank.math.gaussian import moments
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Gaussian, Header, Source, Style
from tests.conftest import cosine

LAYERS = tuple(CONVOLUTIONS)
QUICK = SynthesisSettings(size=96, steps=6, precision="float32")
_FILE = Path(__file__).parents[2] / "data" / "original_reference.npz"


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(_FILE, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def network(vgg: Weights) -> VGG19:
    return VGG19(vgg, "avg", "zero")


@pytest.fixture(scope="module")
def style(reference: dict[str, np.ndarray], network: VGG19) -> dict[str, Gaussian]:
    return measure_pixels(reference["style"].astype(np.float32), network, LAYERS)


def region(
    style: dict[str, Gaussian], layers: tuple[str, ...] = LAYERS, tolerance: float = EXACT_TOLERANCE
) -> StyleTarget:
    targets, exact = (
        [runtime.to_tensors(layer_target(style[layer], t)) for layer in layers] for t in (tolerance, EXACT_TOLERANCE)
    )
    return StyleTarget(targets, exact)


@pytest.fixture(scope="module")
def subject(reference: dict[str, np.ndarray]) -> np.ndarray:
    return reference["subject"].astype(np.float32)[None]


@pytest.fixture(scope="module")
def objective(vgg: Weights) -> Objective:
    return Objective(vgg, "avg", "zero", LAYERS)


@pytest.fixture(scope="module")
def problem(objective: Objective, style: dict[str, Gaussian], subject: np.ndarray) -> Problem:
    return objective.problem([region(style)], subject, normalise=False)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_style_is_measured_as_the_original_measures_it(
    layer: str, reference: dict[str, np.ndarray], style: dict[str, Gaussian]
) -> None:
    measured = style[layer]
    mean, corner = reference[f"{layer}/style_mean"], reference[f"{layer}/style_root_corner"]
    assert np.abs(measured.mean - mean).max() < 1e-3 * np.abs(mean).max()
    assert np.trace(measured.cov, dtype=np.float64) == pytest.approx(float(reference[f"{layer}/style_trace"]), rel=1e-4)
    assert np.linalg.norm(measured.cov_sqrt) == pytest.approx(
        float(reference[f"{layer}/style_root_frobenius"]), rel=1e-4
    )
    # the original keeps the rounding of a float32 root, which shows in nearly singular layers
    assert np.abs(measured.cov_sqrt[:8, :8] - corner).max() < 5e-3 * np.abs(measured.cov_sqrt).max()


def test_every_layers_loss_is_exact(
    reference: dict[str, np.ndarray], objective: Objective, problem: Problem, subject: np.ndarray
) -> None:
    evaluation = objective(subject, problem)
    np.testing.assert_allclose(evaluation.style[0, 0], reference["layer_loss_float64"], rtol=1e-4)
    assert evaluation.value[0] == pytest.approx(float(evaluation.style.sum()), rel=1e-5)
    np.testing.assert_allclose(objective.evaluate_exact(subject, problem).style, evaluation.style, rtol=1e-4)


def test_the_gradient_points_where_the_originals_does(
    reference: dict[str, np.ndarray], objective: Objective, problem: Problem, subject: np.ndarray
) -> None:
    gradient = objective(subject, problem).gradient[0]
    assert cosine(gradient, reference["gradient"]) > 0.99999
    assert np.linalg.norm(gradient) == pytest.approx(float(np.linalg.norm(reference["gradient"])), rel=0.01)


def test_the_default_tolerance_keeps_the_gradients_direction(
    objective: Objective, problem: Problem, style: dict[str, Gaussian], subject: np.ndarray
) -> None:
    """The omitted tail changes the value by at most the bound on the cross term, and hardly the gradient."""
    tolerance = SynthesisSettings().tolerance
    thin = objective.problem([region(style, tolerance=tolerance)], subject, normalise=False)
    whole, cut = objective(subject, problem), objective(subject, thin)
    assert cosine(whole.gradient, cut.gradient) > 0.9999
    features = objective.network.features(runtime.to_tensors(subject), objective.network.parameters, LAYERS)
    for number, layer in enumerate(LAYERS):
        cov = moments(runtime.to_numpy(features[layer]))[1]
        values = gaussian.eigh_descending(style[layer].cov)[0]
        tail = values[values <= tolerance * values[0]].sum()
        lost = float(cut.style[0, 0, number] - whole.style[0, 0, number])
        assert -1e-4 * whole.style[0, 0, number] <= lost <= 2 * np.sqrt(tail * np.trace(cov)) + 1e-3 * np.trace(cov)


def test_ten_adam_steps_follow_the_originals(
    reference: dict[str, np.ndarray], objective: Objective, problem: Problem, subject: np.ndarray
) -> None:
    losses: list[float] = []

    def evaluate(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        evaluation = objective(pixels, problem)
        return evaluation.value, evaluation.gradient

    minimize(
        evaluate,
        subject,
        optimizer="adam",
        learning_rate=1.0,
        steps=10,
        on_step=lambda picture, step, loss, pixels: losses.append(loss),
    )
    np.testing.assert_allclose(losses, reference["adam_lr1_losses"], rtol=0.01)


def test_the_original_preset_ends_where_the_original_does(
    reference: dict[str, np.ndarray], style: dict[str, Gaussian], vgg: Weights, objective: Objective, problem: Problem
) -> None:
    """The end of 80 iterations, against the original's picture measured as exactly as ours.

    The original drops eigenvalues below 0.1, so its own count of its last loss is 13 % below the exact loss of
    its picture. Runs are chaotic: starts that differ by 0.01 grey levels, and another tolerance, end 2 to 6 %
    above that count, so a bound of 2 % above it is chance. All end 8 to 12 % below the exact loss: exact is compared
    with exact, and the bound is 5 % below.
    """
    header = Header(
        name="reference",
        fingerprint=Fingerprint(vgg.sha256, (PIXELS, *LAYERS), "avg", "zero"),
        source=Source("style", "", 120, 79),
        sizes={120: (120, 79)},
    )
    settings = SynthesisSettings(**SYNTHESIS_PRESETS["original"])
    subject = reference["subject"].astype(np.float32)
    result = Stylizer(Style(header, {120: style}), vgg, settings).stylize(subject)
    assert result.steps == 80
    assert result.start_loss == pytest.approx(float(reference["loss"]), rel=0.01)
    originals = reference["lbfgs80_image"].astype(np.float32)[None]
    assert result.final_loss < 1.1 * float(reference["lbfgs80_loss"])
    assert result.final_loss < 0.95 * objective.evaluate_exact(originals, problem).value[0]
    assert result.pixels.min() >= 0 and result.pixels.max() <= 255


def test_normalised_layers_start_at_one_together(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    layers = ("conv1_1", "conv3_1", "conv5_1")
    objective = Objective(vgg, "avg", "zero", layers, content_layers=("conv4_2",))
    problem = objective.problem([region(style, layers)], china[None], content_weight=1.0)
    evaluation = objective(china[None], problem)
    assert evaluation.value[0] == pytest.approx(1.0, rel=1e-3)
    assert evaluation.content[0, 0] == pytest.approx(0.0, abs=1e-5)
    assert objective(china[None, ::-1].copy(), problem).content[0, 0] > 0.5


def test_the_gradient_matches_differences(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    """Style, content and masks together, against differences in three directions."""
    layers = ("conv1_1", "relu2_1", "conv4_2")
    style = {**style, "relu2_1": style["conv2_1"]}
    left = np.zeros(china.shape[:2], np.float32)
    left[:, :48] = np.linspace(0, 1, 48)
    parts = [region(style, layers), region({**style, "conv1_1": _doubled(style["conv1_1"])}, layers)]
    masked = [StyleTarget(part.targets, part.exact, mask) for part, mask in zip(parts, (left, 1 - left), strict=True)]
    objective = Objective(vgg, "avg", "reflect", layers, content_layers=("conv4_2",))
    problem = objective.problem(masked, china[None], content_weight=2.0, content_detail=1.0)
    pixels = np.clip(china[None] + np.random.default_rng(0).normal(0, 8, (1, *china.shape)), 0, 255).astype(np.float32)
    gradient = objective(pixels, problem).gradient.astype(np.float64)
    uphill = gradient / np.sqrt(np.mean(gradient**2))
    for seed in range(3):  # partly uphill: across the gradient the differences are mostly rounding
        random = np.random.default_rng(seed + 1).normal(size=pixels.shape)
        direction = (0.05 * uphill + 0.05 * random).astype(np.float32)
        ahead, behind = (objective(pixels + sign * direction, problem).value[0] for sign in (1, -1))
        assert (ahead - behind) / 2 == pytest.approx(float((gradient * direction).sum()), rel=0.02)


def _doubled(style: Gaussian) -> Gaussian:
    return Gaussian(style.mean, 2 * style.cov, np.sqrt(2) * style.cov_sqrt, 2 * style.eigenvalues, style.count)


def test_a_batch_equals_single_images(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    layers = ("conv1_1", "conv3_1")
    objective = Objective(vgg, "avg", "reflect", layers, content_layers=("conv4_2",))
    pictures = np.stack([china, china[::-1], china[:, ::-1]])
    problem = objective.problem([region(style, layers)], pictures, content_weight=1.0)
    moved = np.clip(pictures + 20, 0, 255)
    together = objective(moved, problem)
    for number in range(3):
        subject = pictures[number : number + 1]
        single_problem = objective.problem([region(style, layers)], subject, content_weight=1.0)
        alone = objective(moved[number : number + 1], single_problem)
        assert together.value[number] == pytest.approx(alone.value[0], rel=1e-5)
        assert cosine(together.gradient[number], alone.gradient[0]) > 0.99999


def test_bfloat16_gradients_agree(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1")
    moved = np.clip(china[None] + 20, 0, 255)
    evaluations = []
    for precision in ("float32", "bfloat16"):
        objective = Objective(vgg, "avg", "reflect", layers, content_layers=("conv4_2",), precision=precision)
        problem = objective.problem([region(style, layers)], china[None], content_weight=1.0)
        evaluations.append((objective(moved, problem), objective.evaluate_exact(moved, problem)))
    (whole, exact), (short, reported) = evaluations
    assert cosine(whole.gradient, short.gradient) > 0.99
    assert short.value[0] == pytest.approx(whole.value[0], rel=0.02)
    assert reported.value[0] == pytest.approx(exact.value[0], rel=1e-6)
    assert short.gradient.dtype == np.float32


def test_one_trace_serves_every_size_and_style(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    traced = []

    class Counting(Objective):
        def _head(self, features: object, inputs: object) -> object:
            traced.append(1)
            return super()._head(features, inputs)

    layers = ("conv1_1", "conv2_1")
    objective = Counting(vgg, "avg", "reflect", layers, content_layers=("conv4_2",))
    for size, tolerance in (((64, 64), 1e-6), ((48, 40), 1e-6), ((64, 64), 1e-2)):
        subject = np.ascontiguousarray(china[None, : size[1], : size[0]])
        objective(subject, objective.problem([region(style, layers, tolerance)], subject, content_weight=1.0))
    if runtime.NAME == "tensorflow":
        assert len(traced) == 1


def test_tv_weight_makes_the_picture_smoother(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    rough, smooth = (
        Stylizer(wave, vgg, dataclasses.replace(QUICK, tv_weight=weight)).stylize(china).pixels for weight in (0, 30)
    )
    values, _ = total_variation(np.stack([rough, smooth]))
    assert values[1] < 0.6 * values[0]


def test_a_larger_layer_weight_brings_the_layer_nearer(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    def distance(**weights: float) -> float:
        stylizer = Stylizer(wave, vgg, dataclasses.replace(QUICK, steps=12, layer_weights=tuple(weights.items())))
        mean, cov = stylizer.objective(False).gaussians(stylizer.stylize(china).pixels)[2]
        style = wave.scales[96]["conv3_1"]
        return gaussian.wasserstein2(mean, cov, style.mean, style.cov)

    assert distance(conv3_1=20) < 0.95 * distance() < 0.95 * 0.95 * distance(conv3=0)
