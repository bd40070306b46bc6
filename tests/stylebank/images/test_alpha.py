from __future__ import annotations

import numpy as np
import pytest

from stylebank import images
from stylebank.images.alpha import fill_hidden


def disc(side: int = 96, soft: float = 0) -> np.ndarray:
    """Opacity of a disc whose edge falls from 255 to 0 over `soft` pixels."""
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - side / 2, y - side / 2) - side / 3
    ramp = np.clip(1 - distance / soft, 0, 1) if soft else distance < 0
    return np.rint(255 * ramp).astype(np.float32)


def cutout(hidden: float, soft: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """A disc of one bright colour, and a hidden colour under full transparency."""
    alpha = disc(soft=soft)
    pixels = np.full((*alpha.shape, 3), hidden, np.float32)
    pixels[alpha > 0] = (235, 200, 150)
    return pixels, alpha


@pytest.mark.parametrize("soft", [0, 9])
def test_hidden_colours_do_not_matter(soft: float) -> None:
    filled = [fill_hidden(*cutout(hidden, soft)) for hidden in (0, 128, 255)]
    assert np.array_equal(filled[0], filled[1]) and np.array_equal(filled[0], filled[2])


def test_colours_around_a_disc_of_one_colour_are_that_colour() -> None:
    assert np.abs(fill_hidden(*cutout(0)) - np.float32([235, 200, 150])).max() < 1e-3


def test_visible_colours_stay_and_hidden_ones_lie_between_them() -> None:
    random = np.random.default_rng(0)
    pixels = random.uniform(20, 200, (37, 53, 3)).astype(np.float32)
    alpha = np.where(random.uniform(size=(37, 53)) < 0.1, 255, 0).astype(np.float32)
    filled = fill_hidden(pixels, alpha)
    visible = alpha > 0
    assert np.array_equal(filled[visible], pixels[visible])
    assert filled.min() >= pixels[visible].min() - 1e-3 and filled.max() <= pixels[visible].max() + 1e-3


def test_a_hidden_pixel_takes_the_colour_of_its_nearer_side() -> None:
    pixels = np.zeros((64, 64, 3), np.float32)
    pixels[:, :8], pixels[:, -8:] = 200, 40
    alpha = np.zeros((64, 64), np.float32)
    alpha[:, :8] = alpha[:, -8:] = 255
    filled = fill_hidden(pixels, alpha)
    assert (filled[:, 10] > 160).all() and (filled[:, -10] < 80).all()
    assert np.abs(np.diff(filled[32, :, 0])).max() < 30


def test_one_visible_pixel_fills_the_picture() -> None:
    pixels, alpha = np.zeros((33, 40, 3), np.float32), np.zeros((33, 40), np.float32)
    pixels[5, 7], alpha[5, 7] = (10, 20, 30), 1
    assert np.abs(fill_hidden(pixels, alpha) - np.float32([10, 20, 30])).max() < 1e-4


@pytest.mark.parametrize("soft", [0, 9])
def test_resizing_leaves_no_dark_rim(soft: float) -> None:
    """The disc has one colour, so every visible pixel of a smaller disc has it, whatever is hidden."""
    for hidden in (0, 255):
        pixels, alpha = cutout(hidden, soft)
        smaller = images.resize(pixels, (41, 41), alpha)
        opacity = images.resize(alpha[..., None], (41, 41))[..., 0]
        assert np.abs(smaller[opacity > 2] - np.float32([235, 200, 150])).max() < 0.5
    plain = images.resize(cutout(0)[0], (41, 41))
    assert np.abs(plain[opacity > 2] - np.float32([235, 200, 150])).max() > 30  # what weighing mends


def test_resizing_an_opaque_picture_by_its_alpha_changes_nothing() -> None:
    pixels = np.random.default_rng(1).uniform(0, 255, (48, 64, 3)).astype(np.float32)
    weighted = images.resize(pixels, (40, 30), np.full((48, 64), 255, np.float32))
    assert np.abs(weighted - images.resize(pixels, (40, 30))).max() < 1e-3
