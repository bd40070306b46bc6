"""The artist's controls from the command line: what goes wrong before any work, and what is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline
from stylebank.bank import Bank
from tests.conftest import DATA, LAYERS, Result

Run = Callable[..., Result]
QUICK = ("--size", "64", "--steps", "2", "--format", "png")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def mask(path: Path, columns: int, size: tuple[int, int] = (64, 43)) -> Path:
    white = np.zeros(size[::-1], np.uint8)
    white[:, :columns] = 255
    Image.fromarray(white).save(path)
    return path


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "stylebank.jsonl").read_text().splitlines()]


@pytest.fixture
def china_file(tmp_path: Path) -> Path:
    path = tmp_path / "china.png"
    Image.open(DATA / "subjects/china.jpg").resize((64, 43), Image.Resampling.LANCZOS).save(path)
    return path


@pytest.fixture
def poppies(bank: Bank) -> None:
    pipeline.add(bank, DATA / "styles/poppies.jpg", scales=(96,), layers=LAYERS)


def test_a_mask_keeps_the_rest_bit_by_bit_and_a_changed_one_counts(run: Run, china_file: Path, tmp_path: Path) -> None:
    left = mask(tmp_path / "left.png", 30)
    out = tmp_path / "out"
    arguments = ("apply", "--style", "wave", "--mask", left, china_file, "-o", out, *QUICK)
    assert run(*arguments).code == 0
    made, subject = pixels(out / "china.wave.png"), pixels(china_file)
    np.testing.assert_array_equal(made[:, 31:], subject[:, 31:])
    assert np.abs(made[:, :28] - subject[:, :28]).mean() > 3
    assert "already finished" in run(*arguments).stderr
    mask(left, 40)
    again = run(*arguments)
    assert again.code == 0 and "china.wave.png: exists already" in again.stderr
    np.testing.assert_array_equal(pixels(out / "china.wave.png"), made)
    np.testing.assert_array_equal(pixels(out / "china.wave-2.png")[:, 41:], subject[:, 41:])


def test_two_styles_by_region(run: Run, poppies: None, china_file: Path, tmp_path: Path) -> None:
    mask(tmp_path / "sky.png", 30)
    out = tmp_path / "out"
    styles = ("--style", "sky=wave", "--style", "rest=poppies", "--mask", f"sky={tmp_path / 'sky.png'}")
    result = run("apply", *styles, china_file, "-o", out, *QUICK)
    assert result.code == 0 and (out / "china.wave+poppies.png").exists()
    (line,) = lines(out)
    assert line["style"] == "sky=wave rest=poppies" and set(line["settings"]["masks"]) == {"sky"}  # type: ignore[index]


def test_styles_with_weights_are_their_barycentre(run: Run, poppies: None, china_file: Path, tmp_path: Path) -> None:
    made = []
    for number, weights in enumerate(((1, 0), (0.5, 0.5))):
        out = tmp_path / str(number)
        styles = [f"--style={name}:{weight}" for name, weight in zip(("wave", "poppies"), weights, strict=True)]
        assert run("apply", *styles, china_file, "-o", out, *QUICK).code == 0
        made.append(pixels(next(out.glob("*.png"))))
    alone = tmp_path / "alone"
    assert run("apply", "--style", "wave", china_file, "-o", alone, *QUICK).code == 0
    np.testing.assert_array_equal(made[0], pixels(alone / "china.wave.png"))
    assert np.abs(made[1] - made[0]).mean() > 3
    assert lines(tmp_path / "1")[0]["style"] == "wave:0.5,poppies:0.5"


def test_strength_0_gives_the_subject_back(run: Run, china_file: Path, tmp_path: Path) -> None:
    assert run("apply", "--style", "wave", china_file, "-o", tmp_path / "out", *QUICK, "--strength", "0").code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "out/china.wave.png"), pixels(china_file))


def test_the_bytes_are_the_same_twice(run: Run, china_file: Path, tmp_path: Path) -> None:
    made = []
    for folder in ("one", "two"):
        options = ("--init", "noise", "--seed", "3", "--strength", "0.7", "--keep-color", "transport")
        assert run("apply", "--style", "wave", china_file, "-o", tmp_path / folder, *QUICK, *options).code == 0
        made.append((tmp_path / folder / "china.wave.png").read_bytes())
    assert made[0] == made[1]


def test_a_draft_is_small_and_quick(run: Run, china_file: Path, tmp_path: Path) -> None:
    options = ("--preset", "draft", "--steps", "1", "--name-template", "{subject}-{preset}")
    assert run("apply", "--style", "wave", DATA / "subjects/china.jpg", "-o", tmp_path / "out", *options).code == 0
    assert Image.open(tmp_path / "out/china-draft.jpg").width == 256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--content-weight", "-1"), "content_weight -1: expected 0 or more"),
        (("--tv-weight", "-1"), "tv_weight -1: expected 0 or more"),
        (("--strength", "1.5"), "strength 1.5: expected 0"),
        (("--style-scale", "0"), "style_scale 0: expected"),
        (("--layer-weight", "conv9_1=2"), "VGG-19 has conv1_1 to conv5_4"),
        (("--layer-weight", "conv5_1=2"), "not among the style layers"),
        (("--layer-weight", "conv1_1"), "expected LAYER=WEIGHT"),
        (("--layer-weight", "conv1_1=-2"), "expected 0 or more"),
        (("--style", "sky=wave"), "no region"),
        (("--style", "other"), "other"),
    ],
)
def test_bad_values_are_told_before_any_work(
    run: Run, china_file: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run("apply", "--style", "wave", china_file, "-o", tmp_path / "out", *QUICK, *options)
    assert result.code in (1, 2) and message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--dry-run", "--json"])
def test_a_mask_that_does_not_exist_is_a_wrong_option(run: Run, china_file: Path, tmp_path: Path, option: str) -> None:
    result = run("apply", "--style", "wave", "--mask", "no.png", china_file, "-o", tmp_path / "out", *QUICK, option)
    assert (result.code, result.stdout) == (2, "") and "mask no.png: no such file. Check the path." in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("size", "columns", "message"),
    [((43, 64), 30, "43 x 64 pixels, and the subject has 64 x 43"), ((64, 43), 5, "expected 1024 or more")],
)
def test_a_mask_that_does_not_fit_costs_its_picture_and_no_work(
    run: Run, china_file: Path, tmp_path: Path, size: tuple[int, int], columns: int, message: str
) -> None:
    path = mask(tmp_path / "mask.png", columns, size)
    result = run("apply", "--style", "wave", "--mask", path, china_file, "-o", tmp_path / "out", *QUICK)
    assert result.code == 1 and message in result.stderr and "step" not in result.stderr


def test_masks_are_no_subjects_and_are_never_written_over(run: Run, china_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    china_file.rename(folder / "china.png")
    left = mask(folder / "left.png", 30)
    before = left.read_bytes()
    result = run("apply", "--style", "wave", "--mask", left, folder, "-o", tmp_path / "out", *QUICK)
    assert result.code == 0 and "left out 1 file: left.png (a mask)" in result.stderr
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["china.wave.png"]
    result = run("apply", "--style", "wave", "--mask", left, folder / "china.png", "-o", left, "--overwrite")
    assert (
        result.code == 2
        and "left.png is a mask: a picture that is read is never overwritten" in result.stderr
        and left.read_bytes() == before
    )


def test_each_subject_has_its_own_mask(run: Run, china_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.open(china_file).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    masks = tmp_path / "masks"
    masks.mkdir()
    mask(masks / "china.png", 30)
    options = ("--mask", masks / "{subject}.png", "-o", tmp_path / "out", *QUICK)
    result = run("apply", "--style", "wave", china_file, other, *options)
    assert result.code == 1 and "masks/other.png" in result.stderr
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["china.wave.png"]


def test_a_dry_run_and_pictures_on_the_way_know_masks(
    run: Run, poppies: None, china_file: Path, tmp_path: Path
) -> None:
    mask(tmp_path / "sky.png", 30)
    out = tmp_path / "out"
    styles = ("--style", "sky=wave", "--style", "rest=poppies", "--mask", f"sky={tmp_path / 'sky.png'}")
    assert run("apply", *styles, china_file, "-o", out, *QUICK, "--save-every", "1").code == 0
    steps = pixels(next(out.glob("*.steps/0001.png")))
    assert steps.shape == (43, 64, 3)
    (tmp_path / "jobs.toml").write_text(
        '[[job]]\nstyle = ["sky=wave", "rest=poppies"]\nmask = "sky=sky.png"\nsubjects = "china.png"\n'
        'output = "more"\nsize = 64\nsteps = 2\n'
    )
    result = run("batch", tmp_path / "jobs.toml", "--dry-run", "--json")
    assert result.code == 0
    told = json.loads(result.stdout)
    assert "wave" in json.dumps(told) and "null" not in json.dumps(told)


def test_strokes_that_come_out_otherwise_are_told(run: Run, china_file: Path, tmp_path: Path) -> None:
    arguments = ("apply", "--style", "wave", china_file, "-o", tmp_path / "out", "--steps", "1", "--format", "png")
    far = run(*arguments, "--size", "64", "--style-scale", "4")
    assert "measured at 96 pixels at most, for 256 (--style-scale 4)" in far.stderr
    near = run(*arguments, "--size", "64", "--style-scale", "0.5", "--overwrite")
    assert "measured at 96 pixels at least, for 32 (--style-scale 0.5)" in near.stderr
