"""Output files as other programs' decoders see them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
from PIL import Image, ImageCms

from stylebank import images
from stylebank.errors import OutputRefused, UsageError
from stylebank.images.encode import encode
from tests import pictures


def fine() -> np.ndarray:
    """The sample with a ramp far below one grey level on it, as a synthesis has."""
    ramp = np.linspace(0, 0.99, pictures.SIZE[0], dtype=np.float32)[None, :, None]
    return np.clip(pictures.colour() * 0.95 + ramp, 0, 255)


def decoded(path: Path) -> np.ndarray:
    """Values by a library that has no part in writing them."""
    if path.suffix == ".tiff":
        return np.asarray(tifffile.imread(path))
    width, height, flat, info = png.Reader(filename=str(path)).read_flat()
    return np.array(flat).reshape(height, width, info["planes"])


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_sixteen_bits_are_the_values_rounded_at_sixteen_bits(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{format}"
    images.save(path, fine(), format=format, quality=95, depth=16)
    got = decoded(path)
    assert got.dtype == np.uint16 or got.max() > 255
    assert np.abs(got - fine().astype(np.float64) * 257).max() < 0.51
    assert np.array_equal(np.rint(images.load(path).pixels * 257), got)


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_is_put_back_at_the_depth_of_the_picture(format: str, depth: int, tmp_path: Path) -> None:
    path = tmp_path / f"x.{format}"
    alpha = np.repeat(np.linspace(0, 255, pictures.SIZE[0], dtype=np.float32)[None], pictures.SIZE[1], axis=0)
    images.save(path, fine(), format=format, quality=95, depth=depth, alpha=alpha)
    got = decoded(path)
    white = 2**depth - 1
    assert got.shape[2] == 4
    assert np.abs(got[..., 3].astype(float) - alpha.astype(float) / 255 * white).max() <= 0.51
    assert np.abs(got[..., :3].astype(float) - fine().astype(float) / 255 * white).max() <= 0.51
    if format == "tiff":
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].extrasamples == (2,)  # not multiplied in


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_a_picture_of_more_than_one_strip_is_whole(format: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (700, 401, 3)).astype(np.float32)
    images.save(tmp_path / f"x.{format}", pixels, format=format, quality=95, depth=16)
    assert np.abs(decoded(tmp_path / f"x.{format}") - pixels.astype(np.float64) * 257).max() < 0.51


@pytest.mark.parametrize(
    ("format", "depth"), [("jpg", 8), ("png", 8), ("webp", 8), ("tiff", 8), ("png", 16), ("tiff", 16)]
)
def test_every_output_is_tagged_srgb_and_the_same_bytes_twice(format: str, depth: int, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        images.save(tmp_path / name, fine(), format=format, quality=95, depth=depth)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).digest())
    assert len(digests) == 1
    with Image.open(tmp_path / "one") as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        same = ImageCms.profileToProfile(pictures.sample(), profile, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(same, float) - pictures.colour()).max() <= 1


def test_an_animation_that_can_be_is_tagged_too(tmp_path: Path) -> None:
    images.save_animation(tmp_path / "x.webp", [pictures.colour()] * 2, pictures.SIZE)
    with Image.open(tmp_path / "x.webp") as image:
        assert image.info["icc_profile"]


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_sixteen_bits_where_the_format_has_eight_says_what_to_do(format: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"depth 16: {format} has 8 bits.*--format png or tiff"):
        images.save(tmp_path / "x", fine(), format=format, quality=95, depth=16)
    with pytest.raises(UsageError, match="depth 12: expected 8 or 16"):
        images.save(tmp_path / "x", fine(), format="png", quality=95, depth=12)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_file_that_reads_otherwise_than_it_was_written_never_gets_its_name(
    format: str, depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(file: object, values: np.ndarray, **options: object) -> None:
        values = values.copy()
        values[20, 30, 1] ^= 1 << (depth - 3)
        encode(file, values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("stylebank.images.io.encode", faulty)
    with pytest.raises(OutputRefused, match="reads back with other values"):
        images.save(tmp_path / "x", fine(), format=format, quality=95, depth=depth)
    assert list(tmp_path.iterdir()) == []
