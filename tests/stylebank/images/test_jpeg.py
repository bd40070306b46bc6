from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.errors import ImageRefused
from stylebank.images.jpeg import with_end
from tests import pictures


def encoded(**options: object) -> bytes:
    buffer = io.BytesIO()
    pictures.sample().resize((256, 192)).save(buffer, format="JPEG", quality=90, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 2}])
@pytest.mark.parametrize("lost", [1, 2])
def test_end_marker_is_put_back(options: dict[str, object], lost: int) -> None:
    data = encoded(**options)
    mended = with_end(data[:-lost], contextlib.nullcontext)
    assert mended is not None
    with Image.open(io.BytesIO(mended)) as image, Image.open(io.BytesIO(data)) as whole:
        assert np.array_equal(np.asarray(image), np.asarray(whole))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 2}])
def test_picture_that_lacks_compressed_pixels_stays_refused(options: dict[str, object], tmp_path: Path) -> None:
    data = encoded(**options)
    for lost in (4, 5, 8, 20, 100, 500, len(data) // 2):
        (tmp_path / "x.jpg").write_bytes(data[:-lost])
        with pytest.raises(ImageRefused, match="damaged"):
            images.load(tmp_path / "x.jpg")


def test_preview_of_a_picture_without_its_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(encoded()[:-2])
    picture = images.load(tmp_path / "x.jpg", preview=100)
    assert min(picture.size) >= 75 and "lacks its end marker" in picture.notes[0]


def test_progressive_picture_is_refused_at_the_end_of_each_scan(tmp_path: Path) -> None:
    data = encoded(progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for end in (*scans[1:], len(data) - 2):
        (tmp_path / "x.jpg").write_bytes(data[:end])
        with pytest.raises(ImageRefused, match="damaged"):
            images.load(tmp_path / "x.jpg")


def test_broken_metadata_of_a_picture_without_its_end_prints_no_warning(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    block = exif.tobytes()
    whole = encoded(exif=exif)
    directory = block.index(b"*", 6) + 6  # its number of entries, in two bytes
    broken = block[:directory] + b"\x7f\x7f" + block[directory + 2 :]
    for lost in (1, 2, 500):
        (tmp_path / "x.jpg").write_bytes(whole.replace(block, broken)[:-lost])
        with warnings.catch_warnings(record=True) as caught, contextlib.suppress(ImageRefused):
            warnings.simplefilter("always")
            images.load(tmp_path / "x.jpg")
        assert [str(each.message) for each in caught] == []
