from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.jobs.mask_files import MaskFiles
from pipeline.jobs.style_spec import parse
from pipeline.synthesis import masks
from stylebank.errors import ImageRefused, UsageError

SIZE = (96, 64)


def written(path: Path, columns: int, size: tuple[int, int] = SIZE) -> Path:
    """Write a mask whose first columns are white."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[:, :columns] = 255
    Image.fromarray(pixels).save(path)
    return path


def test_grey_and_transparency_select_in_part(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = (255, 255, 255, 255)
    pixels[16:24] = (128, 128, 128, 255)
    pixels[24:] = (255, 255, 255, 51)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    mask, digest = masks.load(tmp_path / "mask.png")
    assert len(digest) == 64 and mask.dtype == np.float32
    np.testing.assert_allclose([mask[0, 0], mask[20, 0], mask[30, 0]], [1, 128 / 255, 0.2], atol=1e-5)


def test_the_rest_is_the_complement_and_overlaps_are_normalised() -> None:
    left, most = np.zeros((2, 64, 96), np.float32)
    left[:, :60] = 1
    most[:, 30:72] = 1
    region_masks = masks.regions([left, most, None], SIZE)
    np.testing.assert_allclose(region_masks.masks.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(region_masks.masks[:, 5, 45], [0.5, 0.5, 0])
    np.testing.assert_allclose(region_masks.masks[:, 5, 90], [0, 0, 1])


def test_pixels_outside_all_masks_are_the_subjects(china: np.ndarray) -> None:
    left = np.zeros((64, 96), np.float32)
    left[:, :48] = 1
    region_masks = masks.regions([left], SIZE)
    blended = region_masks.blended([255 - china], china)
    np.testing.assert_array_equal(blended[:, 48:], china[:, 48:])
    np.testing.assert_array_equal(blended[:, :48], (255 - china)[:, :48])
    small = region_masks.resized((48, 32))
    assert small.masks.shape == (1, 32, 48) and small.coverage[:, :20].min() == 1 and small.coverage[:, 28:].max() == 0


def test_edges_stay_soft() -> None:
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))
    coverage = masks.regions([ramp], SIZE).coverage
    np.testing.assert_allclose(coverage[0, 10:], ramp[0, 10:], atol=1e-3)


def test_a_region_too_small_is_refused_by_name() -> None:
    spot = np.zeros((64, 96), np.float32)
    spot[:10, :10] = 1
    with pytest.raises(UsageError, match=r"region sky: 100 pixels at the output's 96 x 64; expected 1024 or more"):
        masks.regions([spot, None], SIZE, ["sky", "rest"])
    with pytest.raises(UsageError, match="the mask: 100 pixels"):
        masks.regions([spot], SIZE, [""])
    with pytest.raises(UsageError, match="region rest: 0 pixels"):
        masks.regions([np.ones((64, 96), np.float32), None], SIZE, ["sky", "rest"])


@pytest.mark.parametrize("size", [(96, 64), (48, 32), (3000, 2000), (49, 32)])
def test_a_mask_may_have_any_size_of_the_same_aspect_ratio(size: tuple[int, int]) -> None:
    masks.check_shape(size, SIZE, "mask.png")


@pytest.mark.parametrize("size", [(64, 96), (96, 70), (3000, 2100)])
def test_a_mask_of_another_aspect_ratio_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"mask mask\.png: \d+ x \d+ pixels, and the subject has 96 x 64"):
        masks.check_shape(size, SIZE, "mask.png")


def test_masks_can_differ_by_subject(tmp_path: Path) -> None:
    for name, columns in (("one", 48), ("two", 72)):
        written(tmp_path / f"{name}.png", columns)
    mask_files = MaskFiles(parse(["a"], [f"{tmp_path}/{{subject}}.png"], exists=lambda name: False))
    coverages = []
    for name in ("one", "two"):
        region_masks, record = mask_files.regions(Path(f"in/{name}.jpg"), SIZE, SIZE)
        assert region_masks is not None and record == mask_files.recorded(Path(f"in/{name}.jpg"))
        coverages.append(float(region_masks.coverage.mean()))
    assert coverages == pytest.approx([0.5, 0.75], abs=0.02)
    recorded = [mask_files.recorded(Path(f"in/{name}.jpg"))["masks"][""] for name in ("one", "two")]
    assert len(set(recorded)) == 2
    assert mask_files.recorded(Path("in/three.jpg")) == {"masks": {"": None}}
    for method in (mask_files.regions, mask_files.check):
        with pytest.raises(ImageRefused, match=r"three\.png"):
            method(Path("in/three.jpg"), SIZE, SIZE)
    assert mask_files.paths([Path("in/one.jpg")]) == {str((tmp_path / "one.png").resolve())}


def test_hard_edges_do_not_ring_at_any_size() -> None:
    mask = np.zeros((200, 300), np.float32)
    mask[:, :150] = 1
    for size in ((96, 64), (600, 400)):
        coverage = masks.regions([mask], size).coverage
        assert not coverage[:, size[0] // 2 + 2 :].any() and coverage[:, : size[0] // 2 - 2].min() == 1


def test_an_unreadable_mask_is_refused_before_any_subject(tmp_path: Path) -> None:
    with pytest.raises(ImageRefused, match=r"missing\.png"):
        MaskFiles(parse(["a"], [f"{tmp_path}/missing.png"], exists=lambda name: False))


def test_without_masks_nothing_is_recorded() -> None:
    mask_files = MaskFiles(parse(["a"], exists=lambda name: False))
    assert mask_files.regions(Path("x.jpg"), SIZE, SIZE) == (None, {}) and mask_files.recorded(Path("x.jpg")) == {}
