"""Masks of every kind from the command line: what is refused, what is noted, and what stays the subject's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import DATA, Result

Run = Callable[..., Result]
SIZE = (64, 43)
QUICK = ("--size", "64", "--steps", "1", "--format", "png")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def halves(white: int = 255, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask whose left half is white."""
    mask = np.zeros(size[::-1], np.uint8)
    mask[:, : size[0] // 2] = white
    return mask


@pytest.fixture
def subject(tmp_path: Path) -> Path:
    path = tmp_path / "china.png"
    Image.open(DATA / "subjects/china.jpg").resize(SIZE, Image.Resampling.LANCZOS).save(path)
    return path


def masked(run: Run, subject: Path, mask: Path) -> Result:
    return run(
        "apply", "--style", "wave", "--mask", mask, subject, "-o", subject.parent / "out", *QUICK, "--strength", "0.5"
    )


def test_a_mask_of_a_few_pixels_is_used(run: Run, subject: Path, tmp_path: Path) -> None:
    Image.fromarray(halves(size=(6, 4))).save(tmp_path / "small.png")
    result = masked(run, subject, tmp_path / "small.png")
    assert result.code == 0 and "network" not in result.stderr
    output, before = pixels(tmp_path / "out/china.wave.png"), pixels(subject)
    np.testing.assert_array_equal(output[:, 44:], before[:, 44:])
    assert np.abs(output[:, :20] - before[:, :20]).mean() > 1


def test_a_mask_of_0_and_1_is_refused_before_the_work(run: Run, subject: Path, tmp_path: Path) -> None:
    Image.fromarray(halves(1)).save(tmp_path / "labels.png")
    result = masked(run, subject, tmp_path / "labels.png")
    assert result.code == 1 and "labels.png: has 1 of 255 as its brightest value" in result.stderr
    assert "a mask of 0 and 1 times 255" in result.stderr and not (tmp_path / "out").exists()
    jobs = '[[job]]\nstyle = "wave"\nmask = "labels.png"\nsubjects = "china.png"\noutput = "more"\nsize = 64\n'
    (tmp_path / "jobs.toml").write_text(jobs)
    result = run("batch", tmp_path / "jobs.toml", "--dry-run")
    assert result.code != 0 and "has 1 of 255 as its brightest value" in result.stderr + result.stdout


def test_a_cutout_selects_by_its_opacity_with_one_note_for_all_subjects(
    run: Run, subject: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.dstack([pixels(subject).astype(np.uint8), halves()])).save(tmp_path / "cutout.png")
    other = tmp_path / "other.png"
    Image.open(subject).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    options = ("--mask", tmp_path / "cutout.png", "-o", tmp_path / "out", *QUICK)
    result = run("apply", "--style", "wave", subject, other, *options)
    assert result.code == 0 and result.stderr.count("is a cut-out with colours; its opacity alone is the mask") == 1
    for path in (subject, other):
        output, before = pixels(tmp_path / f"out/{path.stem}.wave.png"), pixels(path)
        np.testing.assert_array_equal(output[:, 32:], before[:, 32:])
        assert np.abs(output[:, :30] - before[:, :30]).mean() > 1


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_pixels_outside_a_lossy_mask_are_the_subjects_bit_by_bit(
    run: Run, subject: Path, tmp_path: Path, suffix: str
) -> None:
    mask = halves()
    mask[:20, 20:] = 0  # the edges lie within blocks
    Image.fromarray(mask).save(tmp_path / f"mask{suffix}", quality=75)
    result = masked(run, subject, tmp_path / f"mask{suffix}")
    assert result.code == 0
    output, before = pixels(tmp_path / "out/china.wave.png"), pixels(subject)
    np.testing.assert_array_equal(output[:, 34:], before[:, 34:])
    np.testing.assert_array_equal(output[:18, 22:], before[:18, 22:])
    assert np.abs(output[:, :18] - before[:, :18]).mean() > 1


def test_a_mask_that_never_reaches_white_is_noted(run: Run, subject: Path, tmp_path: Path) -> None:
    faint = np.full(SIZE[::-1], 128, np.uint8)
    Image.fromarray(faint).save(tmp_path / "faint.png")
    result = masked(run, subject, tmp_path / "faint.png")
    assert result.code == 0
    note = "faint.png: has 128 of 255 as its brightest value; the style counts for 50 % at most"
    assert note in " ".join(result.stderr.split())
