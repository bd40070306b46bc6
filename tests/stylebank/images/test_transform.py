"""Pixels resized, cropped and composited."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.errors import UsageError
from tests import pictures


def test_eight_bits_are_rounded_not_truncated() -> None:
    values = np.array([-3, 0, 0.4, 0.6, 99.5001, 99.9, 254.6, 255, 300], np.float32)
    assert images.to_uint8(values).tolist() == [0, 0, 0, 1, 100, 100, 255, 255, 255]


def test_over_white_is_white_where_clear_and_the_picture_where_opaque() -> None:
    colour = pictures.colour()
    composited = images.composite_on_white(colour, pictures.opacity())
    assert (composited[:, 0] == 255).all()
    assert np.array_equal(composited[:, -1], colour[:, -1])
    assert images.composite_on_white(colour, None) is colour


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
