"""Decode the bytes of an image file with the library that reads its kind exactly."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import threading
import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import ImageRefused, printable
from . import extras, heif, jpeg, kinds, plugins, png, tiff
from .alpha import without_hidden
from .color import (
    mend_palette,
    mend_transparency,
    read_directories,
    read_exif,
    space_of_exif,
    to_pixels,
    upright,
    without_empty_alpha,
)
from .exif import EMPTY, collect
from .icc import BROKEN_PROFILE
from .picture import Picture, Pixels
from .rgb_spaces import RgbSpace, space_of_codes

ORIENTATION = 274  # of EXIF
#: Orientations that swap width and height.
SIDEWAYS = frozenset({5, 6, 7, 8})
_MAX_WARNINGS = 3  # broken metadata may cause one per entry

_pillow_lock = threading.Lock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # keep its messages about hostile files off stderr


@contextlib.contextmanager
def decoding() -> Iterator[list[warnings.WarningMessage]]:
    """Lift Pillow's pixel limit and collect its warnings. Both are global, so a lock is held."""
    with _pillow_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield caught
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextlib.contextmanager
def _limit_lifted(size: tuple[int, int]) -> Iterator[None]:
    """Lift Pillow's pixel limit where an image of this size needs that; other threads need not wait otherwise."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is None or size[0] * size[1] <= limit:
        yield
        return
    with decoding():
        yield


def check_size(label: str, size: tuple[int, int], max_pixels: int, min_side: int) -> None:
    """Raise `ImageRefused` if an image of this width and height is too large or too small."""
    width, height = size
    if width * height > max_pixels:
        raise ImageRefused(
            f"{label}: {width} x {height} is {width * height:,} pixels, more than {max_pixels:,}. "
            "Raise --max-pixels if you trust the file and have the memory."
        )
    if min(width, height) < min_side:
        raise ImageRefused(
            f"{label}: {width} x {height} is too small; each side needs at least {min_side} pixels "
            "for the network's deepest layers. Use a larger image."
        )


class Decoder:
    """Decodes one file. Other threads wait while its headers and metadata are read, not while its pixels are."""

    def __init__(self, data: bytes, label: str, preview: int | None) -> None:
        self._data, self._label, self._preview = data, label, preview
        self._notes: list[str] = []
        self._chunks: png.PngChunks | None = None
        self._tiff: tiff.TiffPicture | None = None
        self._sideways = False

    def decode(self, max_pixels: int, min_side: int, with_metadata: bool) -> Picture:
        """Return the picture; parameters and errors are those of `load`."""
        try:
            with decoding() as caught:
                image = self._open()
        except MemoryError as error:
            raise ImageRefused(f"{self._label}: its header needs more memory than is free.") from error
        size = self._tiff.size if self._tiff is not None else image.size
        check_size(self._label, size, max_pixels, min_side)
        try:
            pixels, alpha = self._pixels(image, caught)
            metadata = EMPTY
            if with_metadata:
                with decoding() as more:
                    exif = self._exif(image)
                    short, long = sorted(size)  # of a preview, too, which has fewer pixels
                    shown = (short, long) if pixels.shape[1] < pixels.shape[0] else (long, short)
                    metadata = collect(exif, image.info, image.format, shown, self._sideways, self._notes)
                caught += more
            pixels, alpha = without_hidden(pixels, alpha, self._label)
        except ImageRefused:
            raise
        except MemoryError as error:
            raise ImageRefused(
                f"{self._label}: {size[0]} x {size[1]} pixels need more memory than is free. Use a smaller image."
            ) from error
        except Exception as error:
            raise ImageRefused(
                f"{self._label}: the file is damaged ({printable(str(error))}). Get a complete copy."
            ) from error
        problems = dict.fromkeys(f"reads with a warning ({printable(str(flaw.message).strip())})" for flaw in caught)
        notes = (*self._notes, *list(problems)[:_MAX_WARNINGS])
        return Picture(pixels, alpha, hashlib.sha256(self._data).hexdigest(), notes, metadata)

    def _open(self) -> Image.Image:
        """Open the file with Pillow. A TIFF that only tifffile can read gives a picture of one pixel."""
        data = self._data
        if data.startswith(png.SIGNATURE):
            self._chunks = png.read_chunks(data, self._notes)
            data = self._chunks.data
        elif data.startswith(tiff.SIGNATURES):
            self._tiff = tiff.inspect(io.BytesIO(data), data, self._label)
            if self._tiff is not None and not self._tiff.readable:
                raise self._unknown_kind()
            data = self._tiff.data if self._tiff is not None else data
        try:
            return Image.open(io.BytesIO(data), formats=plugins.formats())
        except Exception as error:  # Pillow's parsers raise anything on hostile bytes
            if self._tiff is None:
                raise ImageRefused(f"{self._label}: {kinds.advice(self._data)}") from error
            if not self._tiff.decodable:
                raise self._unknown_kind() from error
            self._tiff.deep = True
            return Image.new("L", (1, 1))

    def _unknown_kind(self) -> ImageRefused:
        kind = self._tiff.kind if self._tiff is not None else "unknown"
        return ImageRefused(
            f"{self._label}: a TIFF of a kind that is not read ({kind}). Save it with 8 or 16 bits per channel, as RGB."
        )

    def _pixels(
        self, image: Image.Image, caught: list[warnings.WarningMessage]
    ) -> tuple[Pixels, npt.NDArray[np.float32] | None]:
        chunks, picture = self._chunks, self._tiff
        exif = self._examined(image, caught)
        if picture is not None and picture.deep:
            deep = picture.decode(self._label, self._notes)
            space = None if picture.profile or exif is None else self._stated_space(image, exif)
            return deep.to_srgb(picture.profile, space, self._notes), deep.alpha
        image = self._loaded(image)
        if exif is None:
            with decoding() as more:
                exif = self._exif(image)
            caught += more
        profile, space = self._profile(image), chunks.space if chunks is not None else None
        if chunks is not None and chunks.stated == "cICP":
            profile = None
        elif profile is None and (chunks is None or not chunks.stated):
            space = self._stated_space(image, exif)
        if space is not None and space.hdr:
            self._notes.append(f"is HDR ({space.hdr}); light above that of paper white is clipped")
        orientation = exif.get(ORIENTATION, 1)
        if picture is None:
            self._sideways = orientation in SIDEWAYS
        if image.format == "TIFF":
            orientation = 1 if picture is None or picture.turned_by_pillow else picture.orientation
        if chunks is not None and chunks.bits == 16:
            deep = png.decode16(image, chunks.data, chunks.color_type).upright(orientation)
            return deep.to_srgb(profile, space, self._notes), deep.alpha
        if image.mode in {"I", "F"} or image.mode.startswith("I;"):
            raise self._unknown_kind()
        if chunks is not None:
            mend_transparency(image, chunks.bits)
        return to_pixels(upright(without_empty_alpha(image), orientation), profile, space, self._notes)

    def _examined(self, image: Image.Image, caught: list[warnings.WarningMessage]) -> Image.Exif | None:
        """Check a PNG, note what stands beside the picture, and return the EXIF, which a PNG has behind its pixels."""
        with decoding() as more:
            frames = self._tiff.frames if self._tiff is not None else getattr(image, "n_frames", 1)
            if image.format == "PNG":
                Image.open(io.BytesIO(image.fp.getvalue()), formats=("PNG",)).verify()  # type: ignore[attr-defined]
            exif = None if image.format == "PNG" else self._exif(image)
            if image.format == "TIFF":
                read_directories(image)
        caught += more
        if self._tiff is not None:
            self._sideways = self._tiff.orientation in SIDEWAYS
        if image.format in {"AVIF", "HEIF"}:
            self._notes += heif.notes(self._data)
        if image.format in {"JPEG", "MPO"}:
            self._notes += extras.notes(self._data, image.info)
        elif frames > 1 and image.format == "HEIF":
            self._notes.append(f"has {frames} images; the main one is used")
        elif frames > 1:
            self._notes.append(f"has {frames} frames; the first is used")
        return exif

    def _loaded(self, image: Image.Image) -> Image.Image:
        """Decode the pixels; mend a JPEG that lacks its end alone."""
        if self._preview is not None:
            ratio = self._preview / max(image.size)
            image.draft(None, tuple(max(1, int(side * ratio)) for side in image.size))  # type: ignore[arg-type]
        mend_palette(image)
        try:
            with _limit_lifted(image.size):
                image.load()
        except OSError:
            whole = jpeg.with_end(self._data, decoding) if self._data.startswith(jpeg.SIGNATURE) else None
            if whole is None:
                raise
            self._notes.append("lacks its end marker; its pixels are complete")
            with decoding():
                image = Image.open(io.BytesIO(whole), formats=("JPEG", "MPO"))
                image.load()
        return image

    def _profile(self, image: Image.Image) -> bytes | None:
        """Return the ICC profile; add a note where there is one that cannot be read."""
        profile = image.info.get("icc_profile")
        stated = jpeg.has_profile(image)
        if self._tiff is not None:
            profile = self._tiff.profile
        elif self._chunks is not None:
            profile, stated = self._chunks.profile or profile, self._chunks.has_profile
        if not profile and stated and not any("profile" in note for note in self._notes):
            self._notes.append(BROKEN_PROFILE)
        return profile or None

    def _stated_space(self, image: Image.Image, exif: Image.Exif) -> RgbSpace | None:
        """Return the colour space that a file without a profile states: HEIF and AVIF by codes, others by EXIF."""
        codes = heif.nclx(self._data) if image.format in {"AVIF", "HEIF"} else None
        if codes is None:
            with decoding():
                return space_of_exif(exif, self._notes)
        space = space_of_codes(codes[0], codes[1])
        if space is None:
            self._notes.append(f"has a colour space that is not known (nclx {codes[0]}, {codes[1]}); sRGB is assumed")
        return space

    def _exif(self, image: Image.Image) -> Image.Exif:
        try:
            if self._tiff is not None and self._tiff.data is not self._data:  # metadata stands in the first directory
                image = Image.open(io.BytesIO(self._data), formats=("TIFF",))
            elif self._tiff is not None and image.format is None:
                exif = Image.Exif()
                exif.load_from_fp(io.BytesIO(self._data))
                return exif
            return read_exif(image)
        except Exception:  # a broken EXIF block does not affect the pixels
            if (note := "has a broken EXIF block; its orientation is not applied") not in self._notes:
                self._notes.append(note)
            return Image.Exif()
