"""The picture table of FAULTS.md, row by row, through the command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import printable
from tests import pictures

Run = Callable[..., Any]
QUICK = ("--size", 64, "--steps", 1, "--layers", "conv1_1,conv2_1", "--content-weight", 0)
MEASURE = ("--scales", 64, "--layers", "conv1_1")
#: These cannot be named after their files, as the rule for names has it.
NOT_A_STYLE_NAME = {pictures.NOT_UTF8, pictures.ESCAPES}


#: The picture in an ordinary file, by what it shows.
ORDINARY = {pictures.colour: "ordinary_colour.png", pictures.grey: "ordinary_grey.png"}


def write_all(folder: Path) -> None:
    pictures.write_accepted(folder)
    for shown, name in ORDINARY.items():
        Image.fromarray(shown().astype(np.uint8)).save(folder / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def lines_about(output: str, path: Path) -> list[str]:
    return [line for line in output.splitlines() if printable(path.name) in line]


def output_of(path: Path, out: Path, suffix: str) -> Path:
    return out / f"{path.stem}.wave{suffix}"


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, np.float32)


def test_apply_names_every_bad_picture_with_its_reason_and_makes_nothing(run: Run, folder: Path, out: Path) -> None:
    reasons = pictures.write_refused(folder)
    result = run("apply", folder, "--style", "wave", "--output", out, *QUICK)
    assert result.code == 1
    assert "Traceback" not in result.stderr and "Warning" not in result.stderr
    for name, reason in reasons.items():
        (line,) = lines_about(result.stderr, folder / name)
        assert f"failed: {folder / name}: " in line and reason in line and line.endswith(".")
    assert result.stderr.splitlines()[-1] == f"{len(reasons)} failed"
    assert [path.name for path in out.iterdir()] == ["stylebank.jsonl"]
    record = [json.loads(line) for line in (out / "stylebank.jsonl").read_text().splitlines()]
    assert {Path(entry["subject"]).name for entry in record} == set(reasons)
    assert {entry["status"] for entry in record} == {"failed"}


def test_add_names_every_bad_picture_with_its_reason_and_adds_nothing(
    run: Run, folder: Path, bank_folder: Path
) -> None:
    reasons = pictures.write_refused(folder)
    result = run("add", *(folder / name for name in reasons), *MEASURE)
    assert result.code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == len(reasons)
    for line, (name, reason) in zip(lines, reasons.items(), strict=True):
        assert line.startswith(f"Error: {folder / name}: ") and reason in line and line.endswith(".")
    assert Bank(bank_folder).names() == ["wave"]


@pytest.mark.parametrize("name", ["empty.jpg", "fifo.jpg", "small.png"])
def test_one_bad_picture_alone_is_one_line_and_exit_1(run: Run, folder: Path, out: Path, name: str) -> None:
    write, reason = pictures.REFUSED[name]
    write(folder / name)
    added = run("add", folder / name, *MEASURE)
    assert added.code == 1 and added.stderr.count("\n") == 1 and reason in added.stderr
    applied = run("-q", "apply", folder / name, "--style", "wave", "--output", out / "x.png", *QUICK)
    assert applied.code == 1 and applied.stderr.count("\n") == 1 and reason in applied.stderr
    assert not (out / "x.png").exists()


def test_good_pictures_among_bad_ones_are_made(run: Run, folder: Path, out: Path) -> None:
    pictures.write_refused(folder)
    pictures.sample().save(folder / "good.png")
    pictures.sample().save(folder / "zebra.png")
    result = run("apply", folder, "--style", "wave", "--output", out, *QUICK)
    assert result.code == 1
    assert f"2 done, {len(pictures.REFUSED)} failed" in result.stderr
    assert sorted(path.name for path in out.glob("*.jpg")) == ["good.wave.jpg", "zebra.wave.jpg"]


def test_folder_is_no_painting_and_an_empty_one_holds_no_subject(run: Run, folder: Path, out: Path) -> None:
    (folder / "folder.jpg").mkdir()
    added = run("add", folder / "folder.jpg", *MEASURE)
    assert added.code == 1 and "folder.jpg: a folder. Give an image file." in added.stderr
    applied = run("apply", folder / "folder.jpg", "--style", "wave", "--output", out, *QUICK)
    assert applied.code == 2 and "folder.jpg: no image found." in applied.stderr
    assert not out.exists()


def test_max_pixels_is_the_users_to_set(run: Run, folder: Path, out: Path) -> None:
    pictures.sample().save(folder / "x.png")
    arguments = ("apply", folder, "--style", "wave", "--output", out, *QUICK)
    refused = run(*arguments, "--max-pixels", 3071)
    assert refused.code == 1 and "64 x 48 is 3,072 pixels, more than 3,071. Raise --max-pixels" in refused.stderr
    assert run(*arguments, "--max-pixels", 3072).code == 0
    assert "more than 3,071" in run("add", folder / "x.png", "--max-pixels", 3071, *MEASURE).stderr


def test_odd_picture_becomes_what_the_ordinary_one_does(run: Run, folder: Path, out: Path) -> None:
    write_all(folder)
    before = digests(folder)
    result = run("apply", folder, "--style", "wave", "--output", out, "--format", "png", *QUICK)
    assert result.code == 0, result.stderr
    assert f"{len(pictures.ACCEPTED) + 2} done" in result.stderr
    assert "\x1b" not in result.stderr and "Warning" not in result.stderr
    ordinary = {kind: read(output_of(folder / name, out, ".png")) for kind, name in ORDINARY.items()}
    assert all(20 < made.mean() < 235 and made.std() > 10 for made in ordinary.values())
    for name, (_write, shown, tolerance) in pictures.ACCEPTED.items():
        output = output_of(folder / name, out, ".png")
        with Image.open(output) as image:
            assert image.size == pictures.SIZE, name
            assert pictures.ORIENTATION not in image.getexif(), name
            assert image.mode == ("RGBA" if name in {*pictures.SEE_THROUGH, "see_through_palette.png"} else "RGB"), name
        made = read(output)
        if name in pictures.SEE_THROUGH:
            assert np.array_equal(made[..., 3], pictures.opacity()), name
        elif shown in ordinary and name != "see_through_palette.png":
            assert np.abs(made - ordinary[shown]).mean() < 1 + 3 * tolerance, name
    for name, note in pictures.NOTES.items():
        assert f"note: {printable(folder / name)}: " in result.stderr and note in result.stderr
    assert result.stderr.count("note: ") == len(pictures.NOTES)
    assert digests(folder) == before


def test_odd_painting_is_the_style_the_ordinary_one_is(run: Run, folder: Path, bank_folder: Path) -> None:
    write_all(folder)
    before = digests(folder)
    others = {name for name in pictures.ACCEPTED if name.startswith("turned")} | NOT_A_STYLE_NAME
    named = sorted(path for path in folder.iterdir() if path.name not in others)
    result = run("add", *named, *MEASURE)
    assert result.code == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(named)
    assert "Warning" not in result.stderr
    bank = Bank(bank_folder)
    ordinary = {kind: bank.get(Path(name).stem).scales[64]["conv1_1"] for kind, name in ORDINARY.items()}
    for path in named:
        gaussian = bank.get(path.stem).scales[64]["conv1_1"]
        assert all(np.isfinite(array).all() for array in (gaussian.mean, gaussian.cov, gaussian.cov_sqrt)), path.name
        _write, shown, _tolerance = pictures.ACCEPTED.get(path.name, (None, None, None))
        if shown not in ordinary or path.name in {*pictures.SEE_THROUGH, "see_through_palette.png"}:
            continue
        wanted = ordinary[shown]
        assert np.linalg.norm(gaussian.mean - wanted.mean) < 0.05 * np.linalg.norm(wanted.mean), path.name
        assert np.linalg.norm(gaussian.cov - wanted.cov) < 0.2 * np.linalg.norm(wanted.cov), path.name
    assert digests(folder) == before


def test_add_says_that_it_composites_over_white_and_does(run: Run, folder: Path, bank_folder: Path) -> None:
    pictures.write_accepted(folder, "rgba.png")
    composited = images.composite_on_white(pictures.colour(), pictures.opacity())
    images.save(folder / "composited.png", composited, format="png", quality=95)
    result = run("add", folder / "rgba.png", folder / "composited.png", *MEASURE)
    assert result.code == 0
    assert result.stderr == f"{folder / 'rgba.png'}: has transparency; composited over white\n"
    bank = Bank(bank_folder)
    one, other = (bank.get(name).scales[64]["conv1_1"] for name in ("rgba", "composited"))
    assert np.allclose(one.mean, other.mean, rtol=0.01, atol=0.5)


def test_see_through_subject_as_jpeg_stands_on_white_and_the_user_is_told(run: Run, folder: Path, out: Path) -> None:
    pictures.write_accepted(folder, "rgba.png")
    result = run("apply", folder, "--style", "wave", "--output", out, *QUICK)
    assert result.code == 0
    assert "jpg has no transparency; composited over white (--format png keeps it)" in result.stderr
    assert read(output_of(folder / "rgba.png", out, ".jpg"))[:, 0].mean() > 245


def test_opacity_follows_the_outputs_size(run: Run, folder: Path, out: Path) -> None:
    pictures.write_accepted(folder, "rgba.png")
    result = run("apply", folder, "--style", "wave", "-o", out, "--format", "webp", "--size", 96, "--steps", 1)
    assert result.code == 0
    made = read(output_of(folder / "rgba.png", out, ".webp"))
    assert made.shape == (72, 96, 4)
    assert np.abs(made[0, :, 3] - np.linspace(0, 255, 96)).max() < 4


@pytest.mark.parametrize("orientation", [3, 6])
def test_turned_painting_and_upright_one_are_the_same_style(
    run: Run, folder: Path, bank_folder: Path, orientation: int
) -> None:
    pictures.turned(orientation, "PNG")(folder / "turned.png")
    pictures.turned(1, "PNG")(folder / "upright.png")
    assert run("add", folder / "turned.png", folder / "upright.png", *MEASURE).code == 0
    bank = Bank(bank_folder)
    turned, upright = bank.get("turned"), bank.get("upright")
    assert turned.header.sizes == upright.header.sizes == {64: (64, 48)}
    assert np.array_equal(turned.scales[64]["conv1_1"].cov, upright.scales[64]["conv1_1"].cov)


def test_flat_colours_stay_finite_as_style_and_as_subject(run: Run, folder: Path, out: Path) -> None:
    for name, level in (("black", 0), ("grey", 128), ("white", 255)):
        Image.new("RGB", (32, 32), (level,) * 3).save(folder / f"{name}.png")
    assert run("add", folder / "grey.png", "--scales", 32, "--layers", "conv1_1,conv3_1,conv5_1").code == 0
    result = run("apply", folder, "--style", "grey", "-o", out, "--format", "png", "--size", 32, "--steps", 2, "--json")
    assert result.code == 0, result.stderr
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(entries) == 3
    for entry in entries:
        assert np.isfinite([entry["start_loss"], entry["final_loss"]]).all()
        assert entry["final_loss"] <= entry["start_loss"] * (1 + 1e-6)
        assert read(out / entry["output"]).shape == (32, 32, 3)


@pytest.mark.parametrize("name", sorted(NOT_A_STYLE_NAME))
def test_file_whose_name_is_no_style_name_needs_another(run: Run, folder: Path, bank_folder: Path, name: str) -> None:
    pictures.write_accepted(folder, name)
    refused = run("add", folder / name, *MEASURE)
    assert refused.code == 2
    assert refused.stderr.count("\n") == 1 and refused.stderr[:-1].isprintable() and "--name" in refused.stderr
    assert run("add", folder / name, "--name", "odd", *MEASURE).code == 0
    assert Bank(bank_folder).header("odd").source.filename == printable(name)
    shown = run("show", "odd")
    assert shown.code == 0 and printable(name) in shown.stdout and "\x1b" not in shown.stdout


@pytest.mark.parametrize("name", sorted(NOT_A_STYLE_NAME))
def test_odd_file_name_is_kept_by_the_output_and_found_again(run: Run, folder: Path, out: Path, name: str) -> None:
    pictures.write_accepted(folder, name)
    arguments = ("apply", folder / name, "--style", "wave", "--output", out, *QUICK, "--json")
    made = run(*arguments)
    assert made.code == 0 and made.stderr.replace("\n", "").isprintable()
    assert output_of(folder / name, out, ".jpg").is_file()
    assert json.loads(made.stdout)["subject"] == str(folder / name)
    assert json.loads(run(*arguments).stdout)["status"] == "skipped"
