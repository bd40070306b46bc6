"""Kinds of image files from public bug reports, small, each with the pixels that it shows.

The truth is arithmetic on arrays; files are written by tifffile, Pillow, or byte by byte.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from .pictures import linear_grey_profile, png_chunk

HEIGHT, WIDTH = 48, 64
_PNG_TYPES = {0: 1, 2: 3, 4: 2, 6: 4}


@dataclass(frozen=True)
class Kind:
    """A file: how it is written, the pixels and opacity that it shows, and the note that it gets.

    `tolerance` is the largest error in levels of 255; 0.01 allows for nothing but rounding to 16 bits.
    """

    write: Callable[[Path], None]
    pixels: np.ndarray
    tolerance: float = 0.01
    alpha: np.ndarray | None = None
    note: str = ""
    metadata: bool = False


def _blocks(seed: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.kron(random.integers(10, 245, (HEIGHT // 8, WIDTH // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)


COLOUR = _blocks()
#: 16 bits that 8 cannot hold.
DEEP = COLOUR.astype(np.uint16) * 257 + np.random.default_rng(6).integers(-128, 128, COLOUR.shape).astype(np.int16)
DEEP = DEEP.astype(np.uint16)
GREY, GREY16 = COLOUR[..., 1], DEEP[..., 1]
#: Clear at the left, half clear in the middle, opaque at the right.
ALPHA = np.repeat(np.repeat(np.array([0, 9, 128, 255], np.uint8), WIDTH // 4)[None], HEIGHT, axis=0)


def _three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def _linear(encoded: np.ndarray) -> np.ndarray:
    x = encoded / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    x = np.clip(linear, 0, 1)
    return 255 * np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055)


# TIFF


def _tiff(array: np.ndarray, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        tifffile.imwrite(path, array, metadata=None, **{"photometric": "rgb", **options})

    return write


def _cmyk(colour: np.ndarray) -> np.ndarray:
    """CMYK whose conversion by complements gives the colour back exactly: no black."""
    ink = np.iinfo(colour.dtype).max - colour
    return np.concatenate([ink, np.zeros_like(ink[..., :1])], axis=2)


def _planar(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 2, 0)


def _planar_kinds() -> dict[str, Kind]:
    kinds = {}
    layouts: dict[str, dict[str, Any]] = {
        "strips": {},
        "big_endian": {"byteorder": ">"},
        "tiles": {"tile": (16, 16)},
        "big_endian_tiles": {"byteorder": ">", "tile": (16, 16)},
        "deflate": {"compression": "zlib"},
        "lzw": {"compression": "lzw", "predictor": 2},
    }
    for bits, colour in ((8, COLOUR), (16, DEEP)):
        white = np.iinfo(colour.dtype).max
        alpha = (ALPHA.astype(colour.dtype) * (white // 255))[..., None]
        arrays = {
            "rgb": (colour, {"photometric": "rgb"}, None),
            "rgba": (
                np.concatenate([colour, alpha], 2),
                {"photometric": "rgb", "extrasamples": ["unassalpha"]},
                ALPHA,
            ),
            "cmyk": (_cmyk(colour), {"photometric": "separated"}, None),
        }
        for name, (array, options, opacity) in arrays.items():
            for layout, more in layouts.items():
                kinds[f"planar_{name}{bits}_{layout}.tif"] = Kind(
                    _tiff(_planar(array), planarconfig="separate", **options, **more),
                    colour * (255 / white),
                    alpha=opacity,
                )
    return kinds


def _associated(path: Path) -> None:
    premultiplied = np.rint(DEEP * (ALPHA[..., None] / 255)).astype(np.uint16)
    array = np.concatenate([premultiplied, ALPHA[..., None].astype(np.uint16) * 257], 2)
    _tiff(array, extrasamples=["assocalpha"])(path)


def _tiff_kinds() -> dict[str, Kind]:
    extra = (ALPHA.astype(np.uint16) * 257)[..., None]
    deep = DEEP / 257
    grey_options = {"photometric": "minisblack"}
    color_map = np.stack([np.arange(256, dtype=np.uint16)] * 3)
    return {
        "rgb16_big_endian.tif": Kind(_tiff(DEEP, byteorder=">"), deep),
        "rgb16_predictor.tif": Kind(_tiff(DEEP, compression="zlib", predictor=2), deep),
        "rgb16_lzw_big_endian.tif": Kind(_tiff(DEEP, compression="lzw", predictor=2, byteorder=">"), deep),
        "rgb16_packbits.tif": Kind(_tiff(DEEP, compression="packbits"), deep),
        "rgb16_zstd_tiles.tif": Kind(_tiff(DEEP, compression="zstd", tile=(32, 32)), deep),
        "rgb16_bigtiff.tif": Kind(_tiff(DEEP, bigtiff=True), deep),
        "rgb16_five_channels.tif": Kind(
            _tiff(np.concatenate([DEEP, extra, extra], 2), extrasamples=["unassalpha", "unspecified"]),
            deep,
            alpha=ALPHA,
        ),
        "rgb16_infrared.tif": Kind(_tiff(np.concatenate([DEEP, extra], 2), extrasamples=["unspecified"]), deep),
        "rgb16_associated.tif": Kind(_associated, deep, tolerance=0.3, alpha=ALPHA),
        "rgb_float32.tif": Kind(_tiff((COLOUR / 255).astype(np.float32)), COLOUR),
        "rgb_float16.tif": Kind(_tiff((COLOUR / 255).astype(np.float16)), COLOUR, tolerance=0.07),
        "rgb_float_predictor.tif": Kind(
            _tiff((COLOUR / 255).astype(np.float32), compression="zlib", predictor=3), COLOUR
        ),
        "rgb_float_planar.tif": Kind(_tiff(_planar(COLOUR / np.float32(255)), planarconfig="separate"), COLOUR),
        "rgb_float_overshoot.tif": Kind(
            _tiff(np.where(COLOUR > 200, 1.02, np.where(COLOUR < 30, -0.01, COLOUR / 255)).astype(np.float32)),
            np.where(COLOUR > 200, 255, np.where(COLOUR < 30, 0, COLOUR)),
            note="has values from -0.01 to 1.02; those outside 0..1 are clipped",
        ),
        "rgb_uint32.tif": Kind(_tiff(COLOUR.astype(np.uint32) * 16843009), COLOUR),
        "cmyk16.tif": Kind(_tiff(_cmyk(DEEP), photometric="separated"), deep),
        "grey_float64.tif": Kind(_tiff(GREY / 255.0, **grey_options), _three(GREY)),
        "grey_alpha16.tif": Kind(
            _tiff(np.dstack([GREY16, extra]), planarconfig="contig", extrasamples=["unassalpha"], **grey_options),
            _three(GREY16) / 257,
            alpha=ALPHA,
        ),
        "grey_alpha8.tif": Kind(
            _tiff(np.dstack([GREY, ALPHA]), planarconfig="contig", extrasamples=["unassalpha"], **grey_options),
            _three(GREY),
            alpha=ALPHA,
        ),
        "grey_white_is_zero16.tif": Kind(_tiff(65535 - GREY16, photometric="miniswhite"), _three(GREY16) / 257),
        "grey_white_is_zero8.tif": Kind(_tiff(255 - GREY, photometric="miniswhite"), _three(GREY)),
        "grey_12_bits_in_16.tif": Kind(
            _tiff(GREY.astype(np.uint16) * 16, **grey_options),
            _three(GREY) * (16 / 257),
            note="is very dark: its brightest value is 3,904 of 65,535",
        ),
        "palette_of_8_bits.tif": Kind(_tiff(GREY, photometric="palette", colormap=color_map), _three(GREY)),
        "palette_of_16_bits.tif": Kind(_tiff(GREY, photometric="palette", colormap=color_map * 257), _three(GREY)),
        "darktable_linear16.tif": Kind(
            _tiff(
                np.rint(_linear(COLOUR / 3) * 65535).astype(np.uint16), compression="zlib", iccprofile=linear_profile()
            ),
            COLOUR / 3,
            tolerance=0.05,
        ),
    }


def linear_profile() -> bytes:
    """A profile with the primaries of sRGB and linear light: every curve points at one of gamma 1."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, 132 + 12 * count, 12):
        if bytes(profile[entry : entry + 4]) in {b"rTRC", b"gTRC", b"bTRC"}:
            profile[entry + 4 : entry + 12] = struct.pack(">II", len(profile), 12)
    profile += b"curv\0\0\0\0\0\0\0\0"
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


