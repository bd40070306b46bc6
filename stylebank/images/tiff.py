"""TIFF files: which of their pictures is the picture, and kinds that Pillow reads wrongly or not at all."""

from __future__ import annotations

import io
import logging
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageRefused
from .deep import DeepPixels, to_16_bits, with_alpha

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Compressions that are read here: none, LZW, deflate (two numbers), PackBits, LZMA, Zstandard.
_COMPRESSIONS = {1, 5, 8, 32946, 32773, 34925, 50000}
#: Further compressions that Pillow reads: CCITT (three kinds), JPEG (old and new), raw of 16 bits, ThunderScan.
_PILLOW_COMPRESSIONS = {2, 3, 4, 6, 7, 32771, 32809}
#: Channels by photometric interpretation: white is zero, black is zero, RGB, CMYK.
_CHANNELS = {0: 1, 1: 1, 2: 3, 5: 4}
_PHOTOMETRICS = {3: "palette", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab", 32844: "LogL", 32845: "LogLuv"}
_NUMBERS = {"f": "float", "i": "signed integer", "u": "integer"}
#: A color filter array, and linear raw data.
_RAW = {32803, 34892}
_DNG_VERSION, _ORIENTATION, _PROFILE = 50706, 274, 34675
_MAX_PAGES, _MAX_SAMPLES = 1024, 32
_RAW_ADVICE = "a camera raw file. Convert it first, to a TIFF of 16 bits for example."

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # keep its messages about hostile files off stderr


@dataclass
class TiffPicture:
    """The picture of a TIFF file.

    Attributes
    ----------
    data
        The file, with the picture's directory as the first one.
    size : tuple of int
        Width and height in pixels, as stored.
    orientation : int
        EXIF's orientation, 1 to 8.
    profile : bytes or None
        ICC profile.
    frames : int
        Number of pictures, without reduced ones and masks.
    kind : str
        Channels and bits, for messages.
    deep : bool
        Whether `decode` reads the picture in place of Pillow.
    decodable : bool
        Whether `decode` can read the picture.
    readable : bool
        Whether Pillow or `decode` knows the compression.
    turned_by_pillow : bool
        Whether the picture's own directory has the orientation, which Pillow then applies.
    """

    data: bytes
    page: Any
    size: tuple[int, int]
    orientation: int
    profile: bytes | None
    frames: int
    kind: str
    deep: bool
    decodable: bool
    readable: bool
    turned_by_pillow: bool

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels, after EXIF's orientation."""
        width, height = self.size
        return (height, width) if self.orientation in {5, 6, 7, 8} else (width, height)

    def decode(self, label: str, notes: list[str]) -> DeepPixels:
        """Return the pixels, turned upright.

        Raises
        ------
        ImageRefused
            If values are out of range.
        ValueError
            If the file is damaged.
        """
        return _decode(self.page, label, notes).upright(self.orientation)


def inspect(file: Any, data: bytes, label: str) -> TiffPicture | None:
    """Find the picture of a TIFF file; None for a file that tifffile cannot parse.

    Parameters
    ----------
    file
        Path or file object of the TIFF.
    data
        Its bytes, or as many as are at hand: `TiffPicture.data` is derived from them.
    label
        Its name for messages.

    Raises
    ------
    ImageRefused
        For a camera raw file.
    """
    import tifffile

    if data[8:10] == b"CR":  # Canon's CR2
        raise ImageRefused(f"{label}: {_RAW_ADVICE}")
    try:
        pages = _pages(tifffile.TiffFile(file))
        first = pages[0]
        subpages = list(first.pages or ()) if first.is_reduced else []
        if first.tags.get(_DNG_VERSION) is not None or any(
            page.photometric in _RAW for page in [*pages[:1], *subpages]
        ):
            raise ImageRefused(f"{label}: {_RAW_ADVICE}")
        page = _choose(pages, subpages)
        return _describe(data, page, first, sum(not _secondary(page) for page in pages))
    except ImageRefused:
        raise
    except MemoryError:
        raise
    except Exception:  # a parser fails on hostile bytes in every way
        return None


def _pages(tiff: Any) -> list[Any]:
    pages: list[Any] = []
    for page in tiff.pages:
        pages.append(page)
        if len(pages) == _MAX_PAGES:
            break
    return pages


def _secondary(page: Any) -> bool:
    """Tell whether a page is a reduced picture or a mask."""
    return bool(int(page.subfiletype) & 5)


def _choose(pages: list[Any], subpages: list[Any]) -> Any:
    """Return the first whole picture, else the largest below the first page, else the largest."""
    if whole := [page for page in pages if not _secondary(page)]:
        return whole[0]
    if whole := [page for page in subpages if not _secondary(page)]:
        return max(whole, key=_area)
    return max([*pages, *subpages], key=_area)


def _area(page: Any) -> int:
    return int(page.imagewidth) * int(page.imagelength)


def _describe(data: bytes, page: Any, first: Any, frames: int) -> TiffPicture:
    if page.offset != first.offset:
        data = _with_first(data, page.offset)
    orientation = page.tags.valueof(_ORIENTATION) or first.tags.valueof(_ORIENTATION)
    profile = page.tags.valueof(_PROFILE) or first.tags.valueof(_PROFILE)
    photometric, bits, samples = int(page.photometric), _bits(page), int(page.samplesperpixel)
    kind_of_number = {"f": "float", "i": "signed integer", "u": "integer"}.get(
        page.dtype.kind if page.dtype else "", ""
    )
    kind = f"{samples} x {bits}-bit {kind_of_number}".rstrip()
    if photometric in _PHOTOMETRICS:
        kind += f", {_PHOTOMETRICS[photometric]}"
    compression = int(page.compression)
    readable = compression in _COMPRESSIONS | _PILLOW_COMPRESSIONS
    if not readable:
        kind += f", compression {getattr(page.compression, 'name', compression)}"
    decodable = (
        page.dtype is not None
        and page.dtype.kind in "uf"
        and bits >= 8
        and photometric in _CHANNELS
        and _CHANNELS[photometric] <= samples <= _MAX_SAMPLES
        and compression in _COMPRESSIONS
        and int(page.imagedepth) == 1
    )
    # libtiff, which Pillow calls for compressed files, prints its own messages about damaged ones
    deep = decodable and (bits > 8 or int(page.planarconfig) == 2 or compression != 1)
    return TiffPicture(
        data=data,
        page=page,
        size=(int(page.imagewidth), int(page.imagelength)),
        orientation=orientation if orientation in range(1, 9) else 1,
        profile=bytes(profile) if profile else None,
        frames=frames,
        kind=kind,
        deep=deep,
        decodable=decodable,
        readable=readable,
        turned_by_pillow=page.tags.valueof(_ORIENTATION) is not None,
    )


def _bits(page: Any) -> int:
    bits = page.bitspersample
    return int(max(bits)) if isinstance(bits, tuple) else int(bits)


def _with_first(data: bytes, offset: int) -> bytes:
    """Return a file whose header points at the directory at `offset`."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in {b"+\0", b"\0+"}:  # BigTIFF
        return data[:8] + struct.pack(f"{order}Q", offset) + data[16:]
    return data[:4] + struct.pack(f"{order}I", offset) + data[8:]


def _decode(page: Any, label: str, notes: list[str]) -> DeepPixels:
    _check_segments(page)
    array = page.asarray(maxworkers=1)
    photometric, samples = int(page.photometric), int(page.samplesperpixel)
    width, height = int(page.imagewidth), int(page.imagelength)
    if int(page.planarconfig) == 2 and samples > 1:
        array = np.moveaxis(array.reshape(samples, height, width), 0, -1)
    array = array.reshape(height, width, samples)
    channels = _CHANNELS[photometric]
    extras = [int(extra) for extra in page.extrasamples]
    alphas = [channels + place for place, extra in enumerate(extras) if extra in {1, 2} and channels + place < samples]
    kept = [*range(channels), *alphas[:1]]
    if len(kept) < samples:
        array = array[..., kept]
    pixels = with_alpha(to_16_bits(array, _bits(page), label, notes), channels)
    if alphas and extras[alphas[0] - channels] == 1:
        _divide_by_alpha(pixels)
    if photometric == 0:
        pixels.values = np.asarray(65535 - pixels.values, np.uint16)
    return pixels


def _check_segments(page: Any) -> None:
    """Raise `ValueError` where strips or tiles lie outside the file, are missing, or are larger than the picture."""
    count = int(np.prod(page.chunked))
    offsets, sizes = page.dataoffsets, page.databytecounts
    end = page.parent.filehandle.size
    if len(offsets) < count or len(sizes) < count:
        raise ValueError("strips are missing")
    if any(offset <= 0 or size <= 0 or offset + size > end for offset, size in zip(offsets, sizes, strict=False)):
        raise ValueError("strips lie outside the file")
    if page.is_tiled and int(page.tilewidth) * int(page.tilelength) > 4 * max(_area(page), 1 << 20):
        raise ValueError("tiles are larger than the picture")


def _divide_by_alpha(pixels: DeepPixels) -> None:
    """Undo the multiplication of the colours by alpha."""
    assert pixels.alpha is not None
    opacity = np.maximum(pixels.alpha, np.float32(1 / 257))[..., None] / 255
    pixels.values = np.asarray(np.rint(np.minimum(pixels.values / opacity, 65535)), np.uint16)


def from_bytes(data: bytes, label: str) -> TiffPicture | None:
    """Find the picture of a TIFF file in memory, as `inspect` does."""
    return inspect(io.BytesIO(data), data, label)
