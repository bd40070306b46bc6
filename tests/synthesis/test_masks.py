from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.jobs.mask_files import MaskFiles
from pipeline.jobs.style_spec import parse
from pipeline.synthesis import masks
from stylebank import images
from stylebank.errors import ImageRefused, UsageError

SIZE = (96, 64)


def written(path: Path, columns: int, size: tuple[int, int] = SIZE) -> Path:
    """Write a mask whose first columns are white."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[:, :columns] = 255
    Image.fromarray(pixels).save(path)
    return path


def test_grey_and_transparency_select_in_part(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = (255, 255, 255, 255)
    pixels[16:24] = (128, 128, 128, 255)
    pixels[24:] = (255, 255, 255, 51)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    mask = masks.load(tmp_path / "mask.png")
    assert len(mask.sha256) == 64 and mask.values.dtype == np.float32
    assert mask.notes == ("has grey values and transparency; the mask is their product",)
    np.testing.assert_allclose(
        [mask.values[0, 0], mask.values[20, 0], mask.values[30, 0]], [1, 128 / 255, 0.2], atol=1e-5
    )


def saved(path: Path, array: np.ndarray, **options: int | bool) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def loaded(path: Path, array: np.ndarray, **options: int | bool) -> masks.MaskImage:
    return masks.load(saved(path, array, **options))


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 5), (3, 2), (31, 31), (8, 200)])
def test_a_mask_of_any_size_is_read(tmp_path: Path, size: tuple[int, int]) -> None:
    mask = loaded(tmp_path / "mask.png", np.full(size[::-1], 255, np.uint8))
    assert mask.values.shape == size[::-1] and mask.values.min() == 1 and mask.notes == ()


@pytest.mark.parametrize("brightest", [1, 2, 7, 15])
@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.bmp", "mask.webp"])
def test_a_mask_of_labels_in_place_of_white_is_refused_with_its_brightest_value(
    tmp_path: Path, brightest: int, name: str
) -> None:
    labels = np.zeros((32, 48), np.uint8)
    labels[8:, 8:] = brightest
    options = {"lossless": True} if name.endswith("webp") else {}
    with pytest.raises(ImageRefused, match=rf"mask .*{name}: has {brightest} of 255 as its brightest value"):
        loaded(tmp_path / name, labels, **options)


def test_other_scales_of_labels_are_refused_too(tmp_path: Path) -> None:
    ones = np.zeros((32, 48), np.uint8)
    ones[8:] = 1
    for name, array in (
        ("jpeg.jpg", ones),
        ("deep.png", ones.astype(np.uint16)),
        ("eight_bits_in_sixteen.png", ones.astype(np.uint16) * 255),
        ("rgb.png", np.repeat(ones[..., None], 3, axis=2)),
        ("opacity.png", np.dstack([np.full_like(ones, 255)] * 3 + [ones])),
    ):
        with pytest.raises(ImageRefused, match=r"of 255 as its brightest value.*a mask of 0 and 1 times 255"):
            loaded(tmp_path / name, array)


def test_a_black_mask_is_refused_as_black(tmp_path: Path) -> None:
    black = np.zeros((32, 48), np.uint8)
    with pytest.raises(ImageRefused, match=r"is black everywhere, and white selects"):
        loaded(tmp_path / "black.png", black)
    silhouette = np.dstack([black, black, black, np.tile(np.repeat([0, 255], 24), (32, 1)).astype(np.uint8)])
    with pytest.raises(ImageRefused, match=r"is black where it is opaque, and white selects"):
        loaded(tmp_path / "silhouette.png", silhouette)


@pytest.mark.parametrize(("brightest", "percent"), [(16, 6), (38, 15), (128, 50), (249, 98)])
def test_a_mask_that_never_reaches_white_is_used_as_it_is_with_a_note(
    tmp_path: Path, brightest: int, percent: int
) -> None:
    grey = np.zeros((32, 48), np.uint8)
    grey[8:] = brightest
    mask = loaded(tmp_path / "mask.png", grey)
    np.testing.assert_allclose(mask.values, grey / 255, atol=1e-6)
    note = f"has {brightest} of 255 as its brightest value; the style counts for {percent} % at most"
    assert mask.notes == (note,)


@pytest.mark.parametrize("brightest", [250, 255])
def test_a_mask_that_reaches_white_has_no_note(tmp_path: Path, brightest: int) -> None:
    assert loaded(tmp_path / "mask.png", np.full((32, 48), brightest, np.uint8)).notes == ()


def test_sixteen_bits_of_a_mask_are_kept(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 32 * 48).round().astype(np.uint16).reshape(32, 48)
    for name in ("mask.png", "mask.tif"):
        mask = loaded(tmp_path / name, deep)
        np.testing.assert_allclose(mask.values, deep / 65535, atol=1e-5)
        assert mask.notes == ()


@pytest.mark.parametrize("name", ["cutout.png", "cutout.webp", "cutout.tif"])
def test_the_opacity_alone_of_a_cutout_with_colours_is_the_mask(tmp_path: Path, china: np.ndarray, name: str) -> None:
    opacity = np.tile(np.linspace(0, 255, 96).round().astype(np.uint8), (64, 1))
    cutout = np.dstack([china.astype(np.uint8), opacity])
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    mask = loaded(tmp_path / name, cutout, **options)
    np.testing.assert_allclose(mask.values, opacity / 255, atol=1e-6)
    assert mask.notes == ("is a cut-out with colours; its opacity alone is the mask",)


def test_a_palette_with_a_clear_colour_is_a_cutout_too(tmp_path: Path) -> None:
    image = Image.fromarray(np.tile(np.repeat([0, 1], 24), (32, 1)).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 200, 40, 10])
    image.save(tmp_path / "mask.gif", transparency=0)
    mask = masks.load(tmp_path / "mask.gif")
    assert mask.values[:, :24].max() == 0 and mask.values[:, 24:].min() == 1
    assert mask.notes == ("is a cut-out with colours; its opacity alone is the mask",)


def test_colour_hidden_under_transparency_does_not_count(tmp_path: Path) -> None:
    opacity = np.tile(np.repeat([0, 255], 24), (32, 1)).astype(np.uint8)
    for number, hidden in enumerate(((255, 0, 0), (0, 255, 0), (9, 9, 9))):
        white = np.full((32, 48, 3), 255, np.uint8)
        white[opacity == 0] = hidden
        mask = loaded(tmp_path / f"{number}.png", np.dstack([white, opacity]))
        np.testing.assert_array_equal(mask.values, opacity / 255)
        assert mask.notes == ()


def test_an_opaque_mask_with_colours_selects_by_brightness_with_a_note(tmp_path: Path) -> None:
    colors = np.full((32, 48, 3), 255, np.uint8)
    colors[8:] = (255, 0, 0)
    mask = loaded(tmp_path / "mask.png", colors)
    np.testing.assert_allclose([mask.values[0, 0], mask.values[20, 0]], [1, 0.299], atol=1e-5)
    assert mask.notes == ("has colours; their brightness is the mask",)


def disc(size: int = 192) -> np.ndarray:
    """A white disc on black with smooth edges, by arithmetic."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.clip(255 * (size / 3 - np.hypot(x, y)) + 127.5, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mask.jpg", {"quality": 75}),
        ("mask.jpg", {"quality": 90}),
        ("mask.jpg", {"quality": 75, "progressive": True}),
        ("mask.webp", {"quality": 75}),
        ("mask.webp", {"quality": 50}),
        ("mask.avif", {"quality": 50}),
        ("mask.heic", {"quality": 50}),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_ringing_of_lossy_masks_is_removed_on_both_sides(
    tmp_path: Path, name: str, options: dict[str, int | bool], mode: str
) -> None:
    if Path(name).suffix not in images.READ_SUFFIXES:
        pytest.skip(f"no {Path(name).suffix} here")
    shape = disc()
    Image.fromarray(shape).convert(mode).save(tmp_path / name, **options)
    mask = masks.load(tmp_path / name)
    edge = np.hypot(*(np.mgrid[:192, :192] - 95.5)) - 64
    assert mask.values[edge > 2].max() < 1 / 128 and mask.values[edge < -2].min() > 1 - 1 / 128
    assert np.abs(mask.values * 255 - shape).max() < 100  # the edge itself stays soft
    coverage = masks.regions([mask.values], (192, 192)).coverage
    assert not coverage[edge > 2].any()


