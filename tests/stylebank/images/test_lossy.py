"""Files whose codec changes pixels, by format and by compression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.images import plugins


@pytest.mark.parametrize(
    ("name", "options", "lossy"),
    [
        ("a.jpg", {}, True),
        ("a.webp", {"quality": 80}, True),
        ("a.webp", {"lossless": True}, False),
        ("alpha.webp", {"quality": 80}, True),
        ("alpha.webp", {"lossless": True}, False),
        ("a.webp", {"quality": 80, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0", "icc_profile": b"odd"}, True),
        ("a.tif", {}, False),
        ("a.tif", {"compression": "tiff_lzw"}, False),
        ("a.tif", {"compression": "jpeg"}, True),
        ("a.png", {}, False),
        ("a.bmp", {}, False),
        ("a.gif", {}, False),
        ("a.avif", {}, True),
        ("a.heic", {}, True),
    ],
)
def test_codec_decides(tmp_path: Path, name: str, options: dict[str, object], lossy: bool) -> None:
    plugins.formats()
    if Path(name).suffix not in images.READ_SUFFIXES:
        pytest.skip(f"no {Path(name).suffix} here")
    array = np.random.default_rng(1).integers(0, 256, (40, 40, 4), np.uint8)
    image = Image.fromarray(array)
    (image if name.startswith("alpha") else image.convert("RGB")).save(tmp_path / name, **options)
    assert images.is_lossy(tmp_path / name) is lossy


def test_animated_webp_is_judged_by_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "green", "blue")]
    for lossless in (True, False):
        path = tmp_path / f"{lossless}.webp"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=lossless)
        assert images.is_lossy(path) is not lossless


def test_what_cannot_be_read_is_not_lossy(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "b.webp").write_bytes(b"RIFF\x10\0\0\0WEBPVP8")
    assert not any(images.is_lossy(tmp_path / name) for name in ("a.jpg", "b.webp", "missing.jpg"))
