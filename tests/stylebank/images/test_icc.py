from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms

from stylebank.images.icc import deep_to_srgb, srgb_profile, to_srgb
from tests import pictures


def _srgb_of_linear(values: np.ndarray) -> np.ndarray:
    x = values / 65535
    return 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def test_grey_of_sixteen_bits_keeps_them_through_its_profile() -> None:
    values = np.arange(0, 65536, 8, dtype=np.uint16).reshape(64, 128)
    notes: list[str] = []
    converted = deep_to_srgb(values[..., None], pictures.linear_grey_profile(), notes)
    assert notes == [] and converted is not None and converted.shape == (*values.shape, 3)
    assert (converted[..., 0] == converted[..., 1]).all() and (converted[..., 0] == converted[..., 2]).all()
    assert np.abs(converted[..., 0] - _srgb_of_linear(values)).max() < 0.02
    assert len(np.unique(converted)) > 0.9 * values.size  # 256 at 8 bits


@pytest.mark.parametrize("profile", [b"no profile at all", pictures.swapped_profile()])
def test_a_profile_that_is_broken_or_of_other_channels_converts_nothing_and_is_noted(profile: bytes) -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16
    notes: list[str] = []
    assert deep_to_srgb(np.stack([values] * 4, axis=-1), profile, notes) is None
    assert notes == ["has a broken colour profile; sRGB is assumed"]


def test_grey_under_a_profile_of_three_channels_is_read_as_it_was() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16
    converted = deep_to_srgb(values[..., None], pictures.swapped_profile(), [])
    assert converted is not None and np.abs(converted[..., 0] - values / 257).max() < 0.02


def test_the_profile_is_whole_and_without_the_hour() -> None:
    profile = srgb_profile()
    assert struct.unpack_from(">I", profile)[0] == len(profile) and profile[36:40] == b"acsp"
    assert struct.unpack_from(">6H", profile, 24) == (2000, 1, 1, 0, 0, 0)
    assert srgb_profile.__wrapped__() == profile


@pytest.mark.parametrize("level", [0, 65535])
def test_black_and_white_stay(level: int) -> None:
    values = np.full((8, 8), level, np.uint16)
    assert np.allclose(deep_to_srgb(values[..., None], pictures.linear_grey_profile(), []), level / 257, atol=0.01)


def test_eight_bits_are_littlecmss_conversion_also_in_several_threads() -> None:
    random = np.random.default_rng(0)
    photographs = [Image.fromarray(random.integers(0, 256, (64, 48, 3), np.uint8)) for _ in range(32)]
    profile = pictures.swapped_profile()
    opened, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    expected = [np.asarray(ImageCms.profileToProfile(one, opened, srgb, outputMode="RGB")) for one in photographs]
    with ThreadPoolExecutor(4) as pool:
        converted = list(pool.map(lambda one: np.asarray(to_srgb(one, profile, [])), photographs))
    np.testing.assert_array_equal(converted, expected)


def test_the_profile_of_outputs_changes_no_colour() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 5, np.uint8)] * 3), axis=-1).reshape(52, -1, 3)
    opened, srgb = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())), ImageCms.createProfile("sRGB")
    image = Image.fromarray(grid)
    np.testing.assert_array_equal(np.asarray(ImageCms.profileToProfile(image, opened, srgb, outputMode="RGB")), grid)
    np.testing.assert_array_equal(np.asarray(to_srgb(image, srgb_profile(), [])), grid)
