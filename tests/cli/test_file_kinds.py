"""HEIC and AVIF through the command line, and files that are named for what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.images import plugins
from tests import pictures
from tests.conftest import Result

Run = Callable[..., Result]
SUBJECT = ("--size", "0", "--steps", "1", "--strength", "0", "--format", "png")
FINE = {
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
}
#: Largest error of the encoder, in levels; HEIC is written without loss.
ERROR = {"AVIF": 3, "HEIF": 0}


def turned(path: Path, format: str) -> np.ndarray:
    """Write a photograph that lies on its side, as phones do, and return its upright pixels."""
    if format not in plugins.formats():
        pytest.skip(f"no {format} here")
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 6
    pictures.sample().save(path, format, exif=exif.tobytes(), **FINE[format])
    return np.rot90(pictures.colour(), -1)


@pytest.mark.parametrize(("name", "format"), [("phone.heic", "HEIF"), ("web.avif", "AVIF"), ("wrong.jpg", "HEIF")])
def test_strength_0_gives_heic_and_avif_back_upright(run: Run, tmp_path: Path, name: str, format: str) -> None:
    upright = turned(tmp_path / name, format)
    result = run("apply", "--style", "wave", tmp_path / name, "-o", tmp_path / "out.png", *SUBJECT)
    assert result.code == 0, result.stderr
    with Image.open(tmp_path / "out.png") as output:
        assert output.getexif().get(pictures.ORIENTATION, 1) == 1
        assert output.size == upright.shape[1::-1] and np.abs(np.asarray(output) - upright).max() <= ERROR[format]
    np.testing.assert_array_equal(
        np.rint(images.load(tmp_path / name).pixels), np.asarray(Image.open(tmp_path / "out.png"))
    )


def test_heic_and_avif_of_a_folder_are_subjects(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    turned(folder / "IMG_0001.HEIC", "HEIF")
    turned(folder / "web.avif", "AVIF")
    (tmp_path / "jobs.toml").write_text('[[job]]\nstyle = "wave"\nsubjects = "in"\noutput = "out"\nsize = 64\n')
    result = run("batch", tmp_path / "jobs.toml", "--dry-run")
    assert result.code == 0 and "2 to do" in result.stdout, result.stdout


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<!DOCTYPE html><html>404</html>", "a web page, not an image. Download the picture itself."),
        (b"%PDF-1.7\n", "a PDF document, not an image. Save its page as PNG or TIFF first."),
        (b"\xff\x0a\x3a\x1f", "a JPEG XL picture, which is not read. Convert it to PNG or TIFF first."),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not an image. Run git lfs pull."),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC photograph that cannot be read."),
        (bytes(3000), "a file of zeros, not an image. Get a complete copy."),
    ],
)
def test_a_file_that_is_no_jpeg_is_named_for_what_it_is(run: Run, tmp_path: Path, data: bytes, message: str) -> None:
    if "HEIC" in message and "HEIF" not in plugins.formats():
        pytest.skip("no HEIF here")
    (tmp_path / "photo.jpg").write_bytes(data)
    for arguments in (("apply", "--style", "wave", tmp_path / "photo.jpg"), ("add", tmp_path / "photo.jpg")):
        result = run(*arguments, *(("-o", tmp_path / "out") if arguments[0] == "apply" else ()))
        assert result.code == 1 and f"photo.jpg: {message}" in " ".join(result.stderr.split())


def test_heic_without_its_plugin_names_the_plugin(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turned(tmp_path / "phone.heic", "HEIF")
    monkeypatch.setattr(plugins, "formats", lambda: plugins.READ_FORMATS)
    result = run("apply", "--style", "wave", tmp_path / "phone.heic", "-o", tmp_path / "out")
    assert result.code == 1
    assert "a HEIC photograph, which needs pillow-heif. Run pip install pillow-heif." in " ".join(result.stderr.split())
