"""Masks of the subjects: notes once per mask and run, refusals before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.jobs.mask_files import MaskFiles
from pipeline.jobs.style_spec import parse
from stylebank.errors import ImageRefused

SIZE = (96, 64)


def written(path: Path, white: int, size: tuple[int, int] = SIZE) -> Path:
    """Write a mask whose left half has a grey value."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[:, : size[0] // 2] = white
    Image.fromarray(pixels).save(path)
    return path


def files(*masks: str, styles: tuple[str, ...] = ("a",)) -> MaskFiles:
    return MaskFiles(parse(list(styles), list(masks), exists=lambda name: False))


def test_a_note_of_a_shared_mask_is_taken_once(tmp_path: Path) -> None:
    path = written(tmp_path / "mask.png", 128)
    mask_files = files(str(path))
    one, two = Path("in/one.jpg"), Path("in/two.jpg")
    expected = [f"mask {path}: has 128 of 255 as its brightest value; the style counts for 50 % at most"]
    assert mask_files.take_notes(one) == expected
    for subject in (one, two):
        mask_files.regions(subject, SIZE, SIZE)
        assert mask_files.take_notes(subject) == []
    assert files(str(path)).take_notes(two) == expected  # a run of its own


def test_each_subject_has_the_notes_of_its_masks(tmp_path: Path) -> None:
    written(tmp_path / "one.png", 200)
    written(tmp_path / "two.png", 255)
    mask_files = files(f"{tmp_path}/{{subject}}.png")
    counts = []
    for name in ("one", "two", "one"):
        mask_files.regions(Path(f"{name}.jpg"), SIZE, SIZE)
        counts.append(len(mask_files.take_notes(Path(f"{name}.jpg"))))
    assert counts == [1, 0, 0]


def test_two_regions_have_a_note_each_and_one_mask_for_both_has_one(tmp_path: Path) -> None:
    for name in ("sky", "sea"):
        written(tmp_path / f"{name}.png", 100)
    styles = ("sky=a", "sea=b", "rest=c")
    mask_files = files(f"sky={tmp_path}/sky.png", f"sea={tmp_path}/sea.png", styles=styles)
    assert len(mask_files.take_notes(Path("x.jpg"))) == 2
    mask_files = files(f"sky={tmp_path}/sky.png", f"sea={tmp_path}/sky.png", styles=styles)
    assert len(mask_files.take_notes(Path("x.jpg"))) == 1


def test_without_masks_there_are_no_notes() -> None:
    assert files().take_notes(Path("x.jpg")) == []


def test_a_mask_of_0_and_1_is_refused_before_any_subject(tmp_path: Path) -> None:
    with pytest.raises(ImageRefused, match=r"mask .*mask\.png: has 1 of 255 as its brightest value"):
        files(str(written(tmp_path / "mask.png", 1)))
    mask_files = files(f"{tmp_path}/{{subject}}.png")
    with pytest.raises(ImageRefused, match="has 1 of 255"):
        mask_files.regions(Path("in/mask.jpg"), SIZE, SIZE)


@pytest.mark.parametrize("size", [(6, 4), (3, 2), (30, 20)])
def test_a_small_mask_serves_a_large_subject(tmp_path: Path, size: tuple[int, int]) -> None:
    mask_files = files(str(written(tmp_path / "mask.png", 255, size)))
    mask_files.check(Path("x.jpg"), (960, 640), SIZE)
    regions, _record = mask_files.regions(Path("x.jpg"), (960, 640), SIZE)
    assert regions is not None and regions.coverage.mean() == pytest.approx(size[0] // 2 / size[0], abs=0.02)
