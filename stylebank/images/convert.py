"""Pictures in memory: PIL images and NumPy arrays, read as a file is, and returned as a file would be written."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from ..errors import ImageRefused, UsageError, printable
from . import jpeg, png
from .alpha import without_hidden
from .color import mend_palette, mend_transparency, read_exif, space_of_exif, to_pixels, upright, without_empty_alpha
from .decode import MAX_PIXELS, SMALLEST_SIDE, load
from .decoder import ORIENTATION, SIDEWAYS, check_size, decoding
from .deep import WHITE, DeepPixels, to_16_bits
from .encode import Values, quantize
from .exif import EMPTY, Metadata, collect, with_dpi
from .icc import BROKEN_PROFILE, srgb_profile
from .picture import Picture, Pixels

#: Name of a picture in memory, for messages.
LABEL = "the image"
#: Values may leave 0..1 by this much, as after filters that sharpen; they are clipped.
_OVERSHOOT = 1 / 16
#: Bits per pixel of the PNGs whose transparent grey Pillow leaves unscaled, by raw mode.
_RAW_BITS = {"1": 1, "L;2": 2, "L;4": 4}

Floats = npt.NDArray[np.float32]


def to_picture(
    image: Image.Image | npt.NDArray[Any] | str | os.PathLike[str],
    *,
    label: str = "",
    max_pixels: int = MAX_PIXELS,
    min_side: int = SMALLEST_SIDE,
    metadata: bool = False,
) -> Picture:
    """Return the picture of a PIL image, an array or a file.

    Parameters
    ----------
    image
        PIL image of any mode. Its profile, or else its colour space by EXIF or PNG, is converted to sRGB, and the
        orientation of its EXIF is applied. Mode ``I`` has 0..65535, and mode ``F`` 0..1 or 0..255.
        Or an array of shape (h, w), (h, w, 3) or (h, w, 4): grey, RGB, or RGB and opacity, in sRGB. White is 255 in
        uint8, 65535 in uint16, and 1 in floats. Or the path of a file, for `load`.
    label
        Name for messages; by default the file's, or ``the image``.
    max_pixels, min_side, metadata
        As for `load`.

    Returns
    -------
    Picture
        Without a digest, unless it is of a file.

    Raises
    ------
    ImageRefused
        If the image cannot be decoded, is too large or too small, or has values out of range.
    UsageError
        If the array has another shape or dtype, or `image` is something else.
    """
    if isinstance(image, Image.Image):
        label = label or printable(os.fspath(getattr(image, "filename", "") or LABEL))
        return _FromPillow(image, label).picture(max_pixels, min_side, metadata)
    if isinstance(image, np.ndarray):
        return _from_array(image, label or LABEL, max_pixels, min_side)
    if isinstance(image, str | os.PathLike):
        return load(image, max_pixels=max_pixels, min_side=min_side, metadata=metadata)
    raise UsageError(f"{label or LABEL}: a {type(image).__name__}. Give a PIL image, a NumPy array, or a path.")


def _from_array(array: npt.NDArray[Any], label: str, max_pixels: int, min_side: int) -> Picture:
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {3, 4}):
        raise UsageError(
            f"{label}: an array of shape {array.shape}; expected (h, w), (h, w, 3) or (h, w, 4). "
            "Reorder its axes, or give one picture at a time."
        )
    check_size(label, (array.shape[1], array.shape[0]), max_pixels, min_side)
    notes: list[str] = []
    values = _scaled(array, label, notes)
    if values.ndim == 2:
        return Picture(np.repeat(values[..., None], 3, axis=2), None, "", ())
    pixels, alpha = without_hidden(
        np.ascontiguousarray(values[..., :3]),
        np.ascontiguousarray(values[..., 3]) if values.shape[2] == 4 else None,
        label,
    )
    return Picture(pixels, alpha, "", tuple(notes))


def _scaled(array: npt.NDArray[Any], label: str, notes: list[str]) -> Floats:
    """Return the values of an array in 0..255."""
    if array.dtype == np.uint8:
        return array.astype(np.float32)
    if array.dtype == np.uint16:
        return np.asarray(array / np.float32(257), np.float32)
    if array.dtype.kind != "f":
        raise UsageError(
            f"{label}: an array of {array.dtype}; expected uint8, uint16 or floats from 0 to 1. "
            "Convert it, for 0..255 with .astype('uint8')."
        )
    if not np.isfinite(array).all():
        raise ImageRefused(f"{label}: has values that are NaN or infinite. Repair it first.")
    low, high = float(array.min()), float(array.max())
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise ImageRefused(
            f"{label}: floating-point values from {low:g} to {high:g}; expected 0 to 1. "
            "Rescale it first; values up to 255 by dividing by 255."
        )
    if low < 0 or high > 1:
        notes.append(f"has values from {low:g} to {high:g}; those outside 0..1 are clipped")
    return np.asarray(np.clip(array, 0, 1) * np.float32(255), np.float32)


class _FromPillow:
    """Reads one PIL image, by the rules of `Decoder`; the image is loaded, and not changed otherwise."""

    def __init__(self, image: Image.Image, label: str) -> None:
        self._image, self._label = image, label
        self._notes: list[str] = []

    def picture(self, max_pixels: int, min_side: int, with_metadata: bool) -> Picture:
        image = self._image
        check_size(self._label, image.size, max_pixels, min_side)
        try:
            pixels, alpha, exif = self._pixels()
            metadata = EMPTY
            if with_metadata:
                shown, sideways = (pixels.shape[1], pixels.shape[0]), exif.get(ORIENTATION, 1) in SIDEWAYS
                metadata = collect(exif, image.info, image.format, shown, sideways, self._notes)
            pixels, alpha = without_hidden(pixels, alpha, self._label)
        except ImageRefused:
            raise
        except MemoryError as error:
            raise ImageRefused(
                f"{self._label}: {image.width} x {image.height} pixels need more memory than is free. "
                "Use a smaller image."
            ) from error
        except Exception as error:  # Pillow's plugins raise anything when a damaged file is loaded at last
            raise ImageRefused(
                f"{self._label}: cannot be decoded ({printable(str(error))}). Get a complete copy."
            ) from error
        return Picture(pixels, alpha, "", tuple(self._notes), metadata)

    def _pixels(self) -> tuple[Floats, Floats | None, Image.Exif]:
        image = self._image
        tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
        bits = _RAW_BITS.get(str(tiles[0][3])) if tiles else None
        with decoding():
            if image.format == "TIFF":
                mend_palette(image)
            image.load()
            exif = self._exif()
            profile = image.info.get("icc_profile") or None
            space, stated = png.space_of_info(image.info)
            if profile is None and jpeg.has_profile(image):
                self._notes.append(BROKEN_PROFILE)
            if profile is None and not stated:
                space = space_of_exif(exif, self._notes)
        orientation = exif.get(ORIENTATION, 1)
        if image.mode in {"I", "F"} or image.mode.startswith("I;"):
            deep = self._deep(image).upright(orientation)
            return deep.to_srgb(profile, space, self._notes), deep.alpha, exif
        if bits is not None and isinstance(image.info.get("transparency"), int):
            image = image.copy()  # its information is mended, and that of the caller's picture stays
            mend_transparency(image, bits)
        image = upright(without_empty_alpha(image), orientation)
        return (*to_pixels(image, profile, None if profile else space, self._notes), exif)

    def _exif(self) -> Image.Exif:
        try:
            return read_exif(self._image)
        except Exception:  # a broken EXIF block does not affect the pixels
            self._notes.append("has a broken EXIF block; its orientation is not applied")
            return Image.Exif()

    def _deep(self, image: Image.Image) -> DeepPixels:
        """Return grey values of 16 or 32 bits, with a transparent value as alpha."""
        values = np.asarray(image)
        if image.mode != "F" and (values.min() < 0 or values.max() > WHITE):
            raise ImageRefused(
                f"{self._label}: grey values from {values.min():,} to {values.max():,}; expected 0 to {WHITE:,}. "
                "Rescale it first."
            )
        deep = DeepPixels(to_16_bits(values, 16, self._label, self._notes)[..., None])
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            deep.alpha = np.where(values == clear, np.float32(0), np.float32(255))
        return deep


def to_pillow(
    pixels: Pixels,
    alpha: Floats | None = None,
    metadata: Metadata = EMPTY,
    dpi: float | None = None,
) -> Image.Image:
    """Return a PIL image in sRGB, with what Pillow would read from the PNG that `save` writes.

    Parameters
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        Values in 0..255, which are rounded to 8 bits.
    alpha : ndarray, float32, shape (H, W), optional
        Opacity in 0..255.
    metadata, dpi
        As for `save`; `PIL.Image.Image.info` holds them, beside the profile of sRGB.
    """
    image = Image.fromarray(to_values(pixels, alpha, 8))
    density = (dpi, dpi) if dpi is not None else metadata.dpi(image.size)
    exif = with_dpi(metadata.exif, density) if density and metadata.exif else metadata.exif
    info = {"icc_profile": srgb_profile(), "exif": exif, "xmp": metadata.xmp, "dpi": density}
    image.info.update({key: value for key, value in info.items() if value})
    return image


def to_values(pixels: Pixels, alpha: Floats | None, depth: int) -> Values:
    """Return pixels and opacity in 0..255 as integers of 8 or 16 bits, shape (H, W, 3) or (H, W, 4)."""
    return quantize(pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=2), depth)
