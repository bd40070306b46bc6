"""Parity with the original program and with float64; `data/original_reference.npz` holds its numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import backend
from pipeline.ingest import measure_pixels
from pipeline.network import Trunk
from pipeline.objective import Objective, layer_target, surrogate
from pipeline.optimise import minimise
from pipeline.settings import SYNTHESIS_PRESETS, SynthesisSettings
from pipeline.synthesis import TOLERANCE, Stylist
from pipeline.weights import Weights
from stylebank import gaussian
from stylebank.gaussian import moments
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Gaussian, Header, Source, Style

from .conftest import cosine

LAYERS = tuple(CONVOLUTIONS)
_FILE = Path(__file__).parent / "data" / "original_reference.npz"


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(_FILE, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def trunk(vgg: Weights) -> Trunk:
    return Trunk(vgg, "avg", "zero")


@pytest.fixture(scope="module")
def style(reference: dict[str, np.ndarray], trunk: Trunk) -> dict[str, Gaussian]:
    return measure_pixels(reference["style"].astype(np.float32), trunk, LAYERS)


@pytest.fixture(scope="module")
def objective(trunk: Trunk) -> Objective:
    return Objective(trunk, LAYERS, with_content=False)


@pytest.fixture(scope="module")
def inputs(objective: Objective, style: dict[str, Gaussian], reference: dict[str, np.ndarray]) -> object:
    targets = [backend.tree(layer_target(style[layer], TOLERANCE)) for layer in LAYERS]
    return objective.inputs(targets, reference["subject"].astype(np.float32), normalise=False)


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


def test_every_layers_loss_is_the_exact_one(
    reference: dict[str, np.ndarray], objective: Objective, inputs: object
) -> None:
    evaluation = objective(reference["subject"].astype(np.float32), inputs)
    np.testing.assert_allclose(evaluation.style, reference["layer_loss_float64"], rtol=1e-4)
    assert evaluation.value == pytest.approx(float(evaluation.style.sum()), rel=1e-5)


def test_the_gradient_points_where_the_originals_does(
    reference: dict[str, np.ndarray], objective: Objective, inputs: object
) -> None:
    gradient = objective(reference["subject"].astype(np.float32), inputs).gradient
    assert cosine(gradient, reference["gradient"]) > 0.99999
    assert np.linalg.norm(gradient) == pytest.approx(float(np.linalg.norm(reference["gradient"])), rel=0.01)


def test_ten_adam_steps_follow_the_originals(
    reference: dict[str, np.ndarray], objective: Objective, inputs: object
) -> None:
    losses: list[float] = []

    def evaluate(pixels: np.ndarray) -> tuple[float, np.ndarray]:
        evaluation = objective(pixels, inputs)
        return evaluation.value, evaluation.gradient

    minimise(
        evaluate,
        reference["subject"].astype(np.float32),
        optimizer="adam",
        learning_rate=1.0,
        steps=10,
        on_step=lambda step, loss, pixels: losses.append(loss),
    )
    np.testing.assert_allclose(losses, reference["adam_lr1_losses"], rtol=0.01)


def test_the_original_preset_ends_where_the_original_does(
    reference: dict[str, np.ndarray], style: dict[str, Gaussian], vgg: Weights
) -> None:
    header = Header(
        name="reference",
        fingerprint=Fingerprint(vgg.sha256, (PIXELS, *LAYERS), "avg", "zero"),
        source=Source("style", "", 120, 79),
        sizes={120: (120, 79)},
    )
    settings = SynthesisSettings(**SYNTHESIS_PRESETS["original"])
    subject = reference["subject"].astype(np.float32)
    synthesis = Stylist(Style(header, {120: style}), vgg, settings).stylise(subject)
    assert synthesis.steps == 80
    assert synthesis.start_loss == pytest.approx(float(reference["loss"]), rel=0.01)
    assert synthesis.final_loss < 1.02 * float(reference["lbfgs80_loss"])
    assert synthesis.pixels.min() >= 0 and synthesis.pixels.max() <= 255


def _target_and_value(picture: np.ndarray, style: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Surrogate, its gradient, and the exact squared W2, of two sets of rows."""
    mean, cov, count = moments(style)
    cov_sqrt, values = gaussian.root(cov)
    target = layer_target(Gaussian(mean, cov, cov_sqrt, values, count), TOLERANCE)
    step = backend.compile_step(
        lambda image, inputs, _weights: (surrogate(image[None], inputs), backend.tree(np.zeros(1, np.float32))), None
    )
    value, _parts, gradient = step(picture.astype(np.float32), backend.tree(target))
    own_mean, own_cov, _count = moments(picture)
    return value, gradient, gaussian.wasserstein2(own_mean, own_cov, mean, cov) ** 2


