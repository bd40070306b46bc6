"""What an output says of its photograph, read back byte by byte, or by Pillow and tifffile."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.picture_kinds import COLOUR

Run = Callable[..., Any]
AS_IT_IS = ("--style", "wave", "--strength", 0)
HALF = (*AS_IT_IS, "--size", 96)
LARGE = np.kron(COLOUR, np.ones((3, 3, 1), np.uint8))  # 192 x 144


def _exif(unit: int, density: float) -> Image.Exif:
    exif = Image.Exif()
    exif[0x11A] = exif[0x11B] = density
    exif[0x128] = unit
    return exif


def _tiff(path: Path) -> None:
    tifffile.imwrite(path, LARGE, photometric="rgb", resolution=(300, 300), resolutionunit="INCH", metadata=None)


#: Photographs of 300 dots per inch, by where they say so: 192 pixels are 0.64 inches wide.
SOURCES: dict[str, Callable[[Path], None]] = {
    "jfif.jpg": lambda path: Image.fromarray(LARGE).save(path, dpi=(300, 300), quality=95),
    "phys.png": lambda path: Image.fromarray(LARGE).save(path, dpi=(300, 300)),
    "tags.tif": _tiff,
    "exif.jpg": lambda path: Image.fromarray(LARGE).save(path, exif=_exif(2, 300), quality=95),
    "exif_cm.webp": lambda path: Image.fromarray(LARGE).save(path, exif=_exif(3, 300 / 2.54), lossless=True),
}


def density(path: Path) -> list[float]:
    """Every statement about dots per inch in a file."""
    data, found = path.read_bytes(), []
    if path.suffix == ".jpg":
        at = data.index(b"JFIF\0")
        unit, x, y = struct.unpack_from(">BHH", data, at + 7)
        found += [x, y] if unit == 1 else []
    if path.suffix == ".png" and b"pHYs" in data:
        x, y, unit = struct.unpack_from(">IIB", data, data.index(b"pHYs") + 4)
        assert unit == 1
        found += [x * 0.0254, y * 0.0254]
    if path.suffix == ".tiff":
        with tifffile.TiffFile(path) as tiff:
            found += tiff.pages[0].get_resolution(2) if 282 in tiff.pages[0].tags else []
    with Image.open(path) as image:
        exif = image.getexif()
        found += [float(exif[tag]) for tag in (282, 283) if tag in exif]
        assert exif.get(296, 2) == 2
    return found


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tiff"])
def test_density_keeps_the_size_of_the_print(run: Run, tmp_path: Path, source: str, format: str) -> None:
    SOURCES[source](tmp_path / source)
    output = tmp_path / f"out.{format}"
    assert run("apply", tmp_path / source, "-o", output, *HALF).code == 0
    assert density(output) and np.allclose(density(output), 150, atol=0.6)  # JFIF holds whole numbers


@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tiff"])
def test_dpi_is_what_the_option_says_even_without_metadata(run: Run, tmp_path: Path, format: str) -> None:
    SOURCES["jfif.jpg"](tmp_path / "x.jpg")
    for name, options in (("a", ("--dpi", 240)), ("b", ("--dpi", 240, "--no-metadata"))):
        output = tmp_path / f"{name}.{format}"
        result = run("apply", tmp_path / "x.jpg", "-o", output, *HALF, *options, "--json")
        assert result.code == 0 and np.allclose(density(output), 240, atol=0.1) and density(output)
        assert json.loads(result.stdout)["settings"]["dpi"] == 240


def test_nothing_is_stated_without_a_density_or_without_metadata(run: Run, tmp_path: Path) -> None:
    Image.fromarray(LARGE).save(tmp_path / "plain.png")
    SOURCES["jfif.jpg"](tmp_path / "x.jpg")
    for number, (name, options) in enumerate((("plain.png", ()), ("x.jpg", ("--no-metadata",)))):
        for format in ("jpg", "png", "tiff", "webp"):
            output = tmp_path / f"{number}.{format}"
            assert run("apply", tmp_path / name, "-o", output, *HALF, *options).code == 0
            assert density(output) == []


def test_another_dpi_is_another_output_as_another_quality_is(run: Run, tmp_path: Path) -> None:
    SOURCES["jfif.jpg"](tmp_path / "x.jpg")
    arguments = ("apply", tmp_path / "x.jpg", "-o", tmp_path / "out.jpg", *HALF)
    assert run(*arguments).code == 0
    assert "1 skipped" in run(*arguments).stderr
    refused = run(*arguments, "--dpi", 300)
    assert refused.code == 1 and "it has dpi none, not 300" in refused.stderr


@pytest.mark.parametrize("value", ["0", "-1", "1e9", "nan"])
def test_impossible_dpi_is_refused(run: Run, tmp_path: Path, value: str) -> None:
    SOURCES["jfif.jpg"](tmp_path / "x.jpg")
    result = run("apply", tmp_path / "x.jpg", "-o", tmp_path / "o.jpg", *AS_IT_IS, "--dpi", value)
    assert result.code == 2 and "dpi" in result.stderr and "expected" in result.stderr


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
 xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
 xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 crs:HasCrop="True" GPano:FullPanoWidthPixels="128" GCamera:MotionPhoto="1" xmpNote:HasExtendedXMP="0123">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">A beach</rdf:li></rdf:Alt></dc:description>
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li mwg-rs:Name="Ann">
<mwg-rs:Area stArea:x="0.8" stArea:y="0.2"/></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_statements_in_pixels_and_about_missing_data_are_dropped(run: Run, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    exif[0x10F] = "Kamera"
    exif[0x8769] = {0x9214: (208, 40, 64, 48), 0xA214: (208, 40), 0xA20E: 1000.0, 0xA210: 3, 0xA404: 1.0, 0xA002: 192}
    buffer = io.BytesIO()
    Image.fromarray(LARGE).save(buffer, format="JPEG", exif=exif, xmp=XMP.encode(), quality=95)
    (tmp_path / "IMG_1.jpg").write_bytes(buffer.getvalue() + bytes(500))
    result = run("apply", tmp_path / "IMG_1.jpg", "-o", tmp_path / "out.jpg", *HALF)
    assert result.code == 0
    assert "note: " in result.stderr and "holds more than the picture (a motion photo)" in result.stderr
    data = (tmp_path / "out.jpg").read_bytes()
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (72, 96)
        written = image.getexif()
        assert written[0x10F] == "Kamera" and 274 not in written
        assert dict(written.get_ifd(0x8769)) == {0xA404: 1.0}
        assert b"A beach" in image.info["xmp"]
    for word in (b"Ann", b"stArea", b"crs", b"GPano", b"MotionPhoto", b"HasExtendedXMP"):
        assert word not in data, word
