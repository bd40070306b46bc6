from __future__ import annotations

import numpy as np
import pytest

from pipeline.synthesis.optimizers import minimize
from stylebank.errors import StylebankError

_TARGET = np.linspace(-60, 320, 48).reshape(1, 4, 4, 3).astype(np.float32)


def _bowl(unit: float = 1.0):
    def function(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = pixels - _TARGET
        return unit * np.square(difference).sum(axis=(1, 2, 3), dtype=np.float64), (2 * unit * difference).astype(
            np.float32
        )

    return function


@pytest.mark.parametrize(
    ("optimizer", "steps", "rate"), [("lbfgs", 20, 0.0), ("adam", 400, 4.0), ("rmsprop", 400, 1.0)]
)
@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_minimum_within_bounds_for_any_unit_of_loss(optimizer: str, steps: int, rate: float, unit: float) -> None:
    seen: list[np.ndarray] = []
    start = np.full_like(_TARGET, 128)
    optimum = minimize(
        _bowl(unit),
        start,
        optimizer=optimizer,
        steps=steps,
        learning_rate=rate,
        on_step=lambda picture, step, value, pixels: seen.append(pixels.copy()),
    )
    assert np.abs(optimum.pixels - np.clip(_TARGET, 0, 255)).max() < 3
    assert optimum.values[0] == pytest.approx(_bowl(unit)(optimum.pixels)[0][0], rel=1e-3)
    assert min(pixels.min() for pixels in seen) >= 0
    assert max(pixels.max() for pixels in seen) <= 255


def test_steps_count_from_one_to_the_setting() -> None:
    steps: list[int] = []
    optimum = minimize(
        _bowl(),
        np.full_like(_TARGET, 128),
        optimizer="adam",
        steps=7,
        learning_rate=1.0,
        on_step=lambda picture, step, value, pixels: steps.append(step),
    )
    assert steps == list(range(1, 8))
    assert optimum.steps == (7,)


def test_an_image_at_its_minimum_stays_unchanged() -> None:
    start = np.clip(_TARGET, 0, 255)

    def flat(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(1), np.zeros_like(pixels)

    optimum = minimize(flat, start, optimizer="lbfgs", steps=5)
    np.testing.assert_array_equal(optimum.pixels, start)
    assert optimum.steps == (0,)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_loss_that_is_not_finite_is_an_error(optimizer: str) -> None:
    def broken(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(1, np.nan), np.zeros_like(pixels)

    with pytest.raises(StylebankError, match=r"not finite.*learning-rate"):
        minimize(broken, _TARGET, optimizer=optimizer, steps=3, learning_rate=1.0)


def test_a_start_outside_the_bounds_is_clipped() -> None:
    optimum = minimize(lambda p: (np.zeros(1), np.zeros_like(p)), _TARGET, optimizer="lbfgs", steps=1)
    assert optimum.pixels.min() >= 0 and optimum.pixels.max() <= 255


def _valley(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A narrow valley, whose curvatures differ by a factor of 1000."""
    curvature = np.geomspace(1, 1000, 48).reshape(4, 4, 3).astype(np.float32)
    difference = pixels - np.clip(_TARGET, 20, 230)
    values = (curvature * np.square(difference)).sum(axis=(1, 2, 3), dtype=np.float64)
    return values, 2 * curvature * difference


def test_lbfgs_learns_the_curvature() -> None:
    start = np.full_like(_TARGET, 128)
    optimum = minimize(_valley, start, optimizer="lbfgs", steps=60)
    assert optimum.values[0] < 1e-5 * _valley(start)[0][0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "rmsprop"])
def test_a_batch_equals_single_images(optimizer: str) -> None:
    starts = np.concatenate([np.full_like(_TARGET, 128), np.full_like(_TARGET, 250), np.clip(_TARGET, 20, 230)])
    steps_seen: list[tuple[int, int]] = []
    together = minimize(
        _valley,
        starts,
        optimizer=optimizer,
        steps=15,
        learning_rate=2.0,
        on_step=lambda picture, step, value, pixels: steps_seen.append((picture, step)),
    )
    for number in range(3):
        alone = minimize(_valley, starts[number : number + 1], optimizer=optimizer, steps=15, learning_rate=2.0)
        np.testing.assert_array_equal(together.pixels[number], alone.pixels[0])
        assert together.values[number] == alone.values[0]
        assert together.steps[number] == alone.steps[0] == sum(picture == number for picture, _step in steps_seen)
