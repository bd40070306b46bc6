"""Colour profiles: conversion to sRGB, and the profile that output files get."""

from __future__ import annotations

import io
import struct
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

#: Note about a profile that cannot be read.
BROKEN_PROFILE = "has a broken colour profile; sRGB is assumed"
#: Channels by the colour space of a profile.
_CHANNELS = {"GRAY": 1, "RGB": 3, "CMYK": 4}
_ROWS = 512
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


@cache
def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB; the bytes are always the same."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = _DATE  # LittleCMS writes the time there, so that two runs would write different files
    return bytes(profile)


def to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """Convert an 8-bit image from `profile` to sRGB; a broken profile adds a note and changes nothing."""
    if profile == srgb_profile() and image.mode == "RGB":  # of our own outputs
        return image
    try:
        if image.mode == "L" and _color_space(profile) == "RGB ":
            image = image.convert("RGB")
        converted = ImageCms.applyTransform(image, _transform(profile, image.mode))
    except Exception:  # from LittleCMS, or a profile with other channels than the image
        notes.append(BROKEN_PROFILE)
        return image
    assert converted is not None
    return converted


@lru_cache(maxsize=8)
def _color_space(profile: bytes) -> str:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Return LittleCMS's transform to sRGB: the pictures of one camera share it, in all threads."""
    # of grey, the optimisation's tables are too coarse for the shadows
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(embedded, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)


def deep_to_srgb(values: npt.NDArray[np.uint16], profile: bytes, notes: list[str]) -> npt.NDArray[np.float32] | None:
    """Convert 16 bits per channel from `profile` to sRGB. Pillow's LittleCMS has 8 bits per channel, except for grey.

    Parameters
    ----------
    values : ndarray of uint16, shape (H, W, C)
        C is 1 for grey, 3 for RGB, 4 for CMYK. Grey values may have a profile of RGB.
    profile
        ICC profile.
    notes
        List that gets a note if the profile is broken, or belongs to other channels.

    Returns
    -------
    ndarray, float32, shape (H, W, 3), or None
        Values in 0..255; None if the profile is broken.
    """
    if profile == srgb_profile():  # of our own outputs
        return np.repeat(values / np.float32(257), 3 // values.shape[2], axis=2) if values.shape[2] <= 3 else None
    import imagecodecs

    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = embedded.profile.xcolor_space.strip()
        if values.shape[2] == 1 and space == "RGB":
            values = np.repeat(values, 3, axis=2)
        if _CHANNELS.get(space) != values.shape[2]:
            raise ValueError("a profile of other channels")
        result = np.empty((*values.shape[:2], 3), np.float32)
        for start in range(0, len(values), _ROWS):
            rows = np.ascontiguousarray(values[start : start + _ROWS])
            result[start : start + _ROWS] = imagecodecs.cms_transform(
                rows[..., 0] if rows.shape[2] == 1 else rows,
                profile,
                srgb_profile(),
                colorspace=space.lower(),
                outcolorspace="rgb",
                outdtype="uint16",
                intent=0,  # perceptual, as for 8 bits
                flags=ImageCms.Flags.NOOPTIMIZE,  # its tables are too coarse for the shadows
            )
    except MemoryError:
        raise
    except Exception:  # LittleCMS
        notes.append(BROKEN_PROFILE)
        return None
    result /= 257
    return np.repeat(result[..., 1:2], 3, axis=2) if space == "GRAY" else result  # they differ by rounding


def cmyk_to_srgb(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Convert CMYK without a profile, (H, W, 4) in 16 bits, by complements; return float32 in 0..255."""
    light = 1 - values / np.float32(65535)
    return np.asarray(255 * light[..., :3] * light[..., 3:], np.float32)