# files whose first directory is a reduced picture


def _reduced_first(in_subdirectory: bool, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tifffile.TiffWriter(path, **options) as writer:
            more = {"subifds": 1} if in_subdirectory else {}
            writer.write(COLOUR[::4, ::4], photometric="rgb", subfiletype=1, metadata=None, **more)
            writer.write(COLOUR, photometric="rgb", subfiletype=0, compression="zlib", metadata=None)

    return write


def _pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(COLOUR, photometric="rgb", subifds=1, compression="zlib", metadata=None)
        writer.write(COLOUR[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)


def _with_thumbnail_and_mask_behind(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(COLOUR, photometric="rgb", metadata=None)
        writer.write(COLOUR[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(ALPHA > 0, photometric="minisblack", subfiletype=4, metadata=None)


def _deep_behind_thumbnail(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(COLOUR[::4, ::4], photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        writer.write(DEEP, photometric="rgb", subfiletype=0, metadata=None)


# PNG


def _png(values: np.ndarray, bits: int, color_type: int, chunks: bytes = b"", interlaced: bool = False) -> bytes:
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, int(interlaced))
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        ]
    rows = b""
    for top, left, down, right in passes:
        for row in values[top::down, left::right].reshape(-(-(height - top) // down), -1):
            rows += b"\0" + _packed(row, bits)
    data = png_chunk(b"IHDR", header) + chunks + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def _packed(row: np.ndarray, bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    if bits == 8:
        return row.astype(np.uint8).tobytes()
    binary = (row[:, None] >> np.arange(bits)[::-1]) & 1
    return np.packbits(binary.astype(np.uint8)).tobytes()


def _file(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def _few_bits(bits: int) -> dict[str, Kind]:
    """Grey of 1, 2 or 4 bits per pixel, where one grey is clear."""
    white = (1 << bits) - 1
    values = np.rint(GREY / 255 * white).astype(np.uint8)
    clear = int(np.median(values))
    data = _png(values, bits, 0, png_chunk(b"tRNS", struct.pack(">H", clear)))
    alpha = np.where(values == clear, 0, 255)
    return {f"grey{bits}_clear.png": Kind(_file(data), _three(values) * (255 / white), alpha=alpha)}


def _png_kinds() -> dict[str, Kind]:
    deep, alpha16 = DEEP / 257, (ALPHA.astype(np.uint16) * 257)[..., None]
    linear16 = np.rint(_linear(COLOUR) * 65535).astype(np.uint16)
    linear8 = np.rint(_linear(COLOUR) * 255).astype(np.uint8)
    gamma1 = png_chunk(b"gAMA", struct.pack(">I", 100_000))
    clear = DEEP[0, 0]
    one_clear = np.where((clear == DEEP).all(axis=2), 0, 255)
    srgb = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    adobe = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    gamma18 = png_chunk(b"gAMA", struct.pack(">I", round(100_000 / 1.8)))
    return {
        "rgb16.png": Kind(_file(_png(DEEP, 16, 2)), deep),
        "rgb16_interlaced.png": Kind(_file(_png(DEEP, 16, 2, interlaced=True)), deep),
        "rgba16.png": Kind(_file(_png(np.concatenate([DEEP, alpha16], 2), 16, 6)), deep, alpha=ALPHA),
        "rgb16_clear.png": Kind(
            _file(_png(DEEP, 16, 2, png_chunk(b"tRNS", clear.astype(">u2").tobytes()))), deep, alpha=one_clear
        ),
        "grey16_alpha.png": Kind(_file(_png(np.dstack([GREY16, alpha16]), 16, 4)), _three(GREY16) / 257, alpha=ALPHA),
        "grey8_linear_profile.png": Kind(
            lambda path: Image.fromarray(linear8[..., 1]).save(path, icc_profile=linear_grey_profile()),
            _three(_encoded(linear8[..., 1] / 255)),
            tolerance=0.6,
        ),
        "rgb16_linear_profile.png": Kind(
            _file(_png(linear16, 16, 2, png_chunk(b"iCCP", b"x\0\0" + zlib.compress(linear_profile())))),
            COLOUR,
            tolerance=0.05,
        ),
        **_few_bits(1),
        **_few_bits(2),
        **_few_bits(4),
        "gamma1_16.png": Kind(_file(_png(linear16, 16, 2, gamma1)), COLOUR, tolerance=0.05),
        "gamma1_8.png": Kind(_file(_png(linear8, 8, 2, gamma1)), _encoded(linear8 / 255)),
        "gamma1_grey.png": Kind(_file(_png(linear8[..., 1], 8, 0, gamma1)), _three(_encoded(linear8[..., 1] / 255))),
        "gamma1_alpha.png": Kind(
            _file(_png(np.concatenate([linear8, ALPHA[..., None]], 2), 8, 6, gamma1)),
            _encoded(linear8 / 255),
            alpha=ALPHA,
        ),
        "gamma18.png": Kind(_file(_png(COLOUR, 8, 2, gamma18)), _encoded((COLOUR / 255) ** 1.8), tolerance=0.02),
        "gamma22.png": Kind(_file(_png(COLOUR, 8, 2, png_chunk(b"gAMA", struct.pack(">I", 45_455)))), COLOUR, 0),
        "gamma_below_srgb.png": Kind(_file(_png(COLOUR, 8, 2, png_chunk(b"sRGB", b"\0") + gamma1)), COLOUR, 0),
        "chromaticities_of_srgb.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"cHRM", struct.pack(">8I", *srgb)))), COLOUR, 0
        ),
        "chromaticities_of_adobe.png": Kind(
            _file(
                _png(
                    np.rint(_adobe(COLOUR) * 65535).astype(np.uint16),
                    16,
                    2,
                    png_chunk(b"gAMA", struct.pack(">I", 45_471)) + png_chunk(b"cHRM", struct.pack(">8I", *adobe)),
                )
            ),
            COLOUR,
            tolerance=0.1,
        ),
        "impossible_gamma.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"gAMA", bytes(4)))), COLOUR, 0, note="an impossible gamma of 0"
        ),
        "impossible_chromaticities.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"cHRM", bytes(32)))), COLOUR, 0, note="impossible chromaticities"
        ),
        "cicp_srgb.png": Kind(_file(_png(COLOUR, 8, 2, png_chunk(b"cICP", bytes([1, 13, 0, 1])))), COLOUR, 0),
        "cicp_p3.png": Kind(
            _file(_png(_in_p3(COLOUR), 16, 2, png_chunk(b"cICP", bytes([12, 13, 0, 1])))), COLOUR, tolerance=0.1
        ),
        "cicp_pq.png": Kind(
            _file(_png(_in_pq(COLOUR), 16, 2, png_chunk(b"cICP", bytes([1, 16, 0, 1])))),
            COLOUR,
            tolerance=0.1,
            note="is HDR (PQ)",
        ),
        "cicp_p3_before_profile.png": Kind(
            _file(_png(_in_p3(COLOUR), 16, 2, png_chunk(b"cICP", bytes([12, 13, 0, 1])) + _profile_chunk())),
            COLOUR,
            tolerance=0.1,
        ),
        "cicp_srgb_before_profile.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"cICP", bytes([1, 13, 0, 1])) + _profile_chunk())), COLOUR, 0
        ),
        "cicp_unknown_with_profile.png": Kind(
            _file(_png(linear16, 16, 2, png_chunk(b"cICP", bytes([99, 99, 0, 1])) + _profile_chunk())),
            COLOUR,
            tolerance=0.05,
            note="(cICP 99, 99, 0, 1); its profile is used",
        ),
        "adobe_rgb_by_exif.png": Kind(
            lambda path: Image.fromarray(np.rint(_adobe(COLOUR) * 255).astype(np.uint8)).save(
                path, exif=_adobe_exif(r03=True)
            ),
            COLOUR,
            tolerance=6,
        ),
        "cicp_unknown.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"cICP", bytes([99, 99, 0, 1])))),
            COLOUR,
            0,
            note="has a colour space that is not known (cICP 99, 99, 0, 1)",
        ),
        "large_profile.png": Kind(_large_profile, COLOUR, tolerance=0.6),
        "long_text.png": Kind(_long_text("Raw history"), COLOUR, 0, note="has a text block of more than 1 MiB"),
        "long_xmp.png": Kind(_long_text("XML:com.adobe.xmp"), COLOUR, 0, note="has a text block of more than 1 MiB"),
        "profile_that_does_not_inflate.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"iCCP", b"x\0\0not deflated"))),
            COLOUR,
            0,
            note="has a broken colour profile",
        ),
    }


def _profile_chunk() -> bytes:
    return png_chunk(b"iCCP", b"x\0\0" + zlib.compress(linear_profile()))


def _adobe(colour: np.ndarray) -> np.ndarray:
    """sRGB in Adobe RGB (1998), 0..1: matrices of Lindbloom's tables, gamma 563/256."""
    srgb = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    adobe = [[0.5767309, 0.1855540, 0.1881852], [0.2973769, 0.6273491, 0.0752741], [0.0270343, 0.0706872, 0.9911085]]
    linear = _linear(colour) @ (np.linalg.inv(adobe) @ srgb).T
    return np.clip(linear, 0, 1) ** (256 / 563)


def _in_p3(colour: np.ndarray) -> np.ndarray:
    """sRGB in Display P3, in 16 bits: the matrix of CSS Color 4's sample code."""
    to_p3 = [[0.8224619, 0.1775380, 0], [0.0331942, 0.9668058, 0], [0.0170826, 0.0723974, 0.9105199]]
    return np.rint(_encoded(_linear(colour) @ np.array(to_p3).T) / 255 * 65535).astype(np.uint16)


def _in_pq(colour: np.ndarray) -> np.ndarray:
    """sRGB as PQ in 16 bits, with white at 203 cd/m2 (SMPTE ST 2084's inverse EOTF)."""
    light = (_linear(colour) * 203 / 10_000) ** 0.1593017578125
    return np.rint(((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375 * 65535).astype(np.uint16)


def _large_profile(path: Path) -> None:
    """Linear light under a profile of 1.2 MB, which Pillow does not inflate."""
    profile = linear_profile() + bytes(1_200_000)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    values = np.rint(_linear(COLOUR) * 65535).astype(np.uint16)
    path.write_bytes(_png(values, 16, 2, png_chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))))


def _long_text(keyword: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_itxt(keyword, "<x:xmpmeta>" + "an editing history " * 100_000, zip=True)
        Image.fromarray(COLOUR).save(path, format="PNG", pnginfo=info)

    return write


# JPEG, BMP, EXIF


def _jpeg(image: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=98, subsampling=0, **options)
    return buffer.getvalue()


def _adobe_exif(**interoperability: Any) -> Image.Exif:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, **({0xA005: {1: "R03", 2: b"0100"}} if interoperability.get("r03") else {})}
    return exif


def _with_partial_profile(data: bytes) -> bytes:
    """Insert the second of two segments of a profile, without the first."""
    content = b"ICC_PROFILE\0" + bytes([2, 2]) + bytes(100)
    return data[:2] + b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content + data[2:]


def _xmp_turned() -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )


def _bmp(alpha: int) -> bytes:
    """A BMP of 32 bits per pixel with an alpha mask (BITMAPV4HEADER)."""
    pixels = np.dstack([COLOUR[..., ::-1], np.full(COLOUR.shape[:2], alpha, np.uint8)])[::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(36 + 12)
    start = 14 + len(header) + len(masks)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + masks + pixels


def _other_kinds() -> dict[str, Kind]:
    adobe8 = np.rint(_adobe(COLOUR) * 255).astype(np.uint8)
    whole, near = _jpeg(COLOUR), 4
    return {
        "_DSC0001.jpg": Kind(_file(_jpeg(adobe8, exif=_adobe_exif(r03=True))), COLOUR, tolerance=6, metadata=True),
        "uncalibrated.jpg": Kind(
            _file(_jpeg(COLOUR, exif=_adobe_exif())), COLOUR, near, note="its EXIF names no colour space", metadata=True
        ),
        "partial_profile.jpg": Kind(
            _file(_with_partial_profile(whole)), COLOUR, near, note="has a broken colour profile"
        ),
        "without_end.jpg": Kind(_file(whole[:-2]), COLOUR, near, note="lacks its end marker; its pixels are complete"),
        "without_last_byte.jpg": Kind(_file(whole[:-1]), COLOUR, near, note="lacks its end marker"),
        "xmp_turned.jpg": Kind(_file(_jpeg(COLOUR, xmp=_xmp_turned())), COLOUR, near),
        "xmp_turned.tif": Kind(_tiff(COLOUR, extratags=[(700, 1, len(_xmp_turned()), _xmp_turned(), True)]), COLOUR, 0),
        "xmp_turned.png": Kind(
            _file(_png(COLOUR, 8, 2, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _xmp_turned()))), COLOUR, 0
        ),
        "alpha_of_zeros.bmp": Kind(_file(_bmp(0)), COLOUR, 0),
        "alpha_of_255.bmp": Kind(_file(_bmp(255)), COLOUR, 0),
        "reduced_first.dng": Kind(_reduced_first(True), COLOUR, 0),
        "reduced_first_bigtiff.tif": Kind(_reduced_first(True, bigtiff=True), COLOUR, 0),
        "reduced_first_big_endian.tif": Kind(_reduced_first(True, byteorder=">"), COLOUR, 0),
        "thumbnail_before_scan.tif": Kind(_reduced_first(False), COLOUR, 0),
        "thumbnail_before_deep_scan.tif": Kind(_deep_behind_thumbnail, DEEP / 257),
        "pyramid.tif": Kind(_pyramid, COLOUR, 0),
        "thumbnail_and_mask_behind.tif": Kind(_with_thumbnail_and_mask_behind, COLOUR, 0),
    }


KINDS: Mapping[str, Kind] = {**_planar_kinds(), **_tiff_kinds(), **_png_kinds(), **_other_kinds()}
