"""Copy a photograph's metadata, EXIF and XMP, to another image.

Entries are copied by a list of what stays true of an image of another size. Others are not: orientation (it is already
applied), sizes, places in the picture, encoding, thumbnails, and makers' notes, whose offsets break when they move.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from PIL import ExifTags, Image, TiffImagePlugin

from .xmp import kept_properties

#: Largest block that is copied; a JPEG segment holds 65,533 bytes.
MAX_BYTES = 60_000
_MAX_READ = 4 * MAX_BYTES
#: Tags that are copied from EXIF's first directory, which also describes a TIFF file's structure.
_DESCRIPTIVE = {
    *(0x010E, 0x010F, 0x0110),  # ImageDescription, Make, Model
    *(0x0131, 0x0132, 0x013B, 0x013C),  # Software, DateTime, Artist, HostComputer
    *(0x4746, 0x4749, 0x8298),  # Rating, RatingPercent, Copyright
    *(0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # XPTitle, XPComment, XPAuthor, XPKeywords, XPSubject
}
#: Tags that are copied from the Exif directory: exposure, dates, camera and lens, persons, surroundings.
_PHOTOGRAPHIC = {
    *(0x829A, 0x829D, 0x8822, 0x8824, 0x8827),  # ExposureTime, FNumber, ExposureProgram, SpectralSensitivity, ISO
    *range(0x8830, 0x8836),  # SensitivityType, five speeds
    *(0x882A, 0x9000, 0x9003, 0x9004),  # TimeZoneOffset, ExifVersion, two dates
    *(0x9010, 0x9011, 0x9012),  # offsets of time
    *range(0x9201, 0x9207),  # shutter, aperture, brightness, bias, maximum aperture, distance
    *(0x9207, 0x9208, 0x9209, 0x920A, 0x9286),  # MeteringMode, LightSource, Flash, FocalLength, UserComment
    *(0x9290, 0x9291, 0x9292),  # fractions of seconds of three dates
    *range(0x9400, 0x9406),  # temperature, humidity, pressure, water depth, acceleration, elevation angle
    *(0xA20B, 0xA215, 0xA217, 0xA300, 0xA301),  # FlashEnergy, ExposureIndex, SensingMethod, FileSource, SceneType
    *range(0xA402, 0xA40B),  # ExposureMode, WhiteBalance, zoom, 35 mm, scene, gain, contrast, saturation, sharpness
    0xA40C,  # SubjectDistanceRange
    *range(0xA430, 0xA43D),  # owner, serial numbers, lens, title, photographer, editor, firmware, software
}
#: Tags that are copied from the GPS directory: all that EXIF 3.0 defines.
_GPS = set(range(0x20))
_COLOR_SPACE, _SRGB = 0xA001, 1
_XMP_TAG = 700
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_CENTIMETRE, _CM_PER_INCH = 3, 2.54
#: Dots per inch outside of these bounds are mistakes.
_DPI_BOUNDS = (1, 60_000)


@dataclass(frozen=True)
class Metadata:
    """Blocks of metadata to embed; each may be empty.

    Attributes
    ----------
    exif : bytes
        Starts with ``Exif\\0\\0``, as in a JPEG.
    xmp : bytes
        XML packet in UTF-8.
    print_size : tuple of float, or None
        Width and height of a print in inches, by the pixels and their density.
    """

    exif: bytes = b""
    xmp: bytes = b""
    print_size: tuple[float, float] | None = None

    def __bool__(self) -> bool:
        return bool(self.exif or self.xmp or self.print_size)

    def dpi(self, size: tuple[int, int]) -> tuple[float, float] | None:
        """Return the horizontal and vertical dots per inch that keep the print's size with this many pixels.

        None without a print size, and for densities that no format can state.
        """
        if self.print_size is None:
            return None
        return _plausible((size[0] / self.print_size[0], size[1] / self.print_size[1]))


EMPTY = Metadata()


def collect(
    exif: Image.Exif,
    info: Mapping[Any, Any],
    format: str | None,
    size: tuple[int, int],
    sideways: bool,
    notes: list[str],
) -> Metadata:
    """Return the metadata of an image that can be copied.

    Parameters
    ----------
    exif, info, format
        EXIF, other information and format of an image from `PIL.Image.open`, with its file still open.
    size
        Width and height in pixels, after EXIF's orientation.
    sideways
        Whether that orientation swapped width and height.
    notes
        List that gets a note for each block that is broken or too large. Such a block is not copied.
    """
    readers: Mapping[str, Callable[[], bytes]] = {"EXIF": lambda: _exif(exif), "XMP": lambda: _xmp(exif, info)}
    blocks = {}
    for name, read_block in readers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns for each bad entry
                block = read_block()
            if len(block) > MAX_BYTES:
                raise _TooLarge
        except _TooLarge:
            notes.append(f"has {name} of more than {MAX_BYTES:,} bytes; it is not copied")
            block = b""
        except Exception:  # parsers fail on hostile bytes in every way
            notes.append(f"has broken {name}; it is not copied")
            block = b""
        blocks[name] = block
    dpi = _stored_dpi(exif, info, format in {"JPEG", "MPO"})
    if dpi is not None and sideways:
        dpi = dpi[1], dpi[0]
    return Metadata(blocks["EXIF"], blocks["XMP"], (size[0] / dpi[0], size[1] / dpi[1]) if dpi else None)


def _stored_dpi(exif: Image.Exif, info: Mapping[Any, Any], is_jpeg: bool) -> tuple[float, float] | None:
    """Return the dots per inch that a file states.

    In a JPEG, EXIF counts before JFIF, as for ImageMagick and exiftool. In other files, what the format itself states
    (pHYs, TIFF's tags, BMP's header) counts before EXIF.
    """
    if not is_jpeg:
        return _plausible(info.get("dpi")) or _exif_dpi(exif)
    scale = {1: 1.0, 2: _CM_PER_INCH}.get(info.get("jfif_unit", 0))  # Pillow's own "dpi" is 72 without any statement
    stated = None if scale is None else tuple(scale * value for value in info["jfif_density"])
    return _exif_dpi(exif) or _plausible(stated)


def _exif_dpi(exif: Image.Exif) -> tuple[float, float] | None:
    try:
        unit = exif.get(_RESOLUTION_UNIT, 2)
        if unit not in {2, _CENTIMETRE}:
            return None
        scale = _CM_PER_INCH if unit == _CENTIMETRE else 1.0
        return _plausible((scale * exif[_X_RESOLUTION], scale * exif[_Y_RESOLUTION]))
    except Exception:  # none, or a broken one
        return None


def _plausible(dpi: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    low, high = _DPI_BOUNDS
    return (x, y) if low < x <= high and low < y <= high else None


class _Text(str):
    """Text as Pillow reads it from EXIF, a character per byte. Pillow writes those beyond ASCII as question marks."""

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        """Return the bytes that were read, such as UTF-8, whatever encoding is asked for."""
        return super().encode("latin-1", "replace")


def _exact(value: Any) -> Any:
    return _Text(value) if isinstance(value, str) else value


def parsed(block: bytes) -> Image.Exif:
    """Return the entries of an EXIF block, which may be empty, so that they can be written with the same bytes."""
    read, result = Image.Exif(), Image.Exif()
    if block:
        read.load(block)
        result.endian = read.endian  # some comments depend on it
    for tag in read:
        if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            result[tag] = {inner: _exact(value) for inner, value in read.get_ifd(tag).items()}
        else:
            result[tag] = _exact(read[tag])
    return result


def with_dpi(exif: bytes, dpi: tuple[float, float]) -> bytes:
    """Return an EXIF block, which may be empty, with this many dots per inch."""
    block = parsed(exif)
    for tag, value in ((_X_RESOLUTION, dpi[0]), (_Y_RESOLUTION, dpi[1])):
        block[tag] = TiffImagePlugin.IFDRational(round(value * 10_000), 10_000)
    block[_RESOLUTION_UNIT] = 2
    return block.tobytes()


class _TooLarge(Exception):
    pass


class _Bounded:
    """A file with a limit on the bytes read, because many entries may point at the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left = file, _MAX_READ

    def read(self, size: int = -1) -> bytes:
        self._left -= size if size >= 0 else _MAX_READ + 1
        if self._left < 0:
            raise _TooLarge
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _exif(source: Image.Exif) -> bytes:
    if not source:
        return b""
    copied = Image.Exif()
    copied.endian = source.endian  # some comments depend on it
    for tag in sorted(_DESCRIPTIVE & set(source)):
        if _writable(copied, tag, source[tag]):
            copied[tag] = _exact(source[tag])
    if hasattr(source, "fp"):
        source.fp = _Bounded(source.fp)  # type: ignore[assignment]
    for directory, kept in ((ExifTags.IFD.Exif, _PHOTOGRAPHIC), (ExifTags.IFD.GPSInfo, _GPS)):
        if directory not in source:
            continue
        read = source.get_ifd(directory)
        entries = {
            tag: _exact(value)
            for tag, value in read.items()
            if tag in kept and _writable(copied, directory, {tag: value})
        }
        if directory == ExifTags.IFD.Exif and _COLOR_SPACE in read:
            entries[_COLOR_SPACE] = _SRGB
        if entries:
            copied[directory] = entries
    return copied.tobytes() if len(copied) else b""


def _writable(like: Image.Exif, tag: int, value: Any) -> bool:
    """Tell whether Pillow can write a value that it has read."""
    probe = Image.Exif()
    probe.endian = like.endian
    probe[tag] = value
    try:
        if len(probe.tobytes()) > MAX_BYTES:
            raise _TooLarge
    except _TooLarge:
        raise
    except Exception:
        return False
    return True


def _xmp(exif: Image.Exif, info: Mapping[Any, Any]) -> bytes:
    packet = info.get("xmp", b"") or exif.get(_XMP_TAG, b"")
    if isinstance(packet, str):
        packet = packet.encode()
    packet = packet.strip(b"\0 \r\n\t")
    if len(packet) > _MAX_READ:
        raise _TooLarge
    return kept_properties(packet) if packet else b""
