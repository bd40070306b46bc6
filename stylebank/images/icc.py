"""Colour profiles: conversion to sRGB, and the profile that output files get."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_BROKEN = "has a broken colour profile; sRGB is assumed"
_D50 = tuple(round(x * 65536) for x in (0.9642, 1.0, 0.8249))  # the white of every ICC profile, in 1/65536
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


@cache
def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB; the bytes are always the same."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = _DATE  # LittleCMS writes the time there, so that two runs would write different files
    return bytes(profile)


@cache
def _srgb_grey_profile() -> bytes:
    """Return a grey ICC profile with the curve of sRGB, which Pillow cannot create."""
    srgb = srgb_profile()
    (count,) = struct.unpack_from(">I", srgb, 128)
    offsets = {name: (start, size) for name, start, size in struct.iter_unpack(">4sII", srgb[132 : 132 + 12 * count])}
    start, size = offsets[b"rTRC"]
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78),
        b"cprt": b"text\0\0\0\0free\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *_D50),
        b"kTRC": srgb[start : start + size],
    }
    table, body = struct.pack(">I", len(tags)), b""
    begin = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", begin + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI", begin + len(body), b"lcms", 0x02400000) + b"mntrGRAYXYZ " + _DATE + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", *_D50)
    return header.ljust(128, b"\0") + table + body


def to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """Convert an 8-bit image from `profile` to sRGB; a broken profile adds a note and changes nothing."""
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "L" and embedded.profile.xcolor_space == "RGB ":
            image = image.convert("RGB")
        converted = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # from LittleCMS, or a profile with other channels than the image
        notes.append(_BROKEN)
        return image
    assert converted is not None
    return converted


def grey_to_srgb(values: npt.NDArray[np.uint16], profile: bytes, notes: list[str]) -> npt.NDArray[np.float32]:
    """Convert grey values of 16 bits from `profile` to sRGB.

    Parameters
    ----------
    values : ndarray of uint16, shape (H, W)
    profile
        ICC profile. One with three channels, which a grey image should not have, is applied with 8 bits.
    notes
        List that gets a note if the profile is broken; the values are then used unchanged.

    Returns
    -------
    ndarray, float32, shape (H, W, 3)
        Values in 0..255.
    """
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if embedded.profile.xcolor_space != "GRAY":
            image8 = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
            return np.asarray(to_srgb(image8, profile, notes).convert("RGB"), np.float32)
        target = ImageCms.ImageCmsProfile(io.BytesIO(_srgb_grey_profile()))
        image = ImageCms.profileToProfile(
            Image.fromarray(values),
            embedded,
            target,
            outputMode="I;16",
            flags=ImageCms.Flags.NOOPTIMIZE,  # its tables are too coarse for the shadows
        )
        values = np.asarray(image, np.uint16)
    except Exception:  # LittleCMS
        notes.append(_BROKEN)
    return np.repeat((values / np.float32(257))[..., None], 3, axis=2)
