"""LittleCMS is the oracle for primaries and exponents, and the standards' own examples for HDR curves."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from stylebank.images.icc import srgb_profile
from stylebank.images.rgb_spaces import ADOBE_RGB, SRGB_PRIMARIES, RgbSpace, power_space, space_of_codes

VALUES = np.random.default_rng(0).integers(0, 65536, (16, 32, 3)).astype(np.uint16)
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
PROPHOTO_D50 = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
BT2020 = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)


def by_littlecms(primaries: tuple[float, ...], exponent: float) -> np.ndarray:
    white, corners = (*primaries[:2], 1.0), primaries[2:]
    triples = [value for k in range(3) for value in (*corners[2 * k : 2 * k + 2], 1.0)]
    profile = imagecodecs.cms_profile("rgb", whitepoint=white, primaries=triples, gamma=exponent)
    options = {"colorspace": "rgb", "outcolorspace": "rgb", "outdtype": "uint16", "intent": 1, "flags": 0x100}
    return imagecodecs.cms_transform(VALUES, profile, srgb_profile(), **options) / 257


@pytest.mark.parametrize(
    "primaries, exponent",
    [(ADOBE, 563 / 256), (SRGB_PRIMARIES, 1.0), (SRGB_PRIMARIES, 1.8), (P3, 2.2), (BT2020, 2.4), (PROPHOTO_D50, 1.8)],
)
def test_primaries_and_exponent_convert_as_littlecms_does(primaries: tuple[float, ...], exponent: float) -> None:
    ours = power_space(exponent, primaries).to_srgb(VALUES)
    theirs = by_littlecms(primaries, exponent)
    inside = ((theirs > 1) & (theirs < 254)).all(axis=2)  # the rest is clipped
    assert inside.sum() > 60
    assert np.abs(ours - theirs)[inside].max() < 0.5


def test_adobe_rgb_has_its_primaries_and_exponent() -> None:
    assert ADOBE_RGB.primaries == ADOBE
    assert np.array_equal(ADOBE_RGB.to_srgb(VALUES), power_space(2.19921875, ADOBE).to_srgb(VALUES))


def test_pq_has_paper_white_at_203_and_hlg_at_three_quarters() -> None:
    """ITU-R BT.2408-4, table 1: the signal of diffuse white is 58 % in PQ and 75 % in HLG."""
    pq, hlg = space_of_codes(1, 16), space_of_codes(1, 18)
    assert pq is not None and hlg is not None and pq.hdr == "PQ" and hlg.hdr == "HLG"
    assert pq.to_linear is not None and hlg.to_linear is not None
    assert pq.to_linear(np.float32([0, 0.5806889, 1])) == pytest.approx([0, 1, 10_000 / 203], rel=1e-4)
    assert hlg.to_linear(np.float32([0, 0.75, 1])) == pytest.approx([0, 1, 4.926], rel=1e-3)  # 1000 / 203 cd/m2
    assert (pq.to_srgb(np.full((1, 1, 3), 65535, np.uint16)) > 254.99).all()


def test_srgb_is_recognised_and_kept() -> None:
    space = space_of_codes(1, 13)
    assert space is not None and space.is_srgb
    assert not RgbSpace(None, P3).is_srgb and not power_space(2.2).is_srgb
    assert np.abs(space.to_srgb(VALUES) - VALUES / 257).max() < 2e-3


@pytest.mark.parametrize("transfer", [1, 2, 6, 14, 15])
def test_curves_of_video_cameras_count_as_srgb_as_in_browsers(transfer: int) -> None:
    space = space_of_codes(1, transfer)
    assert space is not None and space.is_srgb


def test_unknown_codes_are_no_space() -> None:
    assert space_of_codes(99, 13) is None and space_of_codes(1, 99) is None


@pytest.mark.parametrize("dtype, white", [(np.uint8, 255), (np.uint16, 65535)])
def test_grey_of_linear_light_is_encoded(dtype: type, white: int) -> None:
    values = np.arange(white + 1, dtype=dtype)[None, ::7, None] if white == 255 else VALUES[..., :1]
    x = values / white
    expected = 255 * np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055)
    assert np.abs(power_space(1.0).to_srgb(values) - expected).max() < 0.01