@pytest.mark.parametrize("rows", [(3, 3), (8, 8), (40, 40)], ids=["fewer rows than channels", "few", "many"])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_the_surrogate_has_the_value_and_gradient_of_w2(rows: tuple[int, int], scale: float) -> None:
    """The gradient is compared with one by singular values: the nuclear norm's, of least norm where it has a kink."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(16, 16)) * np.geomspace(1, 1e-2, 16)
    picture = scale * (random.normal(size=(*rows, 16)) @ mixing + 1)
    style = scale * (random.normal(size=(20, 20, 16)) @ mixing[::-1])
    value, gradient, exact = _target_and_value(picture, style)
    assert value == pytest.approx(exact, rel=1e-3)
    mean, cov, _ = moments(style)
    factor = gaussian.factor(cov)
    flat = picture.reshape(-1, 16)
    count, centred = len(flat), flat - flat.mean(axis=0)
    left, values, right = np.linalg.svd(centred @ factor / np.sqrt(count), full_matrices=False)
    kept = values > 1e-9 * values[0]
    turned = left[:, kept] @ right[kept] @ factor.T / np.sqrt(count)
    expected = 2 * (flat.mean(axis=0) - mean) / count + 2 * centred / count - 2 * turned
    assert cosine(gradient, expected) > 0.9999
    assert np.linalg.norm(gradient) == pytest.approx(np.linalg.norm(expected), rel=1e-3)


def test_equal_pictures_are_at_distance_zero_with_gradient_zero() -> None:
    random = np.random.default_rng(1)
    picture = random.normal(size=(12, 12, 8)) * 30 + 5
    value, gradient, _exact = _target_and_value(picture, picture)
    spread = float(moments(picture)[1].trace())
    assert abs(value) < 1e-5 * spread
    assert np.abs(gradient).max() < 1e-3


@pytest.mark.parametrize("flat", ["picture", "style", "both"])
def test_one_flat_colour_stays_finite(flat: str) -> None:
    random = np.random.default_rng(2)
    busy, plain = random.normal(size=(10, 10, 8)) * 20, np.full((10, 10, 8), 7.0)
    picture = plain if flat in {"picture", "both"} else busy
    style = plain if flat in {"style", "both"} else busy
    value, gradient, exact = _target_and_value(picture, style)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert value == pytest.approx(exact, rel=1e-3, abs=1e-3)


def test_normalised_layers_start_at_one_together(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    layers = ("conv1_1", "conv3_1", "conv5_1")
    objective = Objective(Trunk(vgg, "avg", "zero"), layers, with_content=True)
    targets = [backend.tree(layer_target(style[layer], TOLERANCE)) for layer in layers]
    inputs = objective.inputs(targets, china, content_weight=1.0, normalise=True)
    evaluation = objective(china, inputs)
    assert evaluation.value == pytest.approx(1.0, rel=1e-3)
    assert evaluation.content == pytest.approx(0.0, abs=1e-5)
    assert objective(china[::-1].copy(), inputs).content > 0.5


def test_one_trace_serves_every_size_and_style(vgg: Weights, china: np.ndarray, style: dict[str, Gaussian]) -> None:
    traced = []

    class Counting(Objective):
        def _loss(self, image: object, inputs: object, parameters: object) -> object:
            traced.append(1)
            return super()._loss(image, inputs, parameters)

    objective = Counting(Trunk(vgg, "avg", "reflect"), ("conv1_1", "conv2_1"), with_content=True)
    for size, tolerance in (((64, 64), 1e-6), ((48, 40), 1e-6), ((64, 64), 1e-2)):
        targets = [backend.tree(layer_target(style[layer], tolerance)) for layer in objective.layers]
        subject = np.ascontiguousarray(china[: size[1], : size[0]])
        objective(subject, objective.inputs(targets, subject, content_weight=1.0, normalise=True))
    if backend.NAME == "tensorflow":
        assert len(traced) == 1
