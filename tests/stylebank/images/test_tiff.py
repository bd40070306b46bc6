from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from stylebank import images
from stylebank.errors import ImageRefused
from tests.picture_kinds import COLOUR, DEEP, KINDS


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ImageRefused) as refused:
        images.load(path, **options)
    return str(refused.value)


def raw(path: Path, *, below_thumbnail: bool, photometric: str = "cfa", dng: bool = True) -> None:
    """A camera raw file as TIFF readers see it: a thumbnail, and the sensor's values below it or after it."""
    sensor = DEEP[..., 1]
    tags = [(50706, 1, 4, (1, 4, 0, 0), True)] if dng else []
    with tifffile.TiffWriter(path) as writer:
        if below_thumbnail:
            thumbnail = COLOUR[::4, ::4]
            writer.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, extratags=tags, metadata=None)
        writer.write(sensor, photometric=photometric, extratags=[] if below_thumbnail else tags, metadata=None)


@pytest.mark.parametrize("below_thumbnail", [True, False])
@pytest.mark.parametrize("name, dng", [("IMG_1.dng", True), ("DSC_1.nef", False), ("scan.tif", False)])
def test_camera_raw_file_is_refused_by_name(name: str, dng: bool, below_thumbnail: bool, tmp_path: Path) -> None:
    raw(tmp_path / name, below_thumbnail=below_thumbnail, dng=dng)
    message = refusal(tmp_path / name)
    assert "a camera raw file. Convert it first, to a TIFF of 16 bits for example." in message
    assert images.shown_size(tmp_path / name) is None


def test_canon_raw_file_is_refused_by_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", COLOUR, photometric="rgb", metadata=None)
    data = bytearray((tmp_path / "x.tif").read_bytes())
    data[8:10] = b"CR"
    (tmp_path / "IMG_1.cr2").write_bytes(data)
    assert "a camera raw file" in refusal(tmp_path / "IMG_1.cr2")


@pytest.mark.parametrize(
    "array, options, kind",
    [
        (COLOUR.astype(np.int16), {"photometric": "rgb"}, "3 x 16-bit signed integer"),
        (COLOUR[..., 0].astype(np.int16), {"photometric": "minisblack"}, "1 x 16-bit signed integer"),
        (COLOUR.astype(np.complex64), {"photometric": "rgb"}, "3 x 64-bit"),
        (DEEP, {"photometric": "cielab"}, "3 x 16-bit integer, Lab"),
        (DEEP[..., :2], {"photometric": "minisblack", "planarconfig": "contig"}, ""),
    ],
)
def test_other_kinds_are_refused_by_name_or_read(
    array: np.ndarray, options: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "x.tif", array, metadata=None, **options)
    if kind:
        assert f"a TIFF of a kind that is not read ({kind})" in refusal(tmp_path / "x.tif")
    else:  # an extra channel of no meaning
        assert np.abs(images.load(tmp_path / "x.tif").pixels[..., 0] - DEEP[..., 0] / 257).max() < 0.01


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith((".tif", ".dng"))])
def test_cut_file_is_refused_wherever_it_is_cut(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    KINDS[name].write(path)
    whole = path.read_bytes()
    expected = images.load(path).pixels
    for kept in range(1, 20):
        path.write_bytes(whole[: len(whole) * kept // 20])
        try:
            picture = images.load(path)
        except ImageRefused:
            continue
        assert np.array_equal(picture.pixels, expected), kept  # cut behind the picture, in a thumbnail


def test_limit_of_pixels_holds_for_kinds_that_pillow_does_not_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", (COLOUR / 255).astype(np.float32), photometric="rgb", metadata=None)
    assert "64 x 48 is 3,072 pixels, more than 3,071" in refusal(tmp_path / "x.tif", max_pixels=3071)
    tifffile.imwrite(tmp_path / "y.tif", DEEP[:31], photometric="rgb", metadata=None)
    assert "64 x 31 is too small" in refusal(tmp_path / "y.tif")


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0, -3.0, 1e6])
def test_floats_out_of_both_ranges_are_refused(value: float, tmp_path: Path) -> None:
    pixels = (COLOUR / 255).astype(np.float32)
    pixels[5, 5, 1] = value
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", metadata=None)
    reason = "expected 0..1 or 0..255" if np.isfinite(value) else "NaN or infinite"
    assert reason in refusal(tmp_path / "x.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_picture_turns_as_an_8_bit_one_does(orientation: int, tmp_path: Path) -> None:
    for name, array in (("deep.tif", COLOUR.astype(np.uint16) * 257), ("plain.tif", COLOUR)):
        tags = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(tmp_path / name, array, photometric="rgb", extratags=tags, metadata=None)
    with Image.open(tmp_path / "plain.tif") as plain:
        plain.load()
        expected = np.asarray(plain, np.float32)
    for name in ("deep.tif", "plain.tif"):
        picture = images.load(tmp_path / name)
        assert np.array_equal(picture.pixels, expected)
        assert images.shown_size(tmp_path / name) == picture.size


def test_metadata_stands_in_the_first_directory_and_pixels_in_another(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        tags = [(315, 2, 0, "Ansel", True)]
        options: dict[str, Any] = {"photometric": "rgb", "metadata": None}
        writer.write(COLOUR[::4, ::4], subfiletype=1, subifds=1, extratags=tags, **options)
        writer.write(COLOUR, **options)
    picture = images.load(tmp_path / "x.tif", metadata=True)
    assert np.array_equal(picture.pixels, COLOUR) and b"Ansel" in picture.metadata.exif


@pytest.mark.parametrize("in_subdirectory", [True, False])
@pytest.mark.parametrize(
    ("compression", "deep"),
    [(None, False), ("jpeg", False), ("lzw", False), ("zlib", False), (None, True), ("lzw", True), ("zlib", True)],
)
def test_orientation_of_the_first_directory_turns_the_picture_behind_it(
    compression: str | None, deep: bool, in_subdirectory: bool, tmp_path: Path
) -> None:
    array = COLOUR.astype(np.uint16) * 257 if deep else COLOUR
    with tifffile.TiffWriter(tmp_path / "x.tif") as writer:
        options: dict[str, Any] = {"photometric": "rgb", "metadata": None}
        more = {"subifds": 1} if in_subdirectory else {}
        tags = [(274, 3, 1, 6, True)]
        writer.write(COLOUR[::4, ::4], subfiletype=1, extratags=tags, **options, **more)
        writer.write(array, compression=compression, **options)
    picture = images.load(tmp_path / "x.tif")
    assert picture.size == images.shown_size(tmp_path / "x.tif") == (48, 64)
    error = np.abs(picture.pixels - np.rot90(COLOUR, -1).astype(np.float32))
    assert error.mean() < 8 if compression == "jpeg" else error.max() == 0


@pytest.mark.parametrize("compression", ["webp", "jpegxl", "jpeg2000"])
def test_compressions_that_are_not_read_are_named_without_a_message_of_libtiff(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "x.tif", COLOUR, photometric="rgb", compression=compression, metadata=None)
    assert "a TIFF of a kind that is not read (3 x 8-bit integer, compression " in refusal(tmp_path / "x.tif")
    assert capfd.readouterr() == ("", "")
