"""Pictures read."""

from __future__ import annotations

import hashlib
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
from stylebank.errors import ImageRefused, printable
from tests import pictures


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
    assert np.allclose((picture.pixels[..., 1] * 257)[values != 1000], values[values != 1000], atol=0.01)


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
    visible = pictures.opacity() > 0
    assert np.array_equal(picture.pixels[visible], pictures.colour()[visible])


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
    assert "6000 x 6000 pixels need more memory than is free" in done.stdout, done.stderr


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
