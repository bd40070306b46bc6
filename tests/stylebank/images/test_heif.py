"""HEIC and AVIF files: pixels, orientation, colour space and what lies beside the main image.

The truth is arithmetic on arrays. Pillow and pillow-heif encode; the tests of boxes write them byte by byte.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.errors import ImageRefused
from stylebank.images import heif, plugins

pillow_heif = pytest.importorskip("pillow_heif")
HEIGHT, WIDTH = 48, 64
needs_avif = pytest.mark.skipif("AVIF" not in plugins.formats(), reason="Pillow has no AVIF")
FORMATS = [pytest.param("AVIF", marks=needs_avif), "HEIF"]
#: Settings of the encoders that keep colours within 3 levels.
FINE = {"AVIF": {"quality": 100, "subsampling": "4:4:4"}, "HEIF": {"quality": 100, "chroma": 444}}
#: What each EXIF orientation does to the stored array so that it stands upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def quarters() -> np.ndarray:
    """Four colours that tell every orientation apart."""
    array = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    array[: HEIGHT // 2, : WIDTH // 2], array[: HEIGHT // 2, WIDTH // 2 :] = (200, 60, 60), (60, 180, 80)
    array[HEIGHT // 2 :, : WIDTH // 2], array[HEIGHT // 2 :, WIDTH // 2 :] = (70, 70, 190), (210, 200, 80)
    return array


def encoded(array: np.ndarray, format: str, **options: object) -> bytes:
    plugins.formats()  # registers pillow-heif
    file = io.BytesIO()
    Image.fromarray(array).save(file, format, **{**FINE[format], **options})
    return file.getvalue()


def read(path: Path, data: bytes, **options: bool) -> images.Picture:
    path.write_bytes(data)
    return images.load(path, **options)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


def with_codes(data: bytes, primaries: int, transfer: int) -> bytes:
    """The file with other codes in its colr box; encoders write 1 and 13."""
    codes = b"nclx" + struct.pack(">HH", 1, 13)
    assert data.count(codes) >= 1
    return data.replace(codes, b"nclx" + struct.pack(">HH", primaries, transfer))


@pytest.mark.parametrize("format", FORMATS)
def test_pixels_and_opacity_are_read(tmp_path: Path, format: str) -> None:
    picture = read(tmp_path / "a", encoded(quarters(), format))
    assert np.abs(picture.pixels - quarters()).max() <= 3 and picture.alpha is None and picture.notes == ()
    opacity = np.tile(np.repeat([0, 60, 128, 255], WIDTH // 4).astype(np.uint8), (HEIGHT, 1))
    picture = read(tmp_path / "b", encoded(np.dstack([quarters(), opacity]), format))
    assert picture.alpha is not None and np.abs(picture.alpha - opacity.astype(float)).max() <= 2
    assert np.abs(picture.pixels - quarters())[opacity == 255].max() <= 3 and picture.notes == ()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_picture_is_turned_once(tmp_path: Path, format: str, orientation: int) -> None:
    data = encoded(quarters(), format, exif=exif(orientation))
    assert (b"irot" in data or b"imir" in data) == (orientation > 1)
    upright = UPRIGHT[orientation](quarters())
    picture = read(tmp_path / "turned.heic", data, metadata=True)
    assert picture.pixels.shape == upright.shape == (*images.shown_size(tmp_path / "turned.heic")[::-1], 3)
    assert np.abs(picture.pixels - upright).mean() < 2
    images.save(tmp_path / "out.png", picture.pixels, format="png", quality=95, metadata=picture.metadata)
    with Image.open(tmp_path / "out.png") as output:
        assert output.getexif().get(274, 1) == 1


@pytest.mark.parametrize("format", FORMATS)
def test_orientation_in_exif_alone_does_not_count(tmp_path: Path, format: str) -> None:
    """ISO 23008-12: the turn is in the boxes, and EXIF only reports it."""
    data = encoded(quarters(), format, exif=exif(1)).replace(exif(1)[6:], exif(6)[6:])
    assert b"irot" not in data
    assert np.abs(read(tmp_path / "a.heic", data).pixels - quarters()).mean() < 2


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_in_display_p3_is_converted(tmp_path: Path, format: str) -> None:
    array = np.tile(np.array([180, 110, 70], np.uint8), (HEIGHT, WIDTH, 1))
    linear = ((array / 255 + 0.055) / 1.055) ** 2.4
    # from the samples of CSS Color 4
    matrix = np.array([[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786361, 1.0982736]])
    expected = 255 * (1.055 * (linear @ matrix.T) ** (1 / 2.4) - 0.055)
    assert np.abs(expected - array).max() > 8
    picture = read(tmp_path / "p3.heic", with_codes(encoded(array, format), 12, 13))
    assert np.abs(picture.pixels - expected).max() <= 3 and picture.notes == ()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("transfer", [1, 2, 6, 13, 14, 15])
def test_curves_of_video_cameras_count_as_srgb(tmp_path: Path, format: str, transfer: int) -> None:
    picture = read(tmp_path / "a.avif", with_codes(encoded(quarters(), format), 1, transfer))
    assert np.abs(picture.pixels - quarters()).max() <= 3 and picture.notes == ()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("transfer", "white", "name"), [(16, 148, "PQ"), (18, 191, "HLG")])
def test_diffuse_white_of_hdr_is_white(tmp_path: Path, format: str, transfer: int, white: int, name: str) -> None:
    """ITU-R BT.2408: 203 cd/m2 is 58 % of PQ and 75 % of HLG."""
    grey = np.full((HEIGHT, WIDTH, 3), white, np.uint8)
    picture = read(tmp_path / "a.avif", with_codes(encoded(grey, format), 9, transfer))
    assert picture.pixels.min() >= 250
    assert len(picture.notes) == 1 and name in picture.notes[0]


@pytest.mark.parametrize("format", FORMATS)
def test_codes_are_read_and_unknown_ones_noted(tmp_path: Path, format: str) -> None:
    data = encoded(quarters(), format)
    codes = heif.nclx(data)
    assert codes is not None and codes[:2] == (1, 13)
    assert heif.nclx(with_codes(data, 12, 1))[:2] == (12, 1)  # type: ignore[index]
    picture = read(tmp_path / "a.heic", with_codes(data, 10, 13))
    assert picture.notes == ("has a colour space that is not known (nclx 10, 13); sRGB is assumed",)


def test_codes_of_a_picture_of_tiles_are_read(tmp_path: Path) -> None:
    array = np.tile(quarters(), (3, 3, 1))
    data = encoded(array, "HEIF", tile_size=64)
    assert b"grid" in data and heif.nclx(data)[:2] == (1, 13)  # type: ignore[index]
    assert np.abs(read(tmp_path / "a.heic", data).pixels - array).mean() < 2


def test_ten_bits_are_read_as_eight(tmp_path: Path) -> None:
    deep = quarters().astype(np.uint16) * 257
    file = io.BytesIO()
    pillow_heif.encode("RGB;16", (WIDTH, HEIGHT), deep.tobytes(), file, quality=100, chroma=444)
    opened = pillow_heif.open_heif(io.BytesIO(file.getvalue()), convert_hdr_to_8bit=False)
    assert opened.info["bit_depth"] == 10
    assert np.abs(read(tmp_path / "a.heic", file.getvalue()).pixels - quarters()).max() <= 3


@needs_avif
def test_ten_bits_of_avif_are_read_as_eight(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    deep = quarters().astype(np.uint16) * 4
    data = imagecodecs.avif_encode(deep, level=100, bitspersample=10)
    assert np.abs(read(tmp_path / "a.avif", data).pixels - quarters()).max() <= 4


def test_the_main_image_of_several_is_read_with_a_note(tmp_path: Path) -> None:
    plugins.formats()
    first, second = (Image.fromarray(array) for array in (np.full_like(quarters(), 20), quarters()))
    first.save(tmp_path / "two.heic", save_all=True, append_images=[second], primary_index=1, **FINE["HEIF"])
    picture = images.load(tmp_path / "two.heic")
    assert np.abs(picture.pixels - quarters()).max() <= 3
    assert picture.notes == ("has 2 images; the main one is used",)


@needs_avif
def test_the_first_frame_of_an_animation_is_read_with_a_note(tmp_path: Path) -> None:
    frames = [Image.fromarray(array) for array in (quarters(), quarters()[::-1])]
    frames[0].save(tmp_path / "two.avif", save_all=True, append_images=frames[1:], **FINE["AVIF"])
    picture = images.load(tmp_path / "two.avif")
    assert np.abs(picture.pixels - quarters()).max() <= 3
    assert picture.notes == ("has 2 frames; the first is used",)


def box(name: bytes, content: bytes, version: int | None = None) -> bytes:
    content = content if version is None else bytes([version, 0, 0, 0]) + content
    return struct.pack(">I4s", 8 + len(content), name) + content


def meta(*properties: bytes, items: bytes = b"", wide: bool = False) -> bytes:
    """A file of one item, 1, that has all properties."""
    numbers = bytes(range(1, len(properties) + 1))
    version, item = (1, ">I") if wide else (0, ">H")
    associations = struct.pack(">I", 1) + struct.pack(item, 1) + bytes([len(numbers)]) + numbers
    content = box(b"pitm", struct.pack(item, 1), version)
    content += box(b"iinf", items, 0)
    content += box(b"iprp", box(b"ipco", b"".join(properties)) + box(b"ipma", associations, version))
    return box(b"ftyp", b"heic" + bytes(4)) + box(b"meta", content, 0)


COLR = box(b"colr", b"nclx" + struct.pack(">HHHB", 12, 16, 9, 128))


@pytest.mark.parametrize("wide", [False, True])
def test_boxes_of_both_widths_are_read(wide: bool) -> None:
    assert heif.nclx(meta(box(b"ispe", bytes(8), 0), COLR, wide=wide)) == (12, 16, 9)
    assert heif.nclx(meta(box(b"colr", b"prof" + bytes(40)), wide=wide)) is None


def test_what_lies_beside_the_main_image_is_noted() -> None:
    names = {
        b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha": [],
        b"urn:mpeg:hevc:2015:auxid:1": [],
        b"urn:mpeg:hevc:2015:auxid:2": ["has a depth map, which is left out"],
        b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth": ["has a depth map, which is left out"],
        b"urn:com:apple:photo:2020:aux:hdrgainmap": ["has a gain map, which is left out"],
        b"urn:com:apple:photo:2018:aux:portraiteffectsmatte": ["has an auxiliary image, which is left out"],
    }
    for name, notes in names.items():
        auxiliary = box(b"auxC", name + b"\x00", 0)
        assert heif.notes(meta(auxiliary, auxiliary)) == notes
    assert heif.notes(meta(COLR, items=box(b"infe", b"\x00\x02\x00\x00tmap", 2))) == [
        "has a gain map, which is left out"
    ]
    assert heif.notes(meta(COLR) + box(b"mpvd", bytes(40))) == ["has a video, which is left out"]


def test_a_motion_photo_is_read_with_a_note(tmp_path: Path) -> None:
    picture = read(tmp_path / "a.heic", encoded(quarters(), "HEIF") + box(b"mpvd", bytes(400)))
    assert np.abs(picture.pixels - quarters()).max() <= 3
    assert picture.notes == ("has a video, which is left out",)


@pytest.mark.parametrize("format", FORMATS)
def test_cut_and_changed_files_have_codes_or_none_without_an_error(format: str) -> None:
    data = encoded(quarters(), format)
    random = np.random.default_rng(3)
    for end in range(0, min(len(data), 700)):
        heif.nclx(data[:end])
        heif.notes(data[:end])
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(4):
            changed[random.integers(0, min(len(data), 600))] = random.integers(0, 256)
        heif.nclx(bytes(changed))
        heif.notes(bytes(changed))


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_a_missing_end_is_refused(tmp_path: Path, format: str) -> None:
    path = tmp_path / "half.heic"
    path.write_bytes(encoded(np.tile(quarters(), (4, 4, 1)), format)[:-200])
    with pytest.raises(ImageRefused, match=r"half\.heic: .*Get a complete copy"):
        images.load(path)
