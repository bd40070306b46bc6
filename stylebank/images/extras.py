"""Pictures and videos that a phone's JPEG holds beside its picture; only the picture is used."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import TiffImagePlugin

_ENTRIES = 0xB002  # of the multi-picture format (CIPA DC-007)
_TYPE_MASK, _ENTRY_BYTES = 0xFFFFFF, 16
_MAX_ENTRIES = 100
#: Types of entries: cameras' previews of the same picture need no note, the others have names.
_PREVIEWS = {0x010001, 0x010002}
_TYPES = {0x020001: "a panorama", 0x020002: "a depth map", 0x020003: "other views"}
#: What statements in XMP, or the mark of Samsung's files, say that a file holds.
_STATEMENTS = (
    (re.compile(rb"hdrgm:Version|hdr-gain-map|Semantic=[\"']GainMap|HDRGainMap"), "a gain map"),
    (re.compile(rb"MotionPhoto\s*=\s*[\"']1|MicroVideo\s*=\s*[\"']1|<GCamera:MotionPhoto>1"), "a motion photo"),
    (re.compile(rb"g\.co/|google\.com/photos/1\.0/depthmap|Semantic=[\"']Depth"), "a depth map"),
)
_SAMSUNG_VIDEO = b"MotionPhoto_Data"


def notes(data: bytes, info: Mapping[Any, Any]) -> list[str]:
    """Return a note about what a JPEG holds beside its picture, in a list that is empty without such parts.

    Parameters
    ----------
    data
        The file.
    info
        Information of the opened image, from Pillow.
    """
    packet = info.get("xmp", b"")
    parts = [name for pattern, name in _STATEMENTS if pattern.search(packet if isinstance(packet, bytes) else b"")]
    if _SAMSUNG_VIDEO in data[-(1 << 24) :]:
        parts.append("a motion photo")
    for kind in _entry_types(info.get("mp", b"")):
        if kind not in _PREVIEWS:
            name = _TYPES.get(kind, "" if parts else "another picture")
            parts += [name] if name else []
    names = list(dict.fromkeys(parts))
    return [f"holds more than the picture ({', '.join(names)}); only the picture is used"] if names else []


def _entry_types(index: bytes) -> list[int]:
    """Return the types of the pictures behind the first one, by the index of the multi-picture format."""
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(index[:8])
        file = io.BytesIO(index)
        file.seek(directory.next)
        directory.load(file)
        entries = directory[_ENTRIES]
        order = ">" if index[:2] == b"MM" else "<"
        count = min(len(entries) // _ENTRY_BYTES, _MAX_ENTRIES)
        return [struct.unpack_from(f"{order}I", entries, _ENTRY_BYTES * k)[0] & _TYPE_MASK for k in range(1, count)]
    except Exception:  # none, or a broken one
        return []
