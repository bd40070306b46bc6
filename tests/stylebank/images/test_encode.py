"""Output files as other programs' decoders see them."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
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


_EXIF = Image.Exif()
_EXIF[0x010F] = "Kamera"


def _stated(path: Path) -> dict[str, tuple[float, float]]:
    """Densities in dots per inch, by where a file states them, from its bytes."""
    data, stated = path.read_bytes(), {}
    if path.suffix == ".jpg":
        unit, *density = struct.unpack_from(">BHH", data, data.index(b"JFIF\0") + 7)
        stated |= {"JFIF": tuple(density)} if unit == 1 else {}
    elif path.suffix == ".png" and b"pHYs" in data:
        assert data.index(b"pHYs") < data.index(b"IDAT")
        *density, unit = struct.unpack_from(">IIB", data, data.index(b"pHYs") + 4)
        stated |= {"pHYs": (density[0] * 0.0254, density[1] * 0.0254)} if unit == 1 else {}
    elif path.suffix == ".tiff":
        with tifffile.TiffFile(path) as file:
            if 282 in file.pages[0].tags:
                stated["tags"] = file.pages[0].get_resolution(tifffile.RESUNIT.INCH)
    with Image.open(path) as image:
        exif = image.getexif()
        if 0x011A in exif and exif[0x0128] == 2:
            stated["EXIF"] = float(exif[0x011A]), float(exif[0x011B])
    return stated


ENCODINGS = [("jpg", 8), ("png", 8), ("png", 16), ("webp", 8), ("tiff", 8), ("tiff", 16)]


@pytest.mark.parametrize(("format", "depth"), ENCODINGS)
@pytest.mark.parametrize("exif", [b"", _EXIF.tobytes()], ids=["bare", "exif"])
def test_density_keeps_the_print_size_in_every_statement(format: str, depth: int, exif: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"x.{format}"
    metadata = images.Metadata(exif, print_size=(0.3, 0.4))  # 64 / 0.3 = 213.33, 48 / 0.4 = 120
    images.save(path, fine(), format=format, quality=95, depth=depth, metadata=metadata)
    stated = _stated(path)
    places = {"jpg": {"JFIF"}, "png": {"pHYs"}, "webp": {"EXIF"}, "tiff": {"tags", "EXIF"}}[format]
    assert set(stated) == places | ({"EXIF"} if exif else set())
    for density in stated.values():
        assert density == pytest.approx((213 if format == "jpg" else 213.333, 120), abs=0.02)
    if exif:
        with Image.open(path) as image:
            assert image.getexif()[0x010F] == "Kamera"
    program = shutil.which("identify-im6.q16") or shutil.which("identify")
    if program and format != "webp":  # ImageMagick reads no density from WebP
        command = [program, "-quiet", "-units", "PixelsPerInch", "-format", "%x", str(path)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
        assert float(shown) == pytest.approx(213.2, abs=0.3)


@pytest.mark.parametrize(("format", "depth"), ENCODINGS)
def test_dpi_replaces_the_density_of_the_photograph(format: str, depth: int, tmp_path: Path) -> None:
    for metadata in (images.Metadata(print_size=(0.3, 0.4)), images.Metadata()):
        path = tmp_path / f"x.{format}"
        images.save(path, fine(), format=format, quality=95, depth=depth, metadata=metadata, dpi=300)
        stated = _stated(path)
        assert stated and all(density == pytest.approx((300, 300), abs=0.02) for density in stated.values())


@pytest.mark.parametrize(("format", "depth"), ENCODINGS)
@pytest.mark.parametrize(
    "inches", [None, (900.0, 900.0), (1e-4, 1e-4)], ids=["none", "below 1 dpi", "above 60,000 dpi"]
)
def test_nothing_is_stated_where_no_density_can_be(
    format: str, depth: int, inches: tuple[float, float] | None, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{format}"
    metadata = images.Metadata(_EXIF.tobytes(), print_size=inches)
    images.save(path, fine(), format=format, quality=95, depth=depth, metadata=metadata)
    assert _stated(path) == {}


@pytest.mark.parametrize("quality", [90, 95, 100])
def test_noise_becomes_a_jpeg_at_every_quality(quality: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (300, 400, 3)).astype(np.float32)
    images.save(tmp_path / "x.jpg", noise, format="jpg", quality=quality)
    assert np.abs(images.load(tmp_path / "x.jpg").pixels - noise).mean() < 16
