"""Pictures in and out."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from stylebank import images
from stylebank.errors import ImageRefused, OutputRefused, UsageError, printable
from tests import pictures


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(path: str | Path, **options: int) -> str:
    with pytest.raises(ImageRefused) as refused:
        images.load(path, **options)
    return str(refused.value)


@pytest.mark.parametrize("name", pictures.ACCEPTED)
def test_odd_picture_is_read_as_what_it_shows(name: str, tmp_path: Path) -> None:
    pictures.write_accepted(tmp_path, name)
    _write, expected, tolerance = pictures.ACCEPTED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = images.load(tmp_path / name)
    assert picture.size == pictures.SIZE
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.min() >= 0 and picture.pixels.max() <= 255
    shown = picture.pixels[pictures.opacity() > 64] if name in pictures.SEE_THROUGH else picture.pixels
    wanted = expected()[pictures.opacity() > 64] if name in pictures.SEE_THROUGH else expected()
    if name == "see_through_palette.png":  # what lies under the clear quarter does not matter
        shown, wanted = shown[pictures.SIZE[1] // 2 :], wanted[pictures.SIZE[1] // 2 :]
    assert np.abs(shown - wanted).mean() <= tolerance
    assert picture.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", pictures.ACCEPTED)
def test_user_is_told_what_was_put_right_and_nothing_else(name: str, tmp_path: Path) -> None:
    pictures.write_accepted(tmp_path, name)
    notes = images.load(tmp_path / name).notes
    if name in pictures.NOTES:
        assert len(notes) == 1 and pictures.NOTES[name] in notes[0]
    else:
        assert notes == ()


@pytest.mark.parametrize("name", pictures.REFUSED)
def test_bad_picture_is_refused_with_its_path_and_reason_in_one_line(name: str, tmp_path: Path) -> None:
    write, reason = pictures.REFUSED[name]
    write(tmp_path / name)
    message = refusal(tmp_path / name)
    assert message.startswith(f"{tmp_path / name}: ")
    assert reason in message
    assert message.endswith(".") and "\n" not in message


@pytest.mark.parametrize("name", pictures.SEE_THROUGH)
def test_opacity_is_kept(name: str, tmp_path: Path) -> None:
    pictures.write_accepted(tmp_path, name)
    alpha = images.load(tmp_path / name).alpha
    assert alpha is not None
    assert np.array_equal(alpha, pictures.opacity())


def test_clear_colour_of_a_palette_is_clear(tmp_path: Path) -> None:
    pictures.write_accepted(tmp_path, "see_through_palette.png")
    alpha = images.load(tmp_path / "see_through_palette.png").alpha
    assert alpha is not None
    assert (alpha[: pictures.SIZE[1] // 2, : pictures.SIZE[0] // 2] == 0).all()
    assert (alpha == 255).mean() > 0.6


def test_clear_grey_of_a_16_bit_scan_is_clear_and_no_other(tmp_path: Path) -> None:
    values = (pictures.grey()[..., 0] * 257).astype(np.uint16)
    values[:10, :20] = 1000
    values[10, 0] = 1001  # the same in its upper half
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    data = pictures.png_bytes(*pictures.SIZE, 16, 0, rows)
    clear = pictures.png_chunk(b"tRNS", (1000).to_bytes(2, "big"))
    (tmp_path / "x.png").write_bytes(data[:33] + clear + data[33:])
    picture = images.load(tmp_path / "x.png")
    assert picture.alpha is not None and np.array_equal(picture.alpha == 0, values == 1000)
    assert np.allclose(picture.pixels[..., 1] * 257, values, atol=0.01)


def test_alpha_that_hides_nothing_is_no_alpha(tmp_path: Path) -> None:
    opaque = pictures.sample()
    opaque.putalpha(255)
    opaque.save(tmp_path / "opaque.png")
    assert images.load(tmp_path / "opaque.png").alpha is None


def test_alpha_turns_with_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 6
    pictures.rgba().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    picture = images.load(tmp_path / "turned.png")
    assert picture.alpha is not None and np.array_equal(picture.alpha, pictures.opacity())
    assert np.array_equal(picture.pixels, pictures.colour())


def test_folder_missing_file_and_impossible_names_are_refused(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "missing.jpg")
    assert "Not a directory" in refusal(Path(__file__) / "x.jpg")
    assert "too long" in refusal(tmp_path / f"{'x' * 300}.jpg")
    assert "null" in refusal("a\0b.jpg")


def test_control_characters_of_a_name_are_not_printed(tmp_path: Path) -> None:
    for name in (pictures.ESCAPES, pictures.NOT_UTF8, "two\nlines.png"):
        message = refusal(tmp_path / name)
        assert message.isprintable()
        assert printable(name) in message
        message.encode("utf-8")


def test_limit_of_pixels_is_exact_and_names_its_option(tmp_path: Path) -> None:
    pictures.sample().save(tmp_path / "x.png")
    assert images.load(tmp_path / "x.png", max_pixels=64 * 48).size == (64, 48)
    message = refusal(tmp_path / "x.png", max_pixels=64 * 48 - 1)
    assert "64 x 48 is 3,072 pixels, more than 3,071" in message and "--max-pixels" in message


@pytest.mark.parametrize("format", ["PNG", "TIFF", "GIF", "WEBP"])
def test_limit_of_pixels_is_ours_alone(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # of the host program: above twice that, Pillow raises
    path = tmp_path / "x"
    pictures.saved(pictures.sample, format)(path)
    assert images.load(path).size == (64, 48)
    images.save(tmp_path / "out.png", pictures.colour(), format="png", quality=95)
    refusal(__file__)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_shortest_side_is_32(tmp_path: Path) -> None:
    pictures.sample().resize((32, 40)).save(tmp_path / "x.png")
    assert images.load(tmp_path / "x.png").size == (32, 40)
    pictures.sample().resize((40, 31)).save(tmp_path / "y.png")
    assert "at least 32 pixels" in refusal(tmp_path / "y.png")


def test_no_bit_of_a_png_can_flip_unseen(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    pictures.sample().save(path)
    whole = path.read_bytes()
    generator = random.Random(0)
    for position in [*range(64), *(generator.randrange(len(whole)) for _ in range(200)), *range(-16, 0)]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << generator.randrange(8)
        path.write_bytes(flipped)
        try:
            picture = images.load(path)
        except ImageRefused:
            continue
        assert np.array_equal(picture.pixels, pictures.colour()), position


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_cut_file_is_refused_wherever_it_is_cut(format: str, tmp_path: Path) -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    path = tmp_path / "x"
    pictures.saved(pictures.sample, format)(path)
    whole = path.read_bytes()
    for kept in range(1, 40):
        path.write_bytes(whole[: len(whole) * kept // 40])
        refusal(path)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_scribbled_bytes_are_refused_or_read_but_never_crash(
    format: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    pictures.saved(pictures.palette if format == "GIF" else pictures.sample, format)(path)
    whole = path.read_bytes()
    generator = random.Random(1)
    for _ in range(150):
        scribbled = bytearray(whole)
        reach = generator.choice([60, 400, len(whole)])
        for _ in range(generator.choice([1, 1, 3, 10])):
            scribbled[generator.randrange(min(len(whole), reach))] = generator.randrange(256)
        path.write_bytes(scribbled)
        try:
            picture = images.load(path, max_pixels=1_000_000)
        except ImageRefused as error:
            assert str(error).isprintable()
            continue
        assert picture.pixels.shape[2] == 3 and picture.pixels.min() >= 0 and picture.pixels.max() <= 255
    assert capfd.readouterr() == ("", "")


def test_picture_larger_than_the_memory_is_refused_not_called_damaged(tmp_path: Path) -> None:
    side = 6000
    (tmp_path / "vast.png").write_bytes(pictures.png_bytes(side, side, 8, 0, bytes(side * (side + 1))))
    code = (
        "import resource, sys; from pathlib import Path; from stylebank import errors\n"
        "from stylebank import images\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)\n"
        "try: images.load(sys.argv[1])\n"
        "except errors.ImageRefused as error: print(error)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "vast.png")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert "6000 x 6000 pixels need more memory than there is" in done.stdout, done.stderr


def test_eight_bits_are_rounded_not_truncated() -> None:
    values = np.array([-3, 0, 0.4, 0.6, 99.5001, 99.9, 254.6, 255, 300], np.float32)
    assert images.to_uint8(values).tolist() == [0, 0, 0, 1, 100, 100, 255, 255, 255]


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_saving_rounds(format: str, tmp_path: Path) -> None:
    pixels = np.full((40, 50, 3), 99.7, np.float32)
    images.save(tmp_path / "x", pixels, format=format, quality=95)
    assert (images.load(tmp_path / "x").pixels == 100).all()


@pytest.mark.parametrize("format", images.WRITE_FORMATS)
def test_saved_picture_reads_back(format: str, tmp_path: Path) -> None:
    name, suffix, _alpha = images.WRITE_FORMATS[format]
    path = tmp_path / f"x{suffix}"
    digest = images.save(path, pictures.colour(), format=format, quality=97)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == (name, "RGB", pictures.SIZE)
    assert images.format_of(path) == format
    assert np.abs(images.load(path).pixels - pictures.colour()).mean() < (0.01 if format in {"png", "tiff"} else 4)


@pytest.mark.parametrize("format", ["png", "webp", "tiff"])
def test_alpha_is_put_back_where_the_format_holds_it(format: str, tmp_path: Path) -> None:
    images.save(tmp_path / "x", pictures.colour(), format=format, quality=97, alpha=pictures.opacity())
    alpha = images.load(tmp_path / "x").alpha
    assert alpha is not None and np.array_equal(alpha, pictures.opacity())


def test_jpeg_of_a_see_through_picture_stands_on_white(tmp_path: Path) -> None:
    images.save(tmp_path / "x.jpg", pictures.colour(), format="jpg", quality=97, alpha=pictures.opacity())
    pixels = images.load(tmp_path / "x.jpg").pixels
    assert pixels[:, 0].mean() > 250
    assert np.abs(pixels[:, -1] - pictures.colour()[:, -1]).mean() < 10


def test_over_white_is_white_where_clear_and_the_picture_where_opaque() -> None:
    colour = pictures.colour()
    composited = images.over_white(colour, pictures.opacity())
    assert (composited[:, 0] == 255).all()
    assert np.array_equal(composited[:, -1], colour[:, -1])
    assert images.over_white(colour, None) is colour


def test_quality_changes_the_size_of_the_file(tmp_path: Path) -> None:
    for quality in (30, 97):
        images.save(tmp_path / f"{quality}", pictures.colour(), format="jpg", quality=quality)
    assert (tmp_path / "30").stat().st_size < (tmp_path / "97").stat().st_size / 2


@pytest.mark.parametrize(("format", "width"), [("webp", 16_400), ("jpg", 65_600)])
def test_picture_the_format_cannot_hold_leaves_the_old_file_and_nothing_else(
    format: str, width: int, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{format}"
    path.write_bytes(b"old")
    with pytest.raises(OutputRefused, match=r"x\.\w+: .+\. Choose another --format or --size\.$"):
        images.save(path, np.zeros((32, width, 3), np.float32), format=format, quality=90)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == [path.name]


def test_save_replaces_a_link_not_what_it_leads_to(tmp_path: Path) -> None:
    original = tmp_path / "original.png"
    original.write_bytes(b"precious")
    (tmp_path / "link.png").symlink_to(original)
    images.save(tmp_path / "link.png", pictures.colour(), format="png", quality=95)
    assert original.read_bytes() == b"precious"
    assert images.load(tmp_path / "link.png").size == pictures.SIZE


def test_save_where_it_cannot_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "missing" / "x.png", tmp_path / "folder.png", tmp_path / f"{'x' * 300}.png"):
        with pytest.raises(OutputRefused) as refused:
            images.save(path, pictures.colour(), format="png", quality=95)
        assert str(refused.value).startswith(f"{path}: ") and str(refused.value).endswith(".")
    assert names_in(tmp_path) == ["folder.png"]


def test_format_is_told_by_the_suffix() -> None:
    assert [images.format_of(Path(f"x{suffix}")) for suffix in (".JPG", ".jpeg", ".tif", ".Png", ".webp")] == [
        "jpg",
        "jpg",
        "tiff",
        "png",
        "webp",
    ]
    for name in ("x.gif", "x", "x.svg"):
        with pytest.raises(UsageError, match="unknown output format"):
            images.format_of(Path(name))


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((640, 480), 512, (512, 384)),
        ((480, 640), 512, (384, 512)),
        ((100, 100), 512, (512, 512)),
        ((1001, 667), 300, (300, 200)),
        ((64, 48), 64, (64, 48)),
    ],
)
def test_fit_keeps_the_shape(size: tuple[int, int], longest: int, expected: tuple[int, int]) -> None:
    assert images.fit(size, longest) == expected


def test_fit_refuses_what_becomes_too_thin() -> None:
    with pytest.raises(UsageError, match="1000 x 100 at 256 pixels on the longer side would be 256 x 26"):
        images.fit((1000, 100), 256)


def test_resize_keeps_brightness_range_and_fractions() -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (96, 128, 3)).astype(np.float32)
    pixels[:, :64] = 0
    pixels[:, 64:, 0] = 255
    for size in ((64, 48), (300, 200), (33, 95)):
        resized = images.resize(pixels, size)
        assert resized.shape == (size[1], size[0], 3) and resized.dtype == np.float32
        assert resized.min() >= 0 and resized.max() <= 255
        assert np.abs(resized.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 2
        assert (resized != np.rint(resized)).any()
    assert np.allclose(images.resize(np.full((50, 60, 3), 17.3, np.float32), (90, 40)), 17.3, atol=1e-4)
    assert images.resize(pixels, (128, 96)) is pixels


def test_resize_does_not_turn_or_mirror() -> None:
    small = images.resize(pictures.colour(), (32, 24))
    block_means = pictures.colour().reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), block_means.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("size", [(100, 100), (300, 100), (50, 200), (64, 48), (7, 5)])
def test_crop_has_the_shape_and_the_middle(size: tuple[int, int]) -> None:
    pixels = np.zeros((48, 64, 3), np.float32)
    pixels[23:25, 31:33] = 255
    cropped = images.crop_to_shape(pixels, size)
    height, width = cropped.shape[:2]
    assert abs(width / height - size[0] / size[1]) < 0.1 * size[0] / size[1]
    assert height == 48 or width == 64
    rows, columns = np.nonzero(cropped[..., 0])
    assert abs(rows.mean() - (height - 1) / 2) <= 0.5 and abs(columns.mean() - (width - 1) / 2) <= 0.5


def test_thumbnail_is_a_small_jpeg_of_the_picture() -> None:
    big = images.resize(pictures.colour(), (640, 480))
    data = images.thumbnail(big)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (160, 120))
        assert np.abs(np.asarray(image, np.float32) - images.resize(big, (160, 120))).mean() < 4
    assert len(data) < 20_000
    with Image.open(io.BytesIO(images.thumbnail(pictures.colour()))) as image:
        assert image.size == pictures.SIZE
    with Image.open(io.BytesIO(images.thumbnail(np.zeros((1, 1000, 3), np.float32)))) as image:
        assert image.size == (160, 1)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animation_shows_every_frame_and_rests_on_the_last(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    levels = [0, 60, 120, 180, 240]
    frames = [np.full((48, 64, 3), level, np.float32) for level in levels]
    images.save_animation(path, frames, (frames[0].shape[1], frames[0].shape[0]), milliseconds=50)
    shown, durations = [], []
    with Image.open(path) as image:
        assert image.size == (64, 48)
        assert image.info["loop"] == 0
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
            shown.append(np.asarray(image.convert("RGB"), np.float32).mean())
    assert np.allclose(shown, levels, atol=4)
    assert durations == [50, 50, 50, 50, 2000]
    assert names_in(tmp_path) == [path.name]


def test_animation_where_it_cannot_be_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputRefused, match="No such file or folder"):
        images.save_animation(tmp_path / "missing" / "x.gif", [pictures.colour()], (64, 48))
    for name, width in (("x.webp", 16_400), ("x.gif", 65_600)):
        with pytest.raises(OutputRefused, match="Choose a smaller --size"):
            images.save_animation(tmp_path / name, [np.zeros((32, width, 3), np.float32)] * 2, (width, 32))
    assert names_in(tmp_path) == []


def test_the_size_shown_is_read_from_the_head_and_turned_as_the_picture_is(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "plain.png")
    (tmp_path / "text.jpg").write_text("not a picture")
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ("turned.jpg", "plain.png", "text.jpg", "pipe.jpg", "nowhere.jpg")
    assert [images.shown_size(tmp_path / name) for name in names] == [(40, 80), (80, 40), None, None, None]
    for name in names[:2]:
        assert images.shown_size(tmp_path / name) == images.load(tmp_path / name).size


def test_a_preview_of_a_jpeg_is_smaller_never_below_what_is_asked_for_and_of_the_same_digest(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (30, 40, 3)).astype(np.float32)
    images.save(tmp_path / "a.jpg", images.resize(pixels, (1600, 1200)), format="jpg", quality=90)
    whole, preview = images.load(tmp_path / "a.jpg"), images.load(tmp_path / "a.jpg", preview=160)
    assert preview.size == (200, 150) and preview.sha256 == whole.sha256
    assert np.abs(preview.pixels - images.resize(whole.pixels, preview.size)).mean() < 4
