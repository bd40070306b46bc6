"""EXIF and XMP on their way from a photograph into the picture made of it."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.dom import minidom

import pytest
from PIL import ExifTags, Image

from stylebank import images
from stylebank.images.exif import MAX_BYTES
from tests import pictures


def written(tmp_path: Path, source: Path, format: str, depth: int = 8) -> Path:
    picture = images.load(source, metadata=True)
    target = tmp_path / f"made.{format}"
    images.save(target, picture.pixels, format=format, quality=95, depth=depth, metadata=picture.metadata)
    return target


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("format", "depth"), [("jpg", 8), ("png", 8), ("webp", 8), ("tiff", 8), ("png", 16), ("tiff", 16)]
)
def test_what_is_true_of_the_photograph_is_copied_and_what_was_of_its_file_is_not(
    source: str, format: str, depth: int, tmp_path: Path
) -> None:
    pictures.with_metadata(source)(tmp_path / "photograph")
    made = written(tmp_path, tmp_path / "photograph", format, depth)
    with Image.open(made) as image:
        assert image.size == pictures.SIZE  # upright
        exif = image.getexif()
        assert (exif[0x010E], exif[0x010F], exif[0x013B]) == ("A cat", "Kamera", "Zoe")
        exposure, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        assert float(exposure[0x829A]) == 1 / 125 and exposure[0x9003] == "2026:05:04 03:02:01"
        assert exposure[0xA001] == 1  # sRGB now
        assert [float(x) for x in exposure[0xA432][:2]] == [24, 70]  # its other two are 0/0: unknown
        assert place == {1: "N", 2: (48.0, 30.0, 0.5), 3: "E", 4: (9.0, 3.0, 0.25)}
        assert pictures.ORIENTATION not in exif and not {0xA002, 0xA003, 0x927C} & set(exposure)
        packet = image.info["xmp"]
    text = packet.decode() if isinstance(packet, bytes) else packet
    minidom.parseString(text.strip())
    assert "Zoë" in text and 'tiff:Make="Kamera"' in text
    assert "Orientation" not in text and "ImageWidth" not in text
    data = made.read_bytes()
    assert pictures.THUMBNAIL not in data and b"old thumbnail" not in data and b"the maker's own" not in data
    again = images.load(made, metadata=True)
    assert again.notes == () and again.size == pictures.SIZE


def test_a_tiff_passes_on_what_it_holds(tmp_path: Path) -> None:
    pictures.with_metadata("JPEG")(tmp_path / "photograph")
    scan = written(tmp_path, tmp_path / "photograph", "tiff", 16)
    made = written(tmp_path, scan, "jpg")
    with Image.open(made) as image:
        exif = image.getexif()
        assert exif[0x010F] == "Kamera" and not {256, 257, 258, 273, 34675} & set(exif)
        assert exif.get_ifd(ExifTags.IFD.Exif)[0x9003] == "2026:05:04 03:02:01"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert b"Kamera" in image.info["xmp"]


def test_nothing_is_gathered_unless_asked_for_and_nothing_of_a_plain_picture(tmp_path: Path) -> None:
    pictures.with_metadata("JPEG")(tmp_path / "photograph")
    assert not images.load(tmp_path / "photograph").metadata
    pictures.sample().save(tmp_path / "plain.png")
    assert not images.load(tmp_path / "plain.png", metadata=True).metadata


def _exif_of(directory: bytes) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + directory


#: EXIF whose directory of the exposure has more entries than there are bytes, each claiming most of the file.
_GREEDY = _exif_of(
    struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    + struct.pack("<H", 2000)
    + b"".join(struct.pack("<HHII", 0x9000 + k, 3, 11_000, 8) for k in range(2000))
    + bytes(4)
)


_DEEP = b"><dc:title>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</dc:title></rdf:Description>"


def _titled(title: str) -> bytes:
    return (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="{title}"/></rdf:RDF>'
    ).encode()


@pytest.mark.parametrize(
    ("exif", "xmp", "note"),
    [
        (b"Exif\0\0" + b"nonsense" * 4, b"", "EXIF"),
        (_exif_of(struct.pack("<HHHII", 1, 0x8769, 4, 1, 0xFFFFFF)), b"", None),
        (b"", b"<x:xmpmeta", "has broken XMP; it is not copied"),
        (b"", b"\xff\xfe not UTF-8", "has broken XMP; it is not copied"),
        (b"", b'<!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>', "has broken XMP; it is not copied"),
        (b"", _titled("").replace(b"/></rdf:RDF>", _DEEP + b"</rdf:RDF>"), "has broken XMP; it is not copied"),
        (b"", _titled("x" * (MAX_BYTES + 1)), "has XMP of more than 60,000 bytes; it is not copied"),
        (b"", _titled("x") + b" " * 300_000 + b"<!-- -->", "has XMP of more than 60,000 bytes; it is not copied"),
    ],
    ids=["nonsense", "leads nowhere", "torn", "not UTF-8", "entities", "deep", "large", "padded"],
)
def test_broken_or_huge_metadata_is_left_out_and_the_picture_read(
    exif: bytes, xmp: bytes, note: str | None, tmp_path: Path
) -> None:
    pictures.sample().save(tmp_path / "x.webp", lossless=True, exif=exif, xmp=xmp)
    picture = images.load(tmp_path / "x.webp", metadata=True)
    assert (picture.pixels == pictures.colour()).all()
    assert not picture.metadata
    if note is not None:
        assert any(note in text for text in picture.notes), picture.notes


def test_entries_that_all_claim_the_same_bytes_are_not_gathered(tmp_path: Path) -> None:
    pictures.sample().save(tmp_path / "x.webp", lossless=True, exif=_GREEDY)
    picture = images.load(tmp_path / "x.webp", metadata=True)
    assert len(picture.metadata.exif) < 1000 and len(picture.notes) < 5


def test_one_value_that_cannot_be_written_does_not_cost_the_others(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Kamera"
    exif[0x8769] = {0x9003: "2026:05:04 03:02:01", 0x9204: 0x7FFFFFFF}
    data = exif.tobytes().replace(struct.pack(">HHII", 0x9204, 10, 1, 0), b"")
    pictures.sample().save(tmp_path / "x.jpg", exif=data)
    made = images.load(tmp_path / "x.jpg", metadata=True).metadata
    assert b"Kamera" in made.exif and b"2026:05:04" in made.exif
