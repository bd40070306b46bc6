"""PIL images and arrays are read as their files are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from stylebank import images
from stylebank.errors import ImageRefused, UsageError
from stylebank.images import to_picture, to_pillow
from tests import pictures
from tests.picture_kinds import ALPHA, COLOUR, DEEP, KINDS

GREY = COLOUR[..., 1]
#: Files that Pillow reads with 8 of 16 bits, as another picture of the file, or not at all.
NOT_PILLOWS = (
    "16",
    "float",
    "uint32",
    "thumbnail",
    "reduced_first",
    "large_profile",
    "long_",
    "cicp",
    "xmp_turned.tif",
)
EIGHT_BITS = [
    name
    for name, kind in KINDS.items()
    if not any(part in name for part in NOT_PILLOWS) and "end marker" not in kind.note and "adobe.png" not in name
]


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_an_opened_file_shows_the_pixels_of_its_kind(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    kind.write(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        picture = to_picture(image, metadata=True)
    visible = np.ones(picture.pixels.shape[:2], bool) if kind.alpha is None else np.asarray(kind.alpha) > 0
    assert picture.pixels[visible] == pytest.approx(np.asarray(kind.pixels)[visible], abs=max(kind.tolerance, 0.01))
    if kind.alpha is not None:
        assert picture.alpha == pytest.approx(kind.alpha, abs=0.5)
    assert picture.metadata == images.load(tmp_path / name, metadata=True).metadata


def test_most_kinds_are_among_them() -> None:
    assert len(EIGHT_BITS) > 40


@pytest.mark.parametrize("mode", ["RGB", "RGBX", "HSV", "YCbCr", "RGBA", "RGBa"])
def test_modes_with_the_colours_of_rgb(mode: str) -> None:
    picture = to_picture(Image.fromarray(COLOUR).convert("RGBA").convert("RGB").convert(_way(mode)).convert(mode))
    assert picture.pixels == pytest.approx(COLOUR.astype(np.float32), abs=6)  # hue has 256 steps
    assert picture.alpha is None


def _way(mode: str) -> str:
    return "RGBA" if mode == "RGBa" else "RGB"


@pytest.mark.parametrize("mode", ["L", "LA", "I", "F", "I;16"])
def test_modes_of_grey(mode: str) -> None:
    grey = Image.fromarray(GREY)
    image = Image.fromarray(GREY.astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    if mode == "I":
        image = image.point(lambda value: value * 257)
    expected = np.repeat(GREY[..., None], 3, axis=2)
    assert to_picture(image).pixels == pytest.approx(expected.astype(np.float32), abs=0.01)


def test_black_and_white_and_a_palette() -> None:
    stripes = np.kron(np.arange(8) % 2 * 255, np.ones((48, 8))).astype(np.uint8)
    assert (to_picture(Image.fromarray(stripes).convert("1")).pixels[..., 0] == stripes).all()
    palette = Image.fromarray(COLOUR).quantize(48)
    assert (to_picture(palette).pixels == np.asarray(palette.convert("RGB"))).all()


def test_a_profile_is_converted_and_an_exif_orientation_applied() -> None:
    image = Image.fromarray(COLOUR)
    image.info["icc_profile"] = pictures.swapped_profile()
    assert to_picture(image).pixels == pytest.approx(COLOUR[..., ::-1].astype(np.float32), abs=2)
    turned = Image.fromarray(COLOUR)
    turned.getexif()[pictures.ORIENTATION] = 6  # the first row is the right side
    assert (to_picture(turned).pixels == np.rot90(COLOUR, -1)).all()


def test_the_callers_image_stays_as_it_is() -> None:
    image = Image.fromarray(COLOUR).quantize(16)
    image.info |= {"transparency": 0, "xmp": b"<x/>", "icc_profile": pictures.swapped_profile()}
    before, info = image.tobytes(), dict(image.info)
    to_picture(image, metadata=True)
    assert (image.tobytes(), dict(image.info), image.mode) == (before, info, "P")


def test_a_broken_profile_gets_a_note() -> None:
    image = Image.fromarray(COLOUR)
    image.info["icc_profile"] = b"no profile"
    picture = to_picture(image)
    assert (picture.pixels == COLOUR).all() and picture.notes == ("has a broken colour profile; sRGB is assumed",)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (COLOUR, COLOUR.astype(np.float32)),
        (COLOUR[:, ::-1], COLOUR[:, ::-1].astype(np.float32)),
        (DEEP, DEEP / np.float32(257)),
        (COLOUR / 255, COLOUR.astype(np.float32)),
        ((COLOUR / 255).astype(np.float32), COLOUR.astype(np.float32)),
        (GREY, np.repeat(GREY[..., None], 3, axis=2).astype(np.float32)),
    ],
    ids=["uint8", "reversed", "uint16", "float64", "float32", "grey"],
)
def test_arrays_have_the_unit_of_their_dtype(array: np.ndarray, expected: np.ndarray) -> None:
    picture = to_picture(array)
    assert picture.pixels.dtype == np.float32 and picture.alpha is None
    assert picture.pixels == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_fourth_channel_is_the_opacity(dtype: type, white: float) -> None:
    array = np.dstack([COLOUR, ALPHA]) / 255 * white
    picture = to_picture(array.round().astype(dtype) if white > 1 else array.astype(dtype))
    assert picture.alpha == pytest.approx(ALPHA.astype(np.float32), abs=1e-3)
    visible = ALPHA > 0
    assert picture.pixels[visible] == pytest.approx(COLOUR[visible].astype(np.float32), abs=1e-3)


def test_a_16_bit_array_is_read_as_its_file(tmp_path: Path) -> None:
    images.save(tmp_path / "deep.png", DEEP / np.float32(257), format="png", quality=95, depth=16)
    assert (images.load(tmp_path / "deep.png").pixels == to_picture(DEEP).pixels).all()


@pytest.mark.parametrize(
    ("image", "error", "text"),
    [
        (np.zeros((3, 48, 64), np.uint8), UsageError, r"an array of shape \(3, 48, 64\); expected \(h, w\)"),
        (np.zeros((2, 48, 64, 3), np.uint8), UsageError, "one picture at a time"),
        (np.zeros((48, 64, 1), np.uint8), UsageError, "an array of shape"),
        (np.zeros((48, 64, 3), np.int64), UsageError, "an array of int64; expected uint8, uint16 or floats"),
        (np.zeros((48, 64), bool), UsageError, "an array of bool"),
        (COLOUR.astype(float), ImageRefused, "values from 1[0-9] to 24[0-9]; expected 0 to 1"),
        (np.full((48, 64), np.nan), ImageRefused, "NaN or infinite"),
        (np.zeros((0, 0, 3), np.uint8), ImageRefused, "0 x 0 is too small"),
        (np.zeros((20, 64, 3), np.uint8), ImageRefused, "64 x 20 is too small"),
        (np.zeros((48, 64, 4), np.uint8), ImageRefused, "fully transparent"),
        (Image.new("RGBA", (64, 48)), ImageRefused, "fully transparent"),
        (Image.new("RGB", (64, 20)), ImageRefused, "64 x 20 is too small"),
        (Image.new("I", (64, 48), 70_000), ImageRefused, "grey values from 70,000 to 70,000; expected 0 to 65,535"),
        (Image.new("F", (64, 48), 300.0), ImageRefused, "floating-point values from 300 to 300"),
        (b"bytes of a file", UsageError, "the image: a bytes. Give a PIL image, a NumPy array, or a path."),
        (None, UsageError, "a NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(image: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        to_picture(image)  # type: ignore[arg-type]
    assert str(caught.value).startswith("the image: ")


def test_values_a_little_beyond_white_are_clipped_with_a_note() -> None:
    array = np.full((48, 64, 3), 0.5)
    array[0, 0] = 1.03, -0.01, 0.5
    picture = to_picture(array)
    assert picture.pixels[0, 0] == pytest.approx([255, 0, 127.5])
    assert picture.notes == ("has values from -0.01 to 1.03; those outside 0..1 are clipped",)


def test_a_truncated_file_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).resize((640, 480)).save(buffer, format="JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with Image.open(tmp_path / "cut.jpg") as image, pytest.raises(ImageRefused, match=r"cut\.jpg: cannot be decoded"):
        to_picture(image)


def test_the_limit_of_pixels_holds_before_the_pixels_are_decoded(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "image.png")
    with Image.open(tmp_path / "image.png") as image:
        with pytest.raises(ImageRefused, match="3,072 pixels, more than 3,000"):
            to_picture(image, max_pixels=3000)
        assert image.tile  # not loaded


def test_a_returned_image_has_what_pillow_reads_from_the_written_png(tmp_path: Path) -> None:
    pictures.with_metadata("JPEG")(tmp_path / "photo.jpg")
    picture = images.load(tmp_path / "photo.jpg", metadata=True)
    alpha = np.linspace(0, 255, picture.pixels[..., 0].size, dtype=np.float32).reshape(picture.pixels.shape[:2])
    for opacity in (None, alpha):
        options = {"alpha": opacity, "metadata": picture.metadata, "dpi": 300.0}
        images.save(tmp_path / "out.png", picture.pixels, format="png", quality=95, **options)
        returned = to_pillow(picture.pixels, **options)
        with Image.open(tmp_path / "out.png") as written:
            assert returned.mode == written.mode and returned.tobytes() == written.tobytes()
            assert dict(returned.getexif()) == dict(written.getexif()) != {}
            assert returned.info["icc_profile"] == written.info["icc_profile"]
            assert returned.info["dpi"] == pytest.approx(written.info["dpi"], rel=1e-3)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(returned.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
