"""Encode images with 8 or 16 bits per channel, with profile and metadata.

Pillow cannot write colour with 16 bits, and its TIFF writer drops the directories of EXIF. This module assembles
both from Pillow's chunks and directories.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin, TiffImagePlugin

from .exif import Metadata, parsed, with_dpi
from .icc import srgb_profile

#: Formats by name: Pillow's name, suffix, whether the format has alpha.
WRITE_FORMATS = {
    "jpg": ("JPEG", ".jpg", False),
    "png": ("PNG", ".png", True),
    "webp": ("WEBP", ".webp", True),
    "tiff": ("TIFF", ".tiff", True),
}
#: Bits per channel, and the formats with more than 8.
DEPTHS = (8, 16)
DEEP_FORMATS = ("png", "tiff")
#: Formats that decode to exactly the values encoded.
LOSSLESS_FORMATS = ("png", "tiff")
_XMP_KEYWORD, _XMP_TAG = "XML:com.adobe.xmp", 700
_COMPRESSION_LEVEL = 6
_STRIP_BYTES = 1 << 20

Values = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def quantize(pixels: npt.NDArray[Any], depth: int) -> Values:
    """Round values in 0..255 to integers of 8 or 16 bits."""
    white, chunk_type = (65535, np.uint16) if depth == 16 else (255, np.uint8)
    return np.asarray(np.clip(np.rint(np.asarray(pixels, np.float32) * np.float32(white / 255)), 0, white), chunk_type)


def encode(
    file: IO[bytes],
    values: Values,
    *,
    format: str,
    quality: int,
    metadata: Metadata,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Encode an image in sRGB.

    Parameters
    ----------
    file
        File open for writing, at its start.
    values : ndarray of uint8 or uint16, shape (H, W, 3) or (H, W, 4)
        uint16 only for `DEEP_FORMATS`.
    format
        A key of `WRITE_FORMATS`.
    quality
        1 to 100, for jpg and webp.
    metadata
        Metadata to embed, besides the sRGB profile.
    dpi
        Horizontal and vertical dots per inch, for the format's own statement and for EXIF; None states nothing.
    """
    exif = metadata.exif
    if dpi is not None and format == "jpg":  # JFIF holds whole numbers; EXIF states the same
        dpi = float(round(dpi[0])), float(round(dpi[1]))
    if dpi is not None and (exif or format in {"webp", "tiff"}):  # these have no other place for it
        exif = with_dpi(exif, dpi)
    if format == "tiff":
        _write_tiff(file, values, exif, metadata.xmp)
        return
    options: dict[str, Any] = {"icc_profile": srgb_profile()}
    if exif:
        options["exif"] = exif
    if dpi is not None and format != "webp":
        options["dpi"] = dpi
    if format == "png":
        options["compress_level"] = _COMPRESSION_LEVEL
        if metadata.xmp:
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_itxt(_XMP_KEYWORD, metadata.xmp.decode())
        if values.dtype == np.uint16:
            _write_deep_png(file, values, options)
            return
    else:
        options |= {"quality": quality}
        options |= {"subsampling": 0, "optimize": True} if format == "jpg" else {"method": 4}
        if metadata.xmp:
            options["xmp"] = metadata.xmp
    file.write(_encoded(values, WRITE_FORMATS[format][0], options))


def _encoded(values: Values, format: str, options: dict[str, Any]) -> memoryview:
    """Return a file in memory: Pillow, writing to a file's descriptor, calls a full disk a broken data stream."""
    image, buffer = Image.fromarray(values), io.BytesIO()
    try:
        image.save(buffer, format=format, **options)
    except OSError:
        if not options.pop("optimize", False):
            raise
        # optimising needs the whole file in a buffer of Pillow's, which noise at a high quality exceeds
        buffer = io.BytesIO()
        image.save(buffer, format=format, **options)
    return buffer.getbuffer()


def _write_deep_png(file: IO[bytes], values: Values, options: dict[str, Any]) -> None:
    """Let Pillow write a PNG of one pixel with all its chunks, and replace the pixel by the image."""
    height, width, channels = values.shape
    model = io.BytesIO()
    Image.new("RGB" if channels == 3 else "RGBA", (1, 1)).save(model, format="PNG", **options)
    data = model.getvalue()
    file.write(data[:8])
    position = 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunk_type, content = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length
        if chunk_type == b"IHDR":
            PngImagePlugin.putchunk(file, chunk_type, struct.pack(">IIB", width, height, 16), content[9:])
        elif chunk_type == b"IDAT":
            for piece in _compress_rows(values):
                PngImagePlugin.putchunk(file, chunk_type, piece)
        else:
            PngImagePlugin.putchunk(file, chunk_type, content)


def _compress_rows(values: Values) -> Iterator[bytes]:
    """Yield compressed rows with PNG's filter 2, the difference to the row above."""
    compressor = zlib.compressobj(_COMPRESSION_LEVEL)
    height, width, channels = values.shape
    above = np.zeros((1, width * channels * 2), np.uint8)
    rows_per_strip = max(1, _STRIP_BYTES // above.size)
    for start in range(0, height, rows_per_strip):
        rows = values[start : start + rows_per_strip].astype(">u2").view(np.uint8).reshape(-1, above.size)
        filtered = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        if piece := compressor.compress(np.insert(filtered, 0, 2, axis=1).tobytes()):
            yield piece
    yield compressor.flush()


def _write_tiff(file: IO[bytes], values: Values, exif_block: bytes, xmp: bytes) -> None:
    """Write a directory and strips of deflated horizontal differences."""
    height, width, channels = values.shape
    depth = 8 * values.dtype.itemsize
    rows_per_strip = min(height, max(1, _STRIP_BYTES // (width * channels * values.dtype.itemsize)))
    strips = [_strip(values[start : start + rows_per_strip]) for start in range(0, height, rows_per_strip)]
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    exif = parsed(exif_block)
    for tag in exif:
        directory[tag] = exif[tag]
    starts = np.cumsum([0, *(len(strip) for strip in strips)]).tolist()
    structure: dict[int, Any] = {
        256: width,
        257: height,
        258: (depth,) * channels,
        259: 8,  # deflate
        262: 2,  # RGB
        273: tuple(starts[:-1]),  # relative to the directory's end, as Pillow expects
        277: channels,
        278: rows_per_strip,
        279: tuple(len(strip) for strip in strips),
        284: 1,  # interleaved channels
        317: 2,  # horizontal differences
        34675: srgb_profile(),
        **({338: 2} if channels == 4 else {}),  # unassociated alpha
        **({_XMP_TAG: xmp} if xmp else {}),
    }
    for tag, value in structure.items():
        directory[tag] = value
    directory.tagtype[273] = directory.tagtype[279] = 4  # 32 bits, whatever the first offsets need
    directory.save(file)
    for strip in strips:
        file.write(strip)


def _strip(values: Values) -> bytes:
    differences = values.copy()
    differences[:, 1:] -= values[:, :-1]
    return zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), _COMPRESSION_LEVEL)
