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


def test_exif_entries_are_copied_by_a_list(tmp_path: Path) -> None:
    kept = {0x829D: 2.8, 0x8827: 200, 0x9003: "2026:05:04 03:02:01", 0x9207: 5, 0x920A: 50.0, 0xA402: 1, 0xA434: "Lens"}
    dropped = {
        **{0x9214: (8, 4, 6, 4), 0xA214: (8, 4), 0xA20E: 1000.0, 0xA20F: 1000.0, 0xA210: 3, 0xA20C: b"response"},
        **{
            0xA002: 64,
            0xA003: 48,
            0xA004: "x.wav",
            0xA420: "0123",
            0x927C: b"maker",
            0xEA1C: b"padding",
            0xFDE8: "new",
        },
    }
    exif = Image.Exif()
    exif[0x010F], exif[0xC4A5], exif[0x4746], exif[0xEA00] = "Kamera", b"print image matching", 4, "unknown"
    exif[0x8769] = {**kept, **dropped}
    exif[0x8825] = {1: "N", 2: (48.0, 30.0, 0.5), 0xEA00: "unknown"}
    pictures.sample().save(tmp_path / "x.jpg", exif=exif)
    copied = Image.Exif()
    copied.load(images.load(tmp_path / "x.jpg", metadata=True).metadata.exif)
    assert {tag: copied[tag] for tag in copied if tag not in {0x8769, 0x8825}} == {0x010F: "Kamera", 0x4746: 4}
    assert {tag: value for tag, value in copied.get_ifd(0x8769).items() if tag != 0xA001} == kept
    assert copied.get_ifd(0x8825) == {1: "N", 2: (48.0, 30.0, 0.5)}


def _density(x: float, y: float, unit: int = 2) -> Image.Exif:
    exif = Image.Exif()
    exif[0x11A], exif[0x11B], exif[0x128] = x, y, unit
    return exif


def _with_jfif(data: bytes, unit: int, x: int, y: int) -> bytes:
    at = data.index(b"JFIF\0") + 7
    return data[:at] + struct.pack(">BHH", unit, x, y) + data[at + 5 :]


@pytest.mark.parametrize(
    ("unit", "jfif", "exif", "dpi"),
    [
        (1, (300, 150), None, (300, 150)),
        (2, (100, 200), None, (254, 508)),
        (0, (300, 300), None, None),  # an aspect ratio
        (1, (0, 300), None, None),
        (1, (1, 1), None, None),
        (7, (300, 300), None, None),
        (0, (1, 1), _density(240, 120), (240, 120)),
        (0, (1, 1), _density(100, 100, 3), (254, 254)),
        (0, (1, 1), _density(240, 240, 1), None),
        (0, (1, 1), _density(0, 240), None),
        (0, (1, 1), _density(1e9, 1e9), None),
        (1, (72, 72), _density(240, 240), (240, 240)),  # as ImageMagick and exiftool have it
        (1, (72, 72), _density(240, 240, 1), (72, 72)),
    ],
)
def test_print_size_of_a_jpeg(
    unit: int, jfif: tuple[int, int], exif: Image.Exif | None, dpi: tuple[float, float] | None, tmp_path: Path
) -> None:
    path = tmp_path / "x.jpg"
    pictures.sample().save(path, **({"exif": exif} if exif else {}))
    path.write_bytes(_with_jfif(path.read_bytes(), unit, *jfif))
    size = images.load(path, metadata=True).metadata.print_size
    assert size == (pytest.approx((64 / dpi[0], 48 / dpi[1])) if dpi else None)


def test_jpeg_with_exif_and_neither_jfif_nor_density_has_no_print_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Kamera"
    pictures.sample().save(tmp_path / "x.jpg", exif=exif)
    data = (tmp_path / "x.jpg").read_bytes()
    assert data[2:4] == b"\xff\xe0"
    (tmp_path / "x.jpg").write_bytes(data[:2] + data[4 + struct.unpack(">H", data[4:6])[0] :])
    metadata = images.load(tmp_path / "x.jpg", metadata=True).metadata
    assert metadata.print_size is None and b"Kamera" in metadata.exif


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_density_of_other_formats_counts_before_exif(format: str, tmp_path: Path) -> None:
    options = {"exif": _density(600, 600)} if format == "PNG" else {}
    pictures.sample().save(tmp_path / "x", format=format, dpi=(300, 150), **options)
    size = images.load(tmp_path / "x", metadata=True).metadata.print_size
    assert size == pytest.approx((64 / 300, 48 / 150), rel=1e-3)


def test_phys_without_unit_is_an_aspect_ratio(tmp_path: Path) -> None:
    pictures.sample().save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(
        data[:33] + pictures.png_chunk(b"pHYs", struct.pack(">IIB", 9999, 9999, 0)) + data[33:]
    )
    assert images.load(tmp_path / "x.png", metadata=True).metadata.print_size is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
def test_print_size_of_a_turned_picture_is_that_of_the_upright_one(
    format: str, orientation: int, tmp_path: Path
) -> None:
    exif = _density(320, 160)
    exif[pictures.ORIENTATION] = orientation
    pictures.sample().save(tmp_path / "x", format=format, exif=exif)
    picture = images.load(tmp_path / "x", metadata=True)
    stored = (64 / 320, 48 / 160)
    assert picture.metadata.print_size == pytest.approx(stored[::-1] if orientation > 4 else stored)
    assert picture.size == ((48, 64) if orientation > 4 else (64, 48))


def test_preview_has_the_print_size_of_its_picture(tmp_path: Path) -> None:
    pictures.sample().resize((640, 480)).save(tmp_path / "x.jpg", dpi=(320, 320))
    preview = images.load(tmp_path / "x.jpg", metadata=True, preview=64)
    assert preview.size[0] < 640 and preview.metadata.print_size == (2, 1.5)


@pytest.mark.parametrize("text", ["Zo\u00eb M\u00fcller Stra\u00dfe", "\u5199\u771f"])
@pytest.mark.parametrize("dpi", [None, 300.0])
@pytest.mark.parametrize(("format", "depth"), [("jpg", 8), ("png", 8), ("webp", 8), ("tiff", 8), ("png", 16)])
def test_text_beyond_ascii_keeps_its_bytes(
    format: str, depth: int, dpi: float | None, text: str, tmp_path: Path
) -> None:
    encoded = text.encode()
    stand_in = b"?" * len(encoded)
    exif = Image.Exif()
    exif[0x013B] = stand_in.decode()
    exif[0x8769] = {0xA430: stand_in.decode(), 0x9003: "2026:05:04 03:02:01"}
    pictures.sample().save(tmp_path / "x.jpg", exif=exif.tobytes().replace(stand_in, encoded))
    picture = images.load(tmp_path / "x.jpg", metadata=True)
    target = tmp_path / f"out.{format}"
    options = {"format": format, "quality": 95, "depth": depth, "metadata": picture.metadata, "dpi": dpi}
    images.save(target, picture.pixels, **options)  # type: ignore[arg-type]
    assert target.read_bytes().count(encoded) == 2
    with Image.open(target) as image:  # a text, not bytes
        assert image.getexif()[0x013B] == image.getexif().get_ifd(0x8769)[0xA430] == encoded.decode("latin-1")
