"""Every kind of file in `tests.picture_kinds`, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.picture_kinds import COLOUR, KINDS

Run = Callable[..., Any]
AS_THEY_ARE = ("--strength", 0, "--size", 0, "--name-template", "{subject}-{suffix}")


def test_strength_0_gives_back_the_pixels_of_every_kind(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name, kind in KINDS.items():
        kind.write(folder / (name if not name.endswith(".dng") else f"{name}.tif"))
    result = run("apply", folder, "--style", "wave", "-o", out, *AS_THEY_ARE, "--format", "tiff", "--depth", 16)
    assert result.code == 0, result.stderr
    assert result.stderr.splitlines()[-1] == f"{len(KINDS)} done"
    for name, kind in KINDS.items():
        name = name if not name.endswith(".dng") else f"{name}.tif"
        stem, suffix = name.rsplit(".", 1)
        values = tifffile.imread(out / f"{stem}-{suffix}.tiff")
        assert values.dtype == np.uint16 and values.shape[:2] == (48, 64), name
        assert values.shape[2] == (3 if kind.alpha is None else 4), name
        visible = np.ones((48, 64), bool) if kind.alpha is None else np.asarray(kind.alpha) > 0
        assert np.abs(values[..., :3] / 257 - kind.pixels)[visible].max() <= kind.tolerance + 0.01, name
        if kind.alpha is not None:
            assert np.abs(values[..., 3] / 257 - kind.alpha).max() < 0.01, name
        notes = [line for line in result.stderr.splitlines() if f"note: {folder / name}: " in line]
        assert len(notes) == bool(kind.note) and all(kind.note in note for note in notes), name


@pytest.fixture
def cutouts(tmp_path: Path) -> Path:
    """A photograph cut out by a soft disc, with four colours hidden under the transparency, in two formats."""
    folder = tmp_path / "cut"
    folder.mkdir()
    with Image.open(Path(__file__).parents[2] / "data" / "subjects" / "astronaut.jpg") as photograph:
        pixels = np.asarray(photograph.convert("RGB").resize((96, 96)))
    y, x = np.mgrid[:96, :96]
    alpha = np.clip((40 - np.hypot(x - 48, y - 48)) * 40, 0, 255).astype(np.uint8)
    random = np.random.default_rng(0).integers(0, 256, pixels.shape)
    for name, hidden in (("black", 0), ("white", 255), ("green", (0, 255, 0)), ("noise", random)):
        colours = np.where(alpha[..., None] > 0, pixels, hidden).astype(np.uint8)
        image = Image.fromarray(np.dstack([colours, alpha]))
        image.save(folder / f"{name}.png")
        image.save(folder / f"{name}.webp", lossless=True, exact=True)
    return folder


@pytest.mark.parametrize("options", [(), ("--match-color",), ("--keep-color", "transport"), ("--preset", "draft")])
def test_colours_hidden_under_transparency_change_nothing(
    run: Run, cutouts: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    arguments = ("--format", "png", "--size", 64, "--steps", 10, "--layers", "conv1_1,conv2_1")
    template = ("--name-template", "{subject}-{suffix}")
    result = run("apply", cutouts, "--style", "wave", "-o", out, *arguments, *template, *options)
    assert result.code == 0, result.stderr
    outputs = {path.stem: np.asarray(Image.open(path)) for path in sorted(out.glob("*.png"))}
    assert len(outputs) == 8
    first = outputs.pop("black-png")
    visible = first[..., 3] > 0
    assert 0.3 < visible.mean() < 0.8 and first[visible].std() > 10
    for name, pixels in outputs.items():
        assert np.array_equal(pixels[..., 3], first[..., 3]), name
        assert np.array_equal(pixels[visible], first[visible]), name


def test_cut_out_shrinks_without_a_dark_rim(run: Run, tmp_path: Path) -> None:
    """A disc of one colour, shrunk: what is visible keeps that colour, whatever is hidden around it."""
    y, x = np.mgrid[:256, :256]
    alpha = np.clip((80 - np.hypot(x - 128, y - 128)) * 16, 0, 255).astype(np.uint8)
    colours = np.where(alpha[..., None] > 0, (235, 200, 150), 0).astype(np.uint8)
    Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / "cut.png")
    arguments = ("--style", "wave", "-o", tmp_path / "out.png", "--strength", 0, "--size", 96)
    assert run("apply", tmp_path / "cut.png", *arguments).code == 0
    pixels = np.asarray(Image.open(tmp_path / "out.png"), np.float32)
    assert np.abs(pixels[pixels[..., 3] > 8][:, :3] - (235, 200, 150)).max() <= 1


def test_picture_without_anything_visible_is_refused(run: Run, tmp_path: Path) -> None:
    Image.fromarray(np.dstack([COLOUR, np.zeros(COLOUR.shape[:2], np.uint8)])).save(tmp_path / "clear.png")
    result = run("apply", tmp_path / "clear.png", "--style", "wave", "-o", tmp_path / "out.png", "--strength", 0)
    assert result.code == 1
    assert "clear.png: is fully transparent. Remove its alpha channel to use its colours." in result.stderr


@pytest.mark.parametrize("name", ["deep.tif", "plain.tif"])
@pytest.mark.parametrize("orientation", [6, 8])
def test_mask_of_an_upright_tiff_fits_in_a_dry_run_and_a_run(
    run: Run, tmp_path: Path, name: str, orientation: int
) -> None:
    """Stored as 64 x 48, shown as 48 x 64."""
    values = COLOUR.astype(np.uint16) * 257 if name == "deep.tif" else COLOUR
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(tmp_path / name, values, photometric="rgb", extratags=tags, metadata=None)
    mask = np.zeros((64, 48), np.uint8)
    mask[:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    (tmp_path / "jobs.toml").write_text(
        '[defaults]\nsize = 64\nsteps = 1\nformat = "png"\nlayers = ["conv1_1"]\n'
        f'[[job]]\nstyle = "wave"\nsubjects = ["{name}"]\nmask = "mask.png"\noutput = "out"\n'
    )
    planned = run("batch", tmp_path / "jobs.toml", "-o", tmp_path, "--dry-run")
    assert planned.code == 0 and "1 to do" in planned.stdout, planned.stdout + planned.stderr
    result = run("batch", tmp_path / "jobs.toml", "-o", tmp_path)
    assert result.code == 0, result.stderr
    with Image.open(next((tmp_path / "out").glob("*.png"))) as image:
        assert image.size == (48, 64)