def test_ringing_is_noted_and_png_has_none(tmp_path: Path) -> None:
    note = "is compressed with loss; ringing beside its hard edges is removed (PNG has none)"
    assert note in loaded(tmp_path / "mask.jpg", disc(), quality=75).notes
    faint = disc()
    faint[:8] = 9  # a real value in a file without loss
    mask = loaded(tmp_path / "mask.png", faint)
    np.testing.assert_array_equal(np.rint(mask.values * 255), faint)
    assert mask.notes == ()


@pytest.mark.parametrize("level", [20, 38, 128, 230])
def test_faint_and_soft_values_of_a_lossy_mask_stay(tmp_path: Path, level: int) -> None:
    flat = loaded(tmp_path / "flat.jpg", np.full((64, 64), level, np.uint8), quality=90)
    assert np.abs(flat.values * 255 - level).max() <= 1
    ramp = np.tile(np.linspace(0, 255, 96).round().astype(np.uint8), (64, 1))
    soft = loaded(tmp_path / "soft.jpg", ramp, quality=90)
    assert np.abs(soft.values * 255 - ramp).max() <= 6


def test_the_rest_is_the_complement_and_overlaps_are_normalised() -> None:
    left, most = np.zeros((2, 64, 96), np.float32)
    left[:, :60] = 1
    most[:, 30:72] = 1
    region_masks = masks.regions([left, most, None], SIZE)
    np.testing.assert_allclose(region_masks.masks.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(region_masks.masks[:, 5, 45], [0.5, 0.5, 0])
    np.testing.assert_allclose(region_masks.masks[:, 5, 90], [0, 0, 1])


def test_pixels_outside_all_masks_are_the_subjects(china: np.ndarray) -> None:
    left = np.zeros((64, 96), np.float32)
    left[:, :48] = 1
    region_masks = masks.regions([left], SIZE)
    blended = region_masks.blended([255 - china], china)
    np.testing.assert_array_equal(blended[:, 48:], china[:, 48:])
    np.testing.assert_array_equal(blended[:, :48], (255 - china)[:, :48])
    small = region_masks.resized((48, 32))
    assert small.masks.shape == (1, 32, 48) and small.coverage[:, :20].min() == 1 and small.coverage[:, 28:].max() == 0


def test_edges_stay_soft() -> None:
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))
    coverage = masks.regions([ramp], SIZE).coverage
    np.testing.assert_allclose(coverage[0, 10:], ramp[0, 10:], atol=1e-3)


