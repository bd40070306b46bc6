"""Proofs: the place of the tile, the parts of larger sizes, and the agreement with the whole picture."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.settings import SynthesisSettings
from pipeline.synthesis import proof
from pipeline.synthesis.masks import RegionMasks
from pipeline.synthesis.proof import (
    level_sizes,
    part_box,
    resized_part,
    sample_boxes,
    tile_box,
    whole_levels,
)
from pipeline.synthesis.proof_moments import mapped_gaussian
from pipeline.synthesis.stylizer import Stylizer
from pipeline.vgg.weights import Weights
from stylebank import images
from stylebank.errors import UsageError
from stylebank.math.gaussian import moments
from stylebank.style import Gaussian, Style
from tests.conftest import cosine

RANDOM = np.random.default_rng(7)


def settings(**values: Any) -> SynthesisSettings:
    return SynthesisSettings(proof=64, **values)


def test_the_tile_lies_where_the_picture_has_detail_and_inside() -> None:
    subject = np.full((100, 200, 3), 90, np.float32)
    subject[70:90, 20:40] += RANDOM.uniform(-60, 60, (20, 20, 3)).astype(np.float32)
    left, top, right, bottom = tile_box(subject, (800, 400), settings())
    assert (right - left, bottom - top) == (64, 64)
    assert left >= 80 and right <= 160 and top >= 280 and bottom <= 360
    subject = subject[::-1, ::-1]
    left, top, right, bottom = tile_box(subject, (800, 400), settings())
    assert left >= 640 and right <= 720 and top >= 40 and bottom <= 120


@pytest.mark.parametrize("side", [0, 1])
def test_detail_at_the_edge_and_a_flat_picture_give_a_tile_inside(side: int) -> None:
    subject = np.full((90, 120, 3), 90, np.float32)
    subject[-3:, -3:] += 100 * side
    left, top, right, bottom = tile_box(subject, (240, 180), settings())
    assert 0 <= left < right <= 240 and 0 <= top < bottom <= 180
    assert not side or (right, bottom) == (240, 180)


def test_a_place_is_the_centre_in_percent_clamped_to_the_picture() -> None:
    subject = np.zeros((90, 120, 3), np.float32)
    assert tile_box(subject, (1000, 500), settings(proof_at="50,40")) == (468, 168, 532, 232)
    assert tile_box(subject, (1000, 500), settings(proof_at=" 0 , 100% ")) == (0, 436, 64, 500)
    assert tile_box(subject, (40, 500), settings(proof_at="10,0")) == (0, 0, 40, 64)


@pytest.mark.parametrize("text", ["50", "50,", "a,b", "50,101", "-1,5", "1,2,3", "nan,5"])
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected percent of width and height, 0 to 100, such as 50,30"):
        settings(proof_at=text)


def test_a_place_without_a_proof_is_refused_and_the_record_has_both() -> None:
    with pytest.raises(UsageError, match="proof_at 50,30: there is no proof to place"):
        SynthesisSettings(proof_at="50,30")
    recorded = settings(proof_at="50, 30.0").recorded()
    assert (recorded["proof"], recorded["proof_at"]) == (64, "50,30")
    assert not {"proof", "proof_at"} & set(SynthesisSettings().recorded())


def test_small_sizes_are_whole_and_parts_have_a_margin_on_the_grid() -> None:
    sizes = [(219, 155), (438, 310), (877, 620), (1754, 1240), (3508, 2480)]
    assert whole_levels(sizes) == 3 and whole_levels([(4000, 3000)]) == 1
    assert part_box((1000, 1000, 1512, 1512), (3508, 2480), (3508, 2480)) == (896, 896, 1616, 1616)
    left, top, right, bottom = part_box((1000, 1000, 1512, 1512), (3508, 2480), (1754, 1240))
    assert (left, top, right, bottom) == (400, 400, 864, 864)
    assert part_box((0, 2400, 512, 2480), (3508, 2480), (3508, 2480)) == (0, 2304, 608, 2480)
    computed = level_sizes(sizes, SynthesisSettings(proof=512))
    assert computed[:3] == sizes[:3] and all(side <= 736 for size in computed[3:] for side in size)
    assert level_sizes(sizes, SynthesisSettings()) == sizes


def test_samples_have_the_shape_of_the_part_and_cover_the_picture() -> None:
    boxes = sample_boxes((96, 0, 816, 720), (3508, 2480))
    assert len(boxes) == proof.MOST_SAMPLES
    assert {(right - left, bottom - top) for left, top, right, bottom in boxes} == {(720, 720)}
    assert min(box[0] for box in boxes) == 0 and max(box[3] for box in boxes) == 2480
    assert sample_boxes((0, 0, 100, 80), (100, 80)) == [(0, 0, 100, 80)]


def test_a_part_is_resampled_as_a_cut_from_the_whole() -> None:
    picture = RANDOM.uniform(0, 255, (60, 90, 3)).astype(np.float32)
    whole = images.resize(picture, (180, 121))
    part = resized_part(picture, (0, 0, 90, 60), (90, 60), (32, 16, 96, 80), (180, 121))
    np.testing.assert_allclose(part, whole[16:80, 32:96], atol=0.01)
    cut = picture[4:56, 5:70]
    part = resized_part(cut, (5, 4, 70, 56), (90, 60), (48, 32, 96, 80), (180, 121))
    np.testing.assert_allclose(part, whole[32:80, 48:96], atol=0.01)


def test_a_part_that_is_the_whole_has_the_goal_and_a_shift_within_it_is_mapped() -> None:
    rows = RANDOM.normal(size=(500, 3)) @ np.diag([3.0, 1.0, 0.5]) + 4
    mean, cov, _count = moments(rows)
    goal_cov = np.diag([0.5, 2.0, 1.0]) ** 2
    goal = Gaussian(np.zeros(3, np.float32), goal_cov.astype(np.float32), *(np.zeros(0, np.float32),) * 2, 10)
    same = mapped_gaussian(goal, (mean, cov), (mean, cov))
    np.testing.assert_allclose(same.mean, goal.mean, atol=1e-6)
    np.testing.assert_allclose(same.cov, goal_cov, atol=2e-3)
    flat = mapped_gaussian(goal, (mean, cov), (mean + np.array([3, 0, 0]), cov * 0))
    np.testing.assert_allclose(flat.mean, [0.5, 0, 0], atol=0.1)  # one standard deviation stays one
    np.testing.assert_allclose(flat.cov, 0, atol=1e-6)


def _pair(wave: Style, vgg: Weights, china: np.ndarray, **values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the tile of the whole picture at 320 pixels, and that of the proof."""
    shared = SynthesisSettings(size=320, steps=5, precision="float32", **values)
    with_proof = dataclasses.replace(shared, proof=96, proof_at="60,50")
    whole = Stylizer(wave, vgg, shared).stylize(china).pixels
    tile = Stylizer(wave, vgg, with_proof).stylize(china)
    left, top, right, bottom = tile_box(china, whole.shape[1::-1], with_proof)
    assert tile.pixels.shape == (96, 96, 3) and tile.steps == 10
    return whole[top:bottom, left:right], tile.pixels


