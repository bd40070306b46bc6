from __future__ import annotations

import struct

import numpy as np
import pytest

from stylebank.images.icc import grey_to_srgb, srgb_profile
from tests import pictures


def _srgb_of_linear(values: np.ndarray) -> np.ndarray:
    x = values / 65535
    return 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def test_grey_of_sixteen_bits_keeps_them_through_its_profile() -> None:
    values = np.arange(0, 65536, 8, dtype=np.uint16).reshape(64, 128)
    notes: list[str] = []
    converted = grey_to_srgb(values, pictures.linear_grey_profile(), notes)
    assert notes == [] and converted.shape == (*values.shape, 3)
    assert (converted[..., 0] == converted[..., 1]).all() and (converted[..., 0] == converted[..., 2]).all()
    assert np.abs(converted[..., 0] - _srgb_of_linear(values)).max() < 0.02
    assert len(np.unique(converted)) > 0.9 * values.size  # 256 at 8 bits


def test_a_broken_profile_leaves_all_sixteen_bits_and_says_so() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16
    notes: list[str] = []
    converted = grey_to_srgb(values, b"no profile at all", notes)
    assert notes == ["has a broken colour profile; sRGB is assumed"]
    assert np.allclose(converted[..., 0] * 257, values, atol=0.01)


def test_grey_under_a_profile_of_three_channels_is_read_as_it_was() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16
    converted = grey_to_srgb(values, pictures.swapped_profile(), [])
    assert np.abs(converted[..., 0] - values / 257).max() < 1.1


def test_the_profile_is_whole_and_without_the_hour() -> None:
    profile = srgb_profile()
    assert struct.unpack_from(">I", profile)[0] == len(profile) and profile[36:40] == b"acsp"
    assert struct.unpack_from(">6H", profile, 24) == (2000, 1, 1, 0, 0, 0)
    assert srgb_profile.__wrapped__() == profile


@pytest.mark.parametrize("level", [0, 65535])
def test_black_and_white_stay(level: int) -> None:
    values = np.full((8, 8), level, np.uint16)
    assert np.allclose(grey_to_srgb(values, pictures.linear_grey_profile(), []), level / 257, atol=0.01)