def test_a_region_too_small_is_refused_by_name() -> None:
    spot = np.zeros((64, 96), np.float32)
    spot[:10, :10] = 1
    with pytest.raises(UsageError, match=r"region sky: 100 pixels at the output's 96 x 64; expected 1024 or more"):
        masks.regions([spot, None], SIZE, ["sky", "rest"])
    with pytest.raises(UsageError, match="the mask: 100 pixels"):
        masks.regions([spot], SIZE, [""])
    with pytest.raises(UsageError, match="region rest: 0 pixels"):
        masks.regions([np.ones((64, 96), np.float32), None], SIZE, ["sky", "rest"])


@pytest.mark.parametrize("size", [(96, 64), (48, 32), (3000, 2000), (49, 32)])
def test_a_mask_may_have_any_size_of_the_same_aspect_ratio(size: tuple[int, int]) -> None:
    masks.check_shape(size, SIZE, "mask.png")


@pytest.mark.parametrize("size", [(64, 96), (96, 70), (3000, 2100)])
def test_a_mask_of_another_aspect_ratio_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"mask mask\.png: \d+ x \d+ pixels, and the subject has 96 x 64"):
        masks.check_shape(size, SIZE, "mask.png")


def test_masks_can_differ_by_subject(tmp_path: Path) -> None:
    for name, columns in (("one", 48), ("two", 72)):
        written(tmp_path / f"{name}.png", columns)
    mask_files = MaskFiles(parse(["a"], [f"{tmp_path}/{{subject}}.png"], exists=lambda name: False))
    coverages = []
    for name in ("one", "two"):
        region_masks, record = mask_files.regions(Path(f"in/{name}.jpg"), SIZE, SIZE)
        assert region_masks is not None and record == mask_files.recorded(Path(f"in/{name}.jpg"))
        coverages.append(float(region_masks.coverage.mean()))
    assert coverages == pytest.approx([0.5, 0.75], abs=0.02)
    recorded = [mask_files.recorded(Path(f"in/{name}.jpg"))["masks"][""] for name in ("one", "two")]
    assert len(set(recorded)) == 2
    assert mask_files.recorded(Path("in/three.jpg")) == {"masks": {"": None}}
    for method in (mask_files.regions, mask_files.check):
        with pytest.raises(ImageRefused, match=r"three\.png"):
            method(Path("in/three.jpg"), SIZE, SIZE)
    assert mask_files.paths([Path("in/one.jpg")]) == {str((tmp_path / "one.png").resolve())}


def test_hard_edges_do_not_ring_at_any_size() -> None:
    mask = np.zeros((200, 300), np.float32)
    mask[:, :150] = 1
    for size in ((96, 64), (600, 400)):
        coverage = masks.regions([mask], size).coverage
        assert not coverage[:, size[0] // 2 + 2 :].any() and coverage[:, : size[0] // 2 - 2].min() == 1


def test_an_unreadable_mask_is_refused_before_any_subject(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.png: no such file"):
        MaskFiles(parse(["a"], [f"{tmp_path}/missing.png"], exists=lambda name: False))


def test_without_masks_nothing_is_recorded() -> None:
    mask_files = MaskFiles(parse(["a"], exists=lambda name: False))
    assert mask_files.regions(Path("x.jpg"), SIZE, SIZE) == (None, {}) and mask_files.recorded(Path("x.jpg")) == {}