def test_a_proof_of_a_small_picture_is_the_tile_of_the_whole(wave: Style, vgg: Weights, china: np.ndarray) -> None:
    whole, tile = _pair(wave, vgg, china)
    np.testing.assert_array_equal(tile, whole)


@pytest.mark.parametrize("values", [{}, {"keep_color": "transport", "strength": 0.7}])
def test_a_proof_of_a_large_picture_agrees_with_it_in_colours_and_strokes(
    wave: Style, vgg: Weights, china: np.ndarray, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    monkeypatch.setattr(proof, "WHOLE_PIXELS", 20_000)
    monkeypatch.setattr(proof, "MARGIN", 16)
    whole, tile = _pair(wave, vgg, china, **values)
    assert np.abs(tile.mean(axis=(0, 1)) - whole.mean(axis=(0, 1))).max() < 5
    assert np.abs(tile.std(axis=(0, 1)) - whole.std(axis=(0, 1))).max() < 6
    assert cosine(tile - tile.mean(axis=(0, 1)), whole - whole.mean(axis=(0, 1))) > 0.9


def test_masks_of_a_proof_keep_the_subject_outside(
    wave: Style, vgg: Weights, china: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "WHOLE_PIXELS", 20_000)
    monkeypatch.setattr(proof, "MARGIN", 16)
    settings = SynthesisSettings(size=320, steps=2, precision="float32", proof=96, proof_at="50,50")
    mask = np.zeros((1, 213, 320), np.float32)
    mask[:, :, :160] = 1
    tile = Stylizer(wave, vgg, settings).stylize(china, regions=RegionMasks(mask)).pixels
    left, top, right, bottom = tile_box(china, (320, 213), settings)
    subject = images.resize(china, (320, 213))[top:bottom, left:right]
    np.testing.assert_allclose(tile[:, 48:], subject[:, 48:], atol=0.02)
    assert np.abs(tile[:, :46] - subject[:, :46]).mean() > 3


@pytest.mark.parametrize(("strength", "pictures"), [(1.0, 2), (0.5, 3)])
def test_the_measurements_of_a_proof_count_as_forward_passes(strength: float, pictures: int) -> None:
    settings = SynthesisSettings(proof=512, strength=strength)
    sizes = [(600, 400), (1200, 800), (2400, 1600)]
    # parts of 1200 x 800: 512 / 2 + 2 * 96 = 448 in steps of 16; of 2400 x 1600: 512 + 2 * 96 = 704; 3 x 2 and 4 x 3
    # of them cover their sizes, of which 6 and 7 are samples
    expected = 448**2 * (pictures * (1 + 6) + 1) + 704**2 * (pictures * (1 + 7) + 1)
    assert proof.measured_pixels(sizes, settings) == pytest.approx(expected, rel=0.08)
    assert proof.measured_pixels(sizes[:1], settings) == 0
    assert proof.measured_pixels(sizes, SynthesisSettings(strength=strength)) == 0
