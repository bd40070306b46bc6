"""Pictures and animations written."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.errors import OutputRefused, UsageError
from tests import pictures


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


def test_the_suffix_decides_the_format() -> None:
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


@pytest.mark.parametrize(("format", "depth"), [("jpg", 8), ("webp", 8), ("png", 8), ("png", 16), ("tiff", 16)])
def test_file_that_grows_too_large_for_the_system_is_named_so_and_leaves_nothing(
    format: str, depth: int, tmp_path: Path
) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from stylebank import images, errors\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "pixels = np.random.default_rng(0).uniform(0, 255, (300, 400, 3)).astype('f4')\n"
        f"try: images.save(Path(sys.argv[1]), pixels, format={format!r}, quality=95, depth={depth})\n"
        "except errors.StylebankError as error: print(error)\n"
    )
    target = tmp_path / f"x.{format}"
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{target}: ") and "too large" in done.stdout.lower(), done.stdout + done.stderr
    assert "--format" not in done.stdout and list(tmp_path.iterdir()) == []
