"""Files that are no pictures, or pictures that are not read, are named for what they are."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank import images
from stylebank.errors import ImageRefused
from stylebank.images import kinds, plugins


def ftyp(major: bytes, *brands: bytes) -> bytes:
    content = major + bytes(4) + b"".join(brands)
    return struct.pack(">I4s", 8 + len(content), b"ftyp") + content + bytes(64)


def pillow(format: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (40, 40), 128 if mode == "L" else (200, 90, 30)).save(file, format)
    return file.getvalue()


def zipped(name: str, content: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("IMG_1.jpg"))
    return file.getvalue()


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(200))
    return file.getvalue()


def numbers() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(100))
    return file.getvalue()


PNG, JPEG = pillow("PNG"), pillow("JPEG")
#: Members of each kind.
FILES: dict[str, tuple[bytes, ...]] = {
    "a web page": (
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"\xef\xbb\xbf\r\n\t <html lang='de'>",
        b"<!-- saved from url -->\n<!-- twice -->\n<HEAD>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN"><html>',
        "\ufeff<!doctype HTML><title>Größe</title>".encode("utf-16-le"),
        b"<html><head><title>Gr\xf6\xdfe</title>",
        b"<script>window.location='login'</script>",
    ),
    "an SVG drawing": (
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<?xml version="1.0"?>\n<!-- Inkscape -->\n<svg:svg xmlns:svg="http://www.w3.org/2000/svg">',
        b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg/>',
    ),
    "an XML document": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', b"<rss version='2'/>"),
    "a JSON file": (b'{"error": 404}', b" [1, 2, 3]\n", json.dumps({"big": ["x" * 100] * 2000}).encode()),
    "a text file": (b"Not found\n", "Größe {80}".encode(), b"BMW, a car", b"P3a", b"{ no json"),
    "a PDF document": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", b"\x00\x01junk\n%PDF-1.4\n"),
    "a PostScript file": (b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6\x1e\x00\x00\x00", pillow("EPS")),
    "a HEIC photograph": (
        ftyp(b"heic", b"mif1", b"heic"),
        ftyp(b"mif1", b"heic"),
        ftyp(b"heix"),
        ftyp(b"msf1", b"hevc"),
    ),
    "an AVIF picture": (ftyp(b"avif", b"mif1"), ftyp(b"avis"), ftyp(b"mif1", b"avif", b"miaf")),
    "a JPEG XL picture": (b"\xff\x0a\x3a\x1f", b"\x00\x00\x00\x0cJXL \r\n\x87\n" + ftyp(b"jxl ")),
    "a JPEG 2000 picture": (pillow("JPEG2000"), b"\xff\x4f\xff\x51\x00\x2f", ftyp(b"jp2 ")),
    "a JPEG XR picture": (b"II\xbc\x01\x20\x00\x00\x00",),
    "a Photoshop file": (b"8BPS\x00\x01" + bytes(20), b"8BPS\x00\x02" + bytes(20)),
    "a camera raw file": (
        ftyp(b"crx ", b"crx ", b"isom"),
        b"FUJIFILMCCD-RAW 0201FF383501",
        b"IIRO\x08\x00\x00\x00",
        b"IIRS\x08\x00\x00\x00",
        b"MMOR\x00\x00\x00\x08",
        b"IIU\x00\x18\x00\x00\x00",
        b"FOVb\x00\x00\x02\x00",
        b"\x00MRM\x00\x00\x01\x00",
        b"II\x1a\x00\x00\x00HEAPCCDR",
        b"II*\x00\x10\x00\x00\x00CR\x02\x00",
    ),
    "a video": (
        ftyp(b"isom", b"mp41"),
        ftyp(b"qt  "),
        ftyp(b"3gp4"),
        b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat",
        b"\x1aE\xdf\xa3\x01\x00",
        b"RIFF\x24\x00\x00\x00AVI LIST",
        b"\x00\x00\x01\xba\x44",
        b"FLV\x01\x05",
    ),
    "a sound file": (sound(), b"ID3\x03\x00", b"OggS\x00\x02", ftyp(b"M4A ")),
    "a ZIP archive": (zipped("IMG_1.jpg", "x"), b"PK\x05\x06" + bytes(18)),
    "an OpenRaster file": (zipped("mimetype", "image/openraster"),),
    "a Krita file": (zipped("mimetype", "application/x-krita"),),
    "an Office document": (zipped("[Content_Types].xml", "x"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8)),
    "a gzip archive": (gzip.compress(b"<svg/>"),),
    "an archive": (tarred(), b"7z\xbc\xaf\x27\x1c\x00\x04", b"Rar!\x1a\x07\x01\x00", b"\xfd7zXZ\x00\x00"),
    "an OpenEXR picture": (b"\x76\x2f\x31\x01\x02\x00\x00\x00",),
    "a Radiance picture": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", b"#?RGBE\n"),
    "an icon": (pillow("ICO"), b"\x00\x00\x02\x00\x01\x00", b"icns\x00\x00"),
    "a Netpbm picture": (pillow("PPM"), pillow("PPM", "L"), b"P3\n1 1\n255\n0 0 0\n"),
    "a TGA picture": (pillow("TGA"),),
    "a DDS texture": (pillow("DDS"),),
    "a QOI picture": (pillow("QOI"),),
    "a GIMP file": (b"gimp xcf v011\x00",),
    "an HDF5 file": (b"\x89HDF\r\n\x1a\n\x00",),
    "a NumPy file": (numbers(),),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",),
    "a git-annex pointer": (b"/annex/objects/SHA256E-s31390--f50d.jpg\n",),
    "a file of macOS metadata": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",),
    "a file of zeros": (bytes(1), bytes(5000)),
    "a Windows shortcut": (b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00",),
    "a web shortcut": (b"[InternetShortcut]\r\nURL=https://example.org/a.jpg\r\n",),
    "a PNG file saved as text": (
        PNG.decode("utf-8", "replace").encode(),
        PNG.decode("latin-1").encode(),
        PNG.replace(b"\r\n", b"\n"),
        bytes(byte & 127 for byte in PNG),
    ),
    "a JPEG file saved as text": (JPEG.decode("utf-8", "replace").encode(), JPEG.decode("latin-1").encode()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_member_is_named_and_refused_with_advice(name: str, tmp_path: Path) -> None:
    for number, data in enumerate(FILES[name]):
        assert kinds.describe(data) == name
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(data)
        with pytest.raises(ImageRefused) as refused:
            images.load(path)
        assert str(refused.value).startswith(f"{path}: {name}")
        if not data.startswith(b"II*\x00"):  # a TIFF is named by what its directories say
            assert str(refused.value) == f"{path}: {kinds.advice(data)}"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a web page", "a web page, not an image. Download the picture itself."),
        ("a Git LFS pointer", "a Git LFS pointer, not an image. Run git lfs pull."),
        ("a PDF document", "a PDF document, not an image. Save its page as PNG or TIFF first."),
        ("a JPEG XL picture", "a JPEG XL picture, which is not read. Convert it to PNG or TIFF first."),
        ("a camera raw file", "a camera raw file, which is not read. Convert it to TIFF or JPEG first."),
        ("an SVG drawing", "an SVG drawing, which is not read. Export it as PNG or TIFF first."),
        ("a ZIP archive", "a ZIP archive, not an image. Unpack it first."),
        ("a video", "a video, not an image. Save a frame of it as PNG first."),
    ],
)
def test_advice_says_what_the_file_is_and_what_to_do(name: str, advice: str) -> None:
    assert kinds.advice(FILES[name][0]) == advice


def test_an_unknown_file_gets_the_list_of_formats() -> None:
    data = bytes(range(1, 200))
    assert kinds.describe(data) is None and kinds.describe(b"") is None
    assert kinds.advice(data).startswith("not an image that can be read. Give a JPEG, PNG, ")


def test_a_format_that_is_read_is_damaged_where_it_cannot_be_opened() -> None:
    for data, name in ((JPEG[:20], "a JPEG file"), (PNG[:20], "a PNG file"), (b"GIF89a", "a GIF file")):
        assert kinds.advice(data) == f"{name} that cannot be read. Get a complete copy, or convert it to PNG."


def test_a_format_of_a_plugin_that_is_missing_names_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "formats", lambda: plugins.READ_FORMATS)
    assert kinds.advice(ftyp(b"heic")) == "a HEIC photograph, which needs pillow-heif. Run pip install pillow-heif."
    assert kinds.advice(ftyp(b"avif")) == "an AVIF picture, which needs a Pillow with AVIF. Run pip install -U pillow."


def test_suffixes_are_plain_lower_case_and_none_is_read() -> None:
    assert not kinds.SUFFIXES.keys() & images.READ_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in kinds.SUFFIXES)
    assert (
        kinds.SUFFIXES[".cr3"] == kinds.SUFFIXES[".dng"] == "camera raw file"
        and kinds.SUFFIXES[".pdf"] == "PDF document"
    )


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_after_any_beginning_are_named_or_not_without_an_error(seed: int) -> None:
    random = np.random.default_rng(seed)
    for members in FILES.values():
        for data in members:
            for length in (1, 4, 8, 12, 40):
                kinds.advice(data[:length] + random.bytes(int(random.integers(0, 300))))
