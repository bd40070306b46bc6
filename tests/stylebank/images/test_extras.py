from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from tests import pictures

_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" {statements}/></rdf:RDF></x:xmpmeta>'
)
_CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '


def _directory(semantic: str, *, as_element: bool = False) -> str:
    """Statements about a picture and a part behind it, as phones write them since 2020."""
    items = [
        f"<i:Semantic>{name}</i:Semantic>" if as_element else f'<c:Item i:Semantic="{name}" i:Length="9"/>'
        for name in ("Primary", semantic)
    ]
    uri = "http://ns.google.com/photos/1.0/container/"
    return (
        f'xmlns:c="{uri}" xmlns:i="{uri}item/"><c:Directory><rdf:Seq>'
        + "".join(f'<rdf:li rdf:parseType="Resource">{item}</rdf:li>' for item in items)
        + "</rdf:Seq></c:Directory></rdf:Description><rdf:Description"
    )


def jpeg(statements: str = "", *, further: int = 0, behind: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    options: dict[str, object] = {"xmp": _XMP.format(statements=statements).encode()} if statements else {}
    if further:
        options |= {"save_all": True, "append_images": [Image.new("L", (32, 24))] * further}
    pictures.sample().save(buffer, format="MPO" if further else "JPEG", quality=97, **options)
    return buffer.getvalue() + behind


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (jpeg('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"', further=1), "a gain map"),
        (jpeg(_CAMERA + 'GCamera:MotionPhoto="1"', behind=bytes(999)), "a motion photo"),
        (jpeg(_CAMERA + 'GCamera:MicroVideo="1"', behind=bytes(999)), "a motion photo"),
        (jpeg(behind=b"MotionPhoto_Data" + bytes(999)), "a motion photo"),
        (jpeg('xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeInverse"'), "a depth map"),
        (jpeg('xmlns:c="http://ns.google.com/photos/1.0/camera/" c:MotionPhoto="1"'), "a motion photo"),
        (
            jpeg(f"{_CAMERA}><GCamera:MotionPhoto>1</GCamera:MotionPhoto></rdf:Description><rdf:Description"),
            "a motion photo",
        ),
        (jpeg(_directory("GainMap")), "a gain map"),
        (jpeg(_directory("Depth")), "a depth map"),
        (jpeg(_directory("MotionPhoto", as_element=True)), "a motion photo"),
        (jpeg(further=1), "another picture"),
        (jpeg(further=3), "another picture"),
    ],
)
def test_parts_beside_the_picture_are_named(data: bytes, part: str, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    picture = images.load(tmp_path / "x.jpg")
    assert picture.notes == (f"holds more than the picture ({part}); only the picture is used",)
    assert np.abs(picture.pixels - pictures.colour()).mean() < 4


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg(_CAMERA + 'GCamera:MotionPhoto="0"'),
        jpeg(_directory("Original")),
        jpeg('xmlns:dc="http://purl.org/dc/elements/1.1/" dc:description="MotionPhoto=&apos;1 hdrgm:Version"'),
        jpeg("<"),
        jpeg('xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="x"'),
    ],
)
def test_ordinary_picture_has_no_note(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    assert images.load(tmp_path / "x.jpg").notes == ()


def test_previews_that_cameras_store_have_no_note(tmp_path: Path) -> None:
    data = bytearray(jpeg(further=1))
    start = data.index(b"MPF\0") + 4  # a directory as in TIFF
    order = "<" if data[start : start + 2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, start + 4)
    (count,) = struct.unpack_from(f"{order}H", data, start + directory)
    rows = [struct.unpack_from(f"{order}HHII", data, start + directory + 2 + 12 * row) for row in range(count)]
    (entries,) = (offset for tag, _type, _count, offset in rows if tag == 0xB002)
    struct.pack_into(f"{order}I", data, start + entries + 16, 0x010002)  # type of the second picture
    (tmp_path / "x.jpg").write_bytes(data)
    assert images.load(tmp_path / "x.jpg").notes == ()
