"""Pictures and videos that a phone's JPEG holds beside its picture; only the picture is used."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any
from xml.dom import minidom

from PIL import TiffImagePlugin

from .xmp import statements

_ENTRIES = 0xB002  # of the multi-picture format (CIPA DC-007)
_TYPE_MASK, _ENTRY_BYTES = 0xFFFFFF, 16
_MAX_ENTRIES = 100
_MAX_PACKET = 1 << 20
#: Types of entries: cameras' previews of the same picture need no note, the others have names.
_PREVIEWS = {0x010001, 0x010002}
_TYPES = {0x020001: "a panorama", 0x020002: "other views", 0x020003: "other views"}
_GAIN_MAP, _MOTION_PHOTO, _DEPTH_MAP, _PICTURE = "a gain map", "a motion photo", "a depth map", "another picture"
#: Namespaces of XMP whose properties all describe one part.
_NAMESPACES = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": _GAIN_MAP,
    "http://ns.apple.com/HDRGainMap/1.0/": _GAIN_MAP,
    "http://ns.google.com/photos/1.0/depthmap/": _DEPTH_MAP,
    "http://ns.google.com/photos/dd/1.0/device/": _DEPTH_MAP,
    "http://ns.google.com/photos/1.0/image/": _PICTURE,
}
#: Properties that describe a part where their value is 1.
_SWITCHES = {("http://ns.google.com/photos/1.0/camera/", name) for name in ("MotionPhoto", "MicroVideo")}
_CONTAINER, _ITEM = "http://ns.google.com/photos/1.0/container/", "http://ns.google.com/photos/1.0/container/item/"
_SEMANTICS = {"GainMap": _GAIN_MAP, "MotionPhoto": _MOTION_PHOTO, "Depth": _DEPTH_MAP}
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
    parts = _stated_parts(info.get("xmp", b""))
    if _SAMSUNG_VIDEO in data[-(1 << 24) :]:
        parts.append(_MOTION_PHOTO)
    for kind in _entry_types(info.get("mp", b"")):
        if kind not in _PREVIEWS:
            name = _TYPES.get(kind, "" if parts else _PICTURE)
            parts += [name] if name else []
    names = list(dict.fromkeys(parts))
    return [f"holds more than the picture ({', '.join(names)}); only the picture is used"] if names else []


def _stated_parts(packet: Any) -> list[str]:
    """Return the parts that an XMP packet says a file holds."""
    parts: list[str] = []
    if not isinstance(packet, bytes) or len(packet) > _MAX_PACKET:
        return parts
    try:
        for node in statements(packet.strip(b"\0 \r\n\t")):
            name = (node.namespaceURI or "", node.localName or "")
            if name[0] in _NAMESPACES:
                parts.append(_NAMESPACES[name[0]])
            elif name in _SWITCHES and _text(node) == "1":
                parts.append(_MOTION_PHOTO)
            elif name == (_CONTAINER, "Directory") and isinstance(node, minidom.Element):
                parts += [_SEMANTICS[semantic] for semantic in _semantics(node) if semantic in _SEMANTICS]
    except Exception:  # no XML, or hostile
        pass
    return parts


def _semantics(directory: minidom.Element) -> list[str]:
    """Return what the items of a container are, stated by attributes or by elements."""
    names = [_text(element) for element in directory.getElementsByTagNameNS(_ITEM, "Semantic")]
    for element in directory.getElementsByTagName("*"):
        names.append(element.getAttributeNS(_ITEM, "Semantic"))
    return names


def _text(node: minidom.Attr | minidom.Element) -> str:
    if isinstance(node, minidom.Attr):
        return str(node.value).strip()
    return "".join(child.data for child in node.childNodes if isinstance(child, minidom.Text)).strip()


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
