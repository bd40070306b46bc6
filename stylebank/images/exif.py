"""Copy a photograph's metadata, EXIF and XMP, to another image.

Entries about the photograph are copied. Entries about the file are not: orientation (it is already applied), sizes,
encoding, thumbnails, and makers' notes, whose offsets break when they move.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from xml.dom import minidom

from PIL import ExifTags, Image

#: Largest block that is copied; a JPEG segment holds 65,533 bytes.
MAX_BYTES = 60_000
_MAX_READ = 4 * MAX_BYTES
#: Tags about the photograph in EXIF's first directory, which also describes a TIFF file's structure.
_DESCRIPTIVE = {
    *(0x010E, 0x010F, 0x0110),  # ImageDescription, Make, Model
    *(0x011A, 0x011B, 0x0128),  # XResolution, YResolution, ResolutionUnit
    *(0x0131, 0x0132, 0x013B, 0x013C),  # Software, DateTime, Artist, HostComputer
    *(0x4746, 0x4749, 0x8298),  # Rating, RatingPercent, Copyright
    *(0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # XPTitle, XPComment, XPAuthor, XPKeywords, XPSubject
}
_COLOR_SPACE, _SRGB = 0xA001, 1
#: Tags about the file in the Exif directory.
_FILE_TAGS = {
    *(0x9101, 0x9102, 0x927C),  # ComponentsConfiguration, CompressedBitsPerPixel, MakerNote
    *(0xA002, 0xA003, 0xA004, 0xA005),  # PixelXDimension, PixelYDimension, RelatedSoundFile, Interoperability
    *(0xA500, 0xEA1C),  # Gamma, Padding
}
_STALE_XMP = {
    "http://ns.adobe.com/tiff/1.0/": {
        *("Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression"),
        *("PhotometricInterpretation", "SamplesPerPixel", "NativeDigest"),
    },
    "http://ns.adobe.com/exif/1.0/": {
        *("PixelXDimension", "PixelYDimension", "ColorSpace", "MakerNote"),
        *("ComponentsConfiguration", "CompressedBitsPerPixel", "NativeDigest"),
    },
    "http://ns.adobe.com/xap/1.0/": {"Thumbnails"},
    "http://ns.adobe.com/photoshop/1.0/": {"ICCProfile", "ColorMode"},
    "http://ns.adobe.com/xmp/note/": {"HasExtendedXMP"},
}


@dataclass(frozen=True)
class Metadata:
    """Blocks of metadata to embed; each may be empty.

    Attributes
    ----------
    exif : bytes
        Starts with ``Exif\\0\\0``, as in a JPEG.
    xmp : bytes
        XML packet in UTF-8.
    """

    exif: bytes = b""
    xmp: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.exif or self.xmp)


EMPTY = Metadata()


def collect(exif: Image.Exif, info: Mapping[Any, Any], size: tuple[int, int], notes: list[str]) -> Metadata:
    """Return the metadata of an image that can be copied.

    Parameters
    ----------
    exif, info
        EXIF and other information of an image from `PIL.Image.open`, with its file still open.
    size
        Width and height in pixels, after EXIF's orientation.
    notes
        List that gets a note for each block that is broken or too large. Such a block is not copied.
    """
    blocks = {}
    for name, read_block in (("EXIF", lambda: _exif(exif)), ("XMP", lambda: _xmp(exif, info))):
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
    return Metadata(blocks["EXIF"], blocks["XMP"])


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
            copied[tag] = source[tag]
    if hasattr(source, "fp"):
        source.fp = _Bounded(source.fp)  # type: ignore[assignment]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if directory not in source:
            continue
        entries = {
            tag: value
            for tag, value in source.get_ifd(directory).items()
            if (directory == ExifTags.IFD.GPSInfo or tag not in _FILE_TAGS)
            and _writable(copied, directory, {tag: value})
        }
        if directory == ExifTags.IFD.Exif and _COLOR_SPACE in entries:
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
    packet = info.get("xmp", b"") or exif.get(700, b"")
    if isinstance(packet, str):
        packet = packet.encode()
    packet = packet.strip(b"\0 \r\n\t")
    if not packet:
        return b""
    if len(packet) > _MAX_READ:
        raise _TooLarge
    text = packet.decode("utf-8")
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        raise ValueError("XMP declares no document type and no entities")
    document = minidom.parse(io.BytesIO(text.encode()))
    _drop_stale(document)
    return "".join(node.toxml() for node in document.childNodes).encode()


def _drop_stale(document: minidom.Document) -> None:
    for element in document.getElementsByTagName("*"):
        if _stale(element) and element.parentNode is not None:
            element.parentNode.removeChild(element)
            continue
        for attribute in filter(_stale, list(element.attributes.values())):
            element.removeAttributeNode(attribute)


def _stale(node: minidom.Element | minidom.Attr) -> bool:
    return node.localName in _STALE_XMP.get(node.namespaceURI or "", ())
