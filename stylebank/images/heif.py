"""Boxes of HEIC and AVIF files (ISO 23008-12): the colour space, and images beside the main one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Boxes read at most per level; a file of a phone has some hundreds.
_MAX_BOXES = 10_000
_MAX_ITEMS = 4096
#: Parts of the names of auxiliary images (auxC), and what they are; transparency is read, so it has no note.
_AUXILIARY = (
    ("alpha", ""),
    ("hevc:2015:auxid:1", ""),
    ("depth", "a depth map"),
    ("disparity", "a depth map"),
    ("hevc:2015:auxid:2", "a depth map"),
    ("gainmap", "a gain map"),
)


@dataclass
class _Items:
    """What a meta box says about the items of a file."""

    primary: int = 0
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)  # types and contents
    associations: dict[int, list[int]] = field(default_factory=dict)  # property numbers, from 1, by item
    sources: dict[int, list[int]] = field(default_factory=dict)  # items that an item is assembled from
    has_gain_map: bool = False


def nclx(data: bytes) -> tuple[int, int, int] | None:
    """Return the codes of primaries, transfer curve and matrix (ITU-T H.273) of a file's main image.

    Parameters
    ----------
    data
        A HEIC or AVIF file.

    Returns
    -------
    tuple of int, or None
        None if the file does not state them.
    """
    items = _read_items(data)
    for item in (items.primary, *items.sources.get(items.primary, ())):
        for number in items.associations.get(item, ()):
            name, content = items.properties[number - 1] if 0 < number <= len(items.properties) else (b"", b"")
            if name == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
                primaries, transfer, matrix = struct.unpack_from(">HHH", content, 4)
                return primaries, transfer, matrix
    return None


def notes(data: bytes) -> list[str]:
    """Return notes about what a file holds beside its main image: gain maps, depth maps, a video.

    Parameters
    ----------
    data
        A HEIC or AVIF file.
    """
    items = _read_items(data)
    extras = ["a gain map"] if items.has_gain_map else []
    for name, content in items.properties:
        if name == b"auxC":
            urn = content[4:].split(b"\x00")[0].decode("ascii", "replace")
            extras.append(next((text for part, text in _AUXILIARY if part in urn), "an auxiliary image"))
    if any(name == b"mpvd" for name, _start, _end in _boxes(data, 0, len(data))):
        extras.append("a video")
    return [f"has {extra}, which is left out" for extra in dict.fromkeys(extras) if extra]


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box, and where its content starts and ends; stop at a broken one."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, start)
        header = 8
        if length == 1 and start + 16 <= end:
            length, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif length == 0:  # up to the end
            length = end - start
        if length < header or start + length > end:
            return
        yield name, start + header, start + length
        start += length


def _read_items(data: bytes) -> _Items:
    """Read the meta box as far as it is intact."""
    items = _Items()
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"meta":
            for inner, first, last in _boxes(data, start + 4, end):
                try:
                    _read_box(items, inner, data[first:last])
                except (struct.error, IndexError):  # the box is cut
                    continue
            break
    return items


def _read_box(items: _Items, name: bytes, content: bytes) -> None:
    if name == b"pitm":
        items.primary = struct.unpack_from(">I" if content[0:1] > b"\x00" else ">H", content, 4)[0]
    elif name == b"iinf":
        items.has_gain_map = b"tmap" in content
    elif name == b"iref":
        wide = content[0:1] > b"\x00"
        for kind, first, last in _boxes(content, 4, len(content)):
            if kind == b"dimg":
                _read_sources(items, content[first:last], wide)
    elif name == b"iprp":
        for inner, first, last in _boxes(content, 0, len(content)):
            if inner == b"ipco":
                items.properties = [(kind, content[at:to]) for kind, at, to in _boxes(content, first, last)]
            elif inner == b"ipma":
                _read_associations(items, content[first:last])


def _read_sources(items: _Items, content: bytes, wide: bool) -> None:
    number = "I" if wide else "H"
    item, count = struct.unpack_from(f">{number}H", content)
    count = min(count, _MAX_ITEMS)
    items.sources[item] = list(struct.unpack_from(f">{count}{number}", content, struct.calcsize(f">{number}H")))


def _read_associations(items: _Items, content: bytes) -> None:
    version, flags, count = content[0], content[3], struct.unpack_from(">I", content, 4)[0]
    at = 8
    for _ in range(min(count, _MAX_ITEMS)):
        item, length = struct.unpack_from(">IB" if version else ">HB", content, at)
        at += 5 if version else 3
        code, mask = ("H", 0x7FFF) if flags & 1 else ("B", 0x7F)  # the upper bit marks a property as essential
        numbers = struct.unpack_from(f">{length}{code}", content, at)
        at += struct.calcsize(f">{length}{code}")
        items.associations.setdefault(item, []).extend(number & mask for number in numbers)
