from __future__ import annotations

import numpy as np
import pytest

from pipeline.synthesis.optimizers import minimize
from stylebank.errors import StylebankError

_WANTED = np.linspace(-60, 320, 48).reshape(1, 4, 4, 3).astype(np.float32)


def _bowl(unit: float = 1.0):
    def function(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = pixels - _WANTED
        return unit * np.square(difference).sum(axis=(1, 2, 3), dtype=np.float64), (2 * unit * difference).astype(
            np.float32
        )

    return function


@pytest.mark.parametrize(
    ("optimizer", "steps", "rate"), [("lbfgs", 20, 0.0), ("adam", 400, 4.0), ("rmsprop", 400, 1.0)]
)
@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_the_minimum_within_the_bounds_is_found_in_any_unit_of_loss(
    optimizer: str, steps: int, rate: float, unit: float
) -> None:
    seen: list[np.ndarray] = []
    start = np.full_like(_WANTED, 128)
    optimum = minimize(
        _bowl(unit),
        start,
        optimizer=optimizer,
        steps=steps,
        learning_rate=rate,
        on_step=lambda picture, step, value, pixels: seen.append(pixels.copy()),
    )
    assert np.abs(optimum.pixels - np.clip(_WANTED, 0, 255)).max() < 3
    assert optimum.values[0] == pytest.approx(_bowl(unit)(optimum.pixels)[0][0], rel=1e-3)
    assert min(pixels.min() for pixels in seen) >= 0
    assert max(pixels.max() for pixels in seen) <= 255


def test_steps_are_counted_from_one_and_end_at_the_number_given() -> None:
    steps: list[int] = []
    optimum = minimize(
        _bowl(),
        np.full_like(_WANTED, 128),
        optimizer="adam",
        steps=7,
        learning_rate=1.0,
        on_step=lambda picture, step, value, pixels: steps.append(step),
    )
    assert steps == list(range(1, 8))
    assert optimum.steps == (7,)


def test_a_picture_at_its_minimum_stays_as_it_is() -> None:
    start = np.clip(_WANTED, 0, 255)

    def flat(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(1), np.zeros_like(pixels)

    optimum = minimize(flat, start, optimizer="lbfgs", steps=5)
    np.testing.assert_array_equal(optimum.pixels, start)
    assert optimum.steps == (0,)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_loss_that_is_no_number_stops_with_advice(optimizer: str) -> None:
    def broken(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(1, np.nan), np.zeros_like(pixels)

    with pytest.raises(StylebankError, match=r"not finite.*learning-rate"):
        minimize(broken, _WANTED, optimizer=optimizer, steps=3, learning_rate=1.0)


def test_a_start_outside_the_bounds_is_brought_within() -> None:
    optimum = minimize(lambda p: (np.zeros(1), np.zeros_like(p)), _WANTED, optimizer="lbfgs", steps=1)
    assert optimum.pixels.min() >= 0 and optimum.pixels.max() <= 255


def _valley(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A narrow one, whose curvatures differ by a thousand."""
    curvature = np.geomspace(1, 1000, 48).reshape(4, 4, 3).astype(np.float32)
    difference = pixels - np.clip(_WANTED, 20, 230)
    values = (curvature * np.square(difference)).sum(axis=(1, 2, 3), dtype=np.float64)
    return values, 2 * curvature * difference


def test_lbfgs_learns_the_curvature() -> None:
    start = np.full_like(_WANTED, 128)
    optimum = minimize(_valley, start, optimizer="lbfgs", steps=60)
    assert optimum.values[0] < 1e-5 * _valley(start)[0][0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "rmsprop"])
def test_pictures_side_by_side_end_where_each_ends_alone(optimizer: str) -> None:
    starts = np.concatenate([np.full_like(_WANTED, 128), np.full_like(_WANTED, 250), np.clip(_WANTED, 20, 230)])
    told: list[tuple[int, int]] = []
    together = minimize(
        _valley,
        starts,
        optimizer=optimizer,
        steps=15,
        learning_rate=2.0,
        on_step=lambda picture, step, value, pixels: told.append((picture, step)),
    )
    for number in range(3):
        alone = minimize(_valley, starts[number : number + 1], optimizer=optimizer, steps=15, learning_rate=2.0)
        np.testing.assert_array_equal(together.pixels[number], alone.pixels[0])
        assert together.values[number] == alone.values[0]
        assert together.steps[number] == alone.steps[0] == sum(picture == number for picture, _step in told)
