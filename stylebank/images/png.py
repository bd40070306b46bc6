"""PNG files: what their chunks say, and pixels of 16 bits, which Pillow reads with 8."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from .deep import DeepPixels, with_alpha
from .rgb_spaces import Primaries, RgbSpace, power_space, space_of_codes

_GREY, _GREY_ALPHA, _RGBA = 0, 4, 6  # color types
SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Largest text block that Pillow inflates; a file with a larger one is no image to it.
_MAX_TEXT = 1 << 20
#: Sum of the text blocks of a file that are passed on to Pillow.
_MAX_TEXTS = 16 << 20
_MAX_PROFILE = 16 << 20
_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
#: An exponent of 45455/100000 with the primaries of sRGB stands for the curve of sRGB.
_SRGB_GAMMA = (0.45, 0.46)


@dataclass
class PngChunks:
    """What the chunks of a PNG say about its pixels.

    Attributes
    ----------
    data
        The file, without blocks that are too large for Pillow.
    bits, color_type : int
        Bits per channel, and the type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
    has_profile : bool
        Whether there is an ICC profile, broken or not.
    profile : bytes or None
        An ICC profile that is left out of `data`.
    space : RgbSpace or None
        Colour space by cICP, or by gAMA and cHRM; None for sRGB.
    stated : {"", "cICP", "profile", "other"}
        What states the colour space: a known cICP, which outranks a profile, or sRGB, gAMA or cHRM; else nothing.
    """

    data: bytes
    bits: int = 8
    color_type: int = 2
    has_profile: bool = False
    profile: bytes | None = None
    space: RgbSpace | None = None
    stated: str = ""


def read_chunks(data: bytes, notes: list[str]) -> PngChunks:
    """Read the chunks of a PNG; a damaged file is returned as far as it can be read.

    Parameters
    ----------
    data
        The file.
    notes
        List that gets a note for each block that is left out, and for a colour space that is not known.
    """
    result = PngChunks(data)
    dropped: list[tuple[int, int]] = []
    statements: dict[bytes, bytes] = {}
    texts = 0
    for kind, start, end in _chunks(data):
        content = data[start + 8 : end - 4]
        if kind == b"IHDR" and len(content) == 13:
            result.bits, result.color_type = content[8], content[9]
        elif kind == b"iCCP":
            result.has_profile = True
            profile = _inflated(content[content.find(b"\0") + 2 :], _MAX_PROFILE)
            if profile is None or len(profile) > _MAX_TEXT:
                dropped.append((start, end))
                result.profile = profile
                if profile is None:
                    notes.append(f"has a colour profile of more than {_MAX_PROFILE >> 20} MiB; sRGB is assumed")
        elif kind in _TEXT:
            size = _text_size(kind, content)
            texts += size
            if size > _MAX_TEXT or texts > _MAX_TEXTS:
                dropped.append((start, end))
                texts -= size
        elif kind in {b"sRGB", b"gAMA", b"cHRM", b"cICP"}:
            statements.setdefault(kind, content)
    if any(data[start + 4 : start + 8] in _TEXT for start, _end in dropped):
        notes.append(f"has a text block of more than {_MAX_TEXT >> 20} MiB; it is left out")
    for start, end in reversed(dropped):
        result.data = result.data[:start] + result.data[end:]
    result.space, result.stated = _space(statements, result.has_profile, notes)
    return result


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, begin and end of each whole chunk."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        if end > len(data):
            return
        yield data[position + 4 : position + 8], position, end
        position = end


def _inflated(content: bytes, limit: int) -> bytes | None:
    """Return what a block inflates to, empty if it is broken; None if that has more than `limit` bytes."""
    try:
        inflated = zlib.decompressobj().decompress(content, limit + 1)
    except zlib.error:
        return b""
    return None if len(inflated) > limit else inflated


def _text_size(kind: bytes, content: bytes) -> int:
    """Return the size of an inflated text block in bytes, or `_MAX_TEXT` + 1 for a larger one."""
    keyword = content.find(b"\0")
    if kind == b"tEXt" or keyword < 0:
        return len(content)
    if kind == b"zTXt":
        packed = content[keyword + 2 :]
    elif content[keyword + 1 : keyword + 2] == b"\1":
        packed = content[keyword + 3 :].split(b"\0", 2)[-1]
    else:
        return len(content)
    inflated = _inflated(packed, _MAX_TEXT)
    return _MAX_TEXT + 1 if inflated is None else len(inflated)


def _space(statements: dict[bytes, bytes], has_profile: bool, notes: list[str]) -> tuple[RgbSpace | None, str]:
    """Return the colour space and what states it; cICP comes before iCCP, that before sRGB, that before the others."""
    codes = statements.get(b"cICP")
    if codes is not None and len(codes) == 4:
        space = space_of_codes(codes[0], codes[1]) if codes[2] == 0 and codes[3] == 1 else None
        if space is not None:
            return _unless_srgb(space), "cICP"
        instead = "its profile is used" if has_profile else "sRGB is assumed"
        notes.append(f"has a colour space that is not known (cICP {', '.join(map(str, codes))}); {instead}")
    if has_profile:
        return None, "profile"
    if b"sRGB" in statements:
        return None, "other"
    primaries: Primaries | None = None
    if len(chromaticities := statements.get(b"cHRM", b"")) == 32:
        values = [value / 100_000 for value in struct.unpack(">8I", chromaticities)]
        if _plausible(values):
            primaries = tuple(values)  # type: ignore[assignment]
        else:
            notes.append("has impossible chromaticities; those of sRGB are assumed")
    stated = "other" if primaries is not None else ""
    if len(gamma := statements.get(b"gAMA", b"")) == 4:
        encoding = struct.unpack(">I", gamma)[0] / 100_000
        if not 0.1 <= encoding <= 10:
            notes.append(f"has an impossible gamma of {encoding:g}; sRGB is assumed")
        elif primaries is not None and not RgbSpace(None, primaries).is_srgb:
            return power_space(1 / encoding, primaries), "other"
        elif not _SRGB_GAMMA[0] <= encoding <= _SRGB_GAMMA[1]:
            return power_space(1 / encoding), "other"
        else:
            stated = "other"
    return _unless_srgb(RgbSpace(None, primaries) if primaries is not None else None), stated


def space_of_info(info: Mapping[Any, Any]) -> tuple[RgbSpace | None, bool]:
    """Return the colour space that Pillow keeps of gAMA, cHRM and sRGB, and whether one of them stands there."""
    statements: dict[bytes, bytes] = {}
    if "srgb" in info:
        statements[b"sRGB"] = b"\0"
    if isinstance(gamma := info.get("gamma"), float) and 0 <= gamma < 1 << 15:
        statements[b"gAMA"] = struct.pack(">I", round(gamma * 100_000))
    chromaticity = info.get("chromaticity")
    if (
        isinstance(chromaticity, tuple)
        and len(chromaticity) == 8
        and all(0 <= value < 1 << 15 for value in chromaticity)
    ):
        statements[b"cHRM"] = struct.pack(">8I", *(round(value * 100_000) for value in chromaticity))
    space, stated = _space(statements, False, [])
    return space, bool(stated)


def _unless_srgb(space: RgbSpace | None) -> RgbSpace | None:
    return None if space is None or space.is_srgb else space


def _plausible(values: list[float]) -> bool:
    """Tell whether chromaticities span a triangle that holds the white."""
    white, *corners = (np.array(pair) for pair in zip(values[::2], values[1::2], strict=True))
    if min(values[1::2]) <= 0:
        return False
    edges = [(corners[k], corners[(k + 1) % 3]) for k in range(3)]
    sides = [(b[0] - a[0]) * (white[1] - a[1]) - (b[1] - a[1]) * (white[0] - a[0]) for a, b in edges]
    return all(side > 1e-4 for side in sides) or all(side < -1e-4 for side in sides)


def decode16(image: Image.Image, data: bytes, color_type: int) -> DeepPixels:
    """Return the pixels of a PNG of 16 bits, with a transparent colour as alpha.

    Pillow keeps the upper byte of each channel. Decoding again, with swapped bytes, gives the lower.

    Parameters
    ----------
    image
        The loaded image.
    data
        The file that it was loaded from.
    color_type
        As in `PngChunks`.
    """
    clear = image.info.get("transparency")
    if color_type == _GREY_ALPHA:  # two channels of 16 bits have the layout of four of 8
        pairs = PngImagePlugin.PngImageFile(io.BytesIO(_as_rgba8(data)))
        return with_alpha(np.asarray(pairs).view(">u2").astype(np.uint16), 1)
    if color_type == _GREY:
        values = np.asarray(image, np.uint16)[..., None]
    else:
        swapped = PngImagePlugin.PngImageFile(io.BytesIO(data))
        (tile,) = swapped.tile
        swapped.tile = [tile._replace(args=str(tile.args).replace("16B", "16L"))]
        values = np.asarray(image).astype(np.uint16) << 8 | np.asarray(swapped)
    pixels = with_alpha(values, 1 if color_type == _GREY else 3)
    if clear is not None and pixels.alpha is None:
        pixels.alpha = np.where((values == clear).all(axis=2), np.float32(0), np.float32(255))
    return pixels


def _as_rgba8(data: bytes) -> bytes:
    """Return a PNG whose header declares RGBA with 8 bits per channel."""
    start = len(SIGNATURE) + 4
    header = data[start : start + 12] + bytes([8, _RGBA]) + data[start + 14 : start + 17]
    return data[:start] + header + struct.pack(">I", zlib.crc32(header)) + data[start + 21 :]
