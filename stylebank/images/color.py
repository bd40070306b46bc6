"""Pixels of an opened picture in sRGB, with 8 bits per channel as Pillow decodes them."""

from __future__ import annotations

import contextlib

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImagePalette

from .icc import to_srgb
from .rgb_spaces import ADOBE_RGB, RgbSpace

Floats = npt.NDArray[np.float32]

_COLOR_MAP = 320  # a TIFF tag
_COLOR_SPACE, _SRGB, _ADOBE_RGB, _UNCALIBRATED = 0xA001, 1, 2, 65535
_INTEROP_INDEX = 1
XMP_KEYS = ("xmp", "XML:com.adobe.xmp")


def mend_transparency(image: Image.Image, bits: int) -> None:
    """Scale the transparent grey of a PNG with 1, 2 or 4 bits per pixel, which Pillow leaves unscaled."""
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode in {"1", "L"} and bits < 8:
        image.info["transparency"] = clear * 255 // ((1 << bits) - 1)


def mend_palette(image: Image.Image) -> None:
    """Replace the palette of a TIFF whose entries have 8 bits in place of 16, which Pillow reads as black."""
    color_map = getattr(image, "tag_v2", {}).get(_COLOR_MAP)
    if image.mode in {"P", "PA"} and color_map and max(color_map) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(color_map))


def without_empty_alpha(image: Image.Image) -> Image.Image:
    """Return a loaded BMP without an alpha channel of zeros, which means that there is none."""
    empty = image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)
    return image.convert("RGB") if empty else image


def space_of_exif(exif: Image.Exif, notes: list[str]) -> RgbSpace | None:
    """Return the colour space that EXIF states for a picture without a profile; None for sRGB.

    Cameras mark Adobe RGB by the interoperability index R03 (DCF 2.0) or by the colour space 2.
    """
    try:
        stated = exif.get_ifd(ExifTags.IFD.Exif).get(_COLOR_SPACE)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(_INTEROP_INDEX)
    except Exception:  # a broken block
        return None
    if isinstance(index, bytes):
        index = index.decode("ascii", "replace")
    if stated == _ADOBE_RGB or (stated != _SRGB and str(index or "").strip("\0 ") == "R03"):
        return ADOBE_RGB
    if stated == _UNCALIBRATED:
        notes.append("has no colour profile, and its EXIF names no colour space; sRGB is assumed")
    return None


def read_exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF of a picture, without the orientation that Pillow takes from XMP."""
    packets = {key: image.info.pop(key) for key in XMP_KEYS if key in image.info}
    try:
        return image.getexif()
    finally:
        image.info.update(packets)


def read_directories(image: Image.Image) -> None:
    """Read the directories that Pillow reads again when it decodes a TIFF, so that it warns here about broken ones."""
    for directory in ExifTags.IFD:
        with contextlib.suppress(Exception):  # their reader fails on hostile bytes in every way
            read_exif(image).get_ifd(directory)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return a loaded picture turned as EXIF's orientation asks for."""
    transposed: dict[int, Image.Transpose] = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(transposed[orientation]) if orientation in transposed else image


def to_pixels(
    image: Image.Image, profile: bytes | None, space: RgbSpace | None, notes: list[str]
) -> tuple[Floats, Floats | None]:
    """Return the pixels of an upright picture, (H, W, 3) in sRGB, and its opacity, (H, W) or None, both in 0..255.

    Parameters
    ----------
    profile, space
        ICC profile, or else the colour space; None for sRGB.
    notes
        List that gets a note if the profile is broken.
    """
    alpha = None
    if image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in {"La", "LA"} else "RGBA")
        alpha = np.asarray(image.getchannel("A"), np.float32)
        image = image.convert("L" if image.mode == "LA" else "RGB")
    elif image.mode not in {"RGB", "L", "CMYK", "LAB"}:
        image = image.convert("RGB")
    if image.mode == "LAB" and not profile:
        image = ImageCms.profileToProfile(  # type: ignore[assignment]
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    elif profile:
        image = to_srgb(image, profile, notes)
    elif space is not None and image.mode in {"RGB", "L"}:
        values = np.asarray(image)
        pixels = space.to_srgb(values if values.ndim == 3 else values[..., None])
        return (np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels), alpha
    return np.asarray(image.convert("RGB"), np.float32), alpha
