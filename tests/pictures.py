"""Odd pictures, each made from a small copy of a real photograph, for the table in FAULTS.md."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

SUBJECTS = Path(__file__).parent.parent / "data" / "subjects"
SIZE = (64, 48)
ORIENTATION = 0x0112
_ICC_TAG = 34675

Writer = Callable[[Path], None]


@cache
def _sample_bytes() -> bytes:
    with Image.open(SUBJECTS / "chelsea.jpg") as photograph:
        return photograph.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS).tobytes()


def sample() -> Image.Image:
    return Image.frombytes("RGB", SIZE, _sample_bytes())


def colour() -> np.ndarray:
    """The sample's pixels as `images.load` should give them."""
    return np.asarray(sample(), np.float32)


def grey() -> np.ndarray:
    return np.repeat(np.asarray(sample().convert("L"), np.float32)[..., None], 3, axis=2)


def opacity() -> np.ndarray:
    """Clear at the left, opaque at the right, every step between."""
    ramp = np.linspace(0, 255, SIZE[0]).round().astype(np.uint8)
    return np.repeat(ramp[None], SIZE[1], axis=0)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bytes(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def tiff_bytes(array: np.ndarray, *, bits: int = 0, white_is_zero: bool = False, extra: int | None = None) -> bytes:
    """An uncompressed TIFF of one strip, grey, grey with an extra channel, or RGB, of the dtype `array` has."""
    height, width = array.shape[:2]
    samples = 1 if array.ndim == 2 else array.shape[2]
    bits = bits or 8 * array.dtype.itemsize
    data = _packed12(array) if bits == 12 else array.astype(array.dtype.newbyteorder("<")).tobytes()
    depths = struct.pack(f"<{samples}H", *[bits] * samples)
    pixels_at = 8 + len(depths)
    fields = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, int.from_bytes(depths, "little") if samples < 3 else 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2 if samples == 3 else 0 if white_is_zero else 1),
        (273, 4, 1, pixels_at),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        *([(338, 3, 1, extra)] if extra is not None else []),
        (339, 3, 1, {"u": 1, "i": 2, "f": 3}[array.dtype.kind]),
    ]
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *field) for field in fields) + bytes(4)
    return b"II*\0" + struct.pack("<I", pixels_at + len(data)) + depths + data + directory


def _packed12(values: np.ndarray) -> bytes:
    left, right = values[:, ::2], values[:, 1::2]
    return np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=-1).astype(np.uint8).tobytes()


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for letter in (b"XYZ", b"TRC"):
        profile = profile.replace(b"r" + letter, b"?" + letter)
        profile = profile.replace(b"b" + letter, b"r" + letter).replace(b"?" + letter, b"b" + letter)
    return profile


def linear_grey_profile() -> bytes:
    """A grey profile of gamma 1."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(x * 65536) for x in (0.9642, 1.0, 0.8249)))
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0free\0", b"wtpt": white, b"kTRC": curve}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI", start + len(body), b"lcms", 0x02400000) + b"mntrGRAYXYZ "
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(round(x * 65536) for x in (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + table + body


def to_linear(values: np.ndarray) -> np.ndarray:
    """sRGB in 0..255 as linear light in 0..255."""
    v = values / 255
    return 255 * np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Orientation="6" tiff:Make="Kamera">'
    "<tiff:ImageWidth>64</tiff:ImageWidth><xmp:Thumbnails><rdf:Alt><rdf:li>old thumbnail</rdf:li></rdf:Alt>"
    "</xmp:Thumbnails><dc:creator><rdf:Seq><rdf:li>Zoë</rdf:li></rdf:Seq></dc:creator>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
THUMBNAIL = b"\xff\xd8 the old thumbnail \xff\xd9"


def exif_bytes() -> bytes:
    """EXIF as of a camera held upright, with place, exposure, maker's note, and a thumbnail behind it all."""
    exif = Image.Exif()
    exif.endian = "<"
    exif[0x010E], exif[0x010F], exif[ORIENTATION], exif[0x013B] = "A cat", "Kamera", 6, "Zoe"
    exif[0x0131 + 0xC000] = b"private"
    exif[0x8769] = {
        0x829A: TiffImagePlugin.IFDRational(1, 125),
        0x9003: "2026:05:04 03:02:01",
        0x927C: b"the maker's own" * 9,
        0xA001: 65535,
        0xA002: 64,
        0xA003: 48,
        0xA432: tuple(TiffImagePlugin.IFDRational(*x) for x in ((24, 1), (70, 1), (0, 0), (0, 0))),
    }
    exif[0x8825] = {1: "N", 2: (48.0, 30.0, 0.5), 3: "E", 4: (9.0, 3.0, 0.25)}
    data = exif.tobytes()[6:]
    first = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    first[0x0103] = 6
    first[0x0201], first[0x0202] = len(data) + 2 + 3 * 12 + 4, len(THUMBNAIL)
    first.tagtype[0x0201] = first.tagtype[0x0202] = 4
    (entries,) = struct.unpack_from("<H", data, 8)
    link = 10 + 12 * entries
    data = data[:link] + struct.pack("<I", len(data)) + data[link + 4 :]
    return b"Exif\0\0" + data + first.tobytes(len(data)) + THUMBNAIL


def with_metadata(format: str) -> Writer:
    """The sample stored turned, with EXIF and XMP that say so."""

    def write(path: Path) -> None:
        options: dict[str, object] = {"xmp": XMP.encode()}
        if format == "PNG":
            options = {"pnginfo": PngImagePlugin.PngInfo()}
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP)
        sample().transpose(Image.Transpose.ROTATE_90).save(path, format=format, exif=exif_bytes(), **options)

    return write


# refused


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("Dear diary, today I was given the wrong suffix.\n")


def svg(path: Path) -> None:
    path.write_text(
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><circle r="9"/></svg>'
    )


def eps(path: Path) -> None:
    sample().save(path, format="EPS")


def truncated(format: str) -> Writer:
    def write(path: Path) -> None:
        buffer = io.BytesIO()
        sample().save(buffer, format=format)
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3])

    return write


def bit_flipped_png(place: float | int) -> Writer:
    """One bit, at a fraction of the file or a byte of it; the last chunk is the 12 bytes of IEND."""

    def write(path: Path) -> None:
        buffer = io.BytesIO()
        sample().save(buffer, format="PNG")
        data = bytearray(buffer.getvalue())
        data[place if isinstance(place, int) else int(len(data) * place)] ^= 0x10
        path.write_bytes(data)

    return write


def bomb(side: int) -> Writer:
    """A PNG that claims `side` by `side` pixels and holds one row of them."""

    def write(path: Path) -> None:
        path.write_bytes(png_bytes(side, side, 8, 2, bytes(1 + 3 * side)))

    return write


def too_small(path: Path) -> None:
    sample().resize((31, 48)).save(path, format="PNG")


def float_tiff(value: float) -> Writer:
    """Fine values in 0..255 but for one pixel of `value`."""

    def write(path: Path) -> None:
        values = grey()[..., 0]
        values[5, 7] = value
        path.write_bytes(tiff_bytes(values))

    return write


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    # a socket's whole path is limited to about 100 bytes; go there instead
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.jpg")


def link_loop(path: Path) -> None:
    path.symlink_to(path.name)


#: File name -> how it is made, and the reason it is refused with.
REFUSED: dict[str, tuple[Writer, str]] = {
    "empty.jpg": (empty, "the file is empty"),
    "text.jpg": (text, "a text file, not an image"),
    "svg.jpg": (svg, "an SVG drawing, which is not read"),
    "eps.jpg": (eps, "a PostScript file, which is not read"),
    "truncated.jpg": (truncated("JPEG"), "the file is damaged"),
    "truncated_png.png": (truncated("PNG"), "the file is damaged"),
    "truncated_tiff.tif": (truncated("TIFF"), "the file is damaged"),
    "truncated_gif.gif": (truncated("GIF"), "the file is damaged"),
    "truncated_webp.webp": (truncated("WEBP"), "a WebP file that cannot be read"),
    "truncated_bmp.bmp": (truncated("BMP"), "the file is damaged"),
    "flipped.png": (bit_flipped_png(0.5), "the file is damaged"),
    "flipped_checksum.png": (bit_flipped_png(-13), "the file is damaged"),
    "bomb_100k.png": (bomb(100_000), "10,000,000,000 pixels, more than 80,000,000"),
    "bomb_10k.png": (bomb(10_000), "100,000,000 pixels, more than 80,000,000"),
    "small.png": (too_small, "31 x 48 is too small"),
    "nan.tif": (float_tiff(np.nan), "NaN or infinite"),
    "infinite.tif": (float_tiff(np.inf), "NaN or infinite"),
    "beyond.tif": (float_tiff(1e6), "expected 0..1 or 0..255"),
    "fifo.jpg": (fifo, "not a regular file"),
    "socket.jpg": (bound_socket, "not a regular file"),
    "device.jpg": (device, "not a regular file"),
    "dangling.jpg": (dangling, "a link to a missing file"),
    "loop.jpg": (link_loop, "a link to a missing file"),
}


def write_refused(folder: Path) -> dict[str, str]:
    """Write every picture of `REFUSED` into `folder`; return name -> reason."""
    for name, (write, _reason) in REFUSED.items():
        write(folder / name)
    return {name: reason for name, (_write, reason) in REFUSED.items()}


#: What is put right on the way, as the user is told; nothing is said of the others.
NOTES = {
    "broken_profile.png": "has a broken colour profile; sRGB is assumed",
    "lab_broken_profile.tif": "has a broken colour profile; sRGB is assumed",
    "broken_exif.jpg": "Corrupt EXIF data",
    "animated.gif": "has 2 frames; the first is used",
    "animated_webp.webp": "has 2 frames; the first is used",
    "pages.tif": "has 3 frames; the first is used",
    "phone.jpg": "holds more than the picture (another picture); only the picture is used",
}
#: Those whose opacity is `opacity()`.
_PILLOW = int(PIL.__version__.split(".")[0])
SEE_THROUGH = ["rgba.png", "grey_alpha.png", "grey_alpha16.png", "grey_profile_alpha.png"]


# accepted


def saved(image: Callable[[], Image.Image], format: str, **options: object) -> Writer:
    def write(path: Path) -> None:
        image().save(path, format=format, **options)

    return write


def _grey16() -> np.ndarray:
    return (grey()[..., 0] * 257).astype(np.uint16)


def _rgb16() -> np.ndarray:
    return (colour() * 257).astype(np.uint16)


def grey16_png(path: Path) -> None:
    Image.fromarray(_grey16()).save(path, format="PNG")


def grey16_tiff(path: Path) -> None:
    path.write_bytes(tiff_bytes(_grey16()))


def negative16_tiff(path: Path) -> None:
    path.write_bytes(tiff_bytes(65535 - _grey16(), white_is_zero=True))


def grey12_tiff(path: Path) -> None:
    path.write_bytes(tiff_bytes(_grey16() >> 4, bits=12))


def premultiplied_grey_tiff(path: Path) -> None:
    values = grey()[..., 0] * opacity() / 255
    path.write_bytes(tiff_bytes(np.stack([values.round(), opacity()], axis=-1).astype(np.uint8), extra=1))


def rgb16_png(path: Path) -> None:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in _rgb16())
    path.write_bytes(png_bytes(*SIZE, 16, 2, rows))


def rgb16_tiff(path: Path) -> None:
    path.write_bytes(tiff_bytes(_rgb16()))


def float255_tiff(path: Path) -> None:
    path.write_bytes(tiff_bytes(grey()[..., 0]))


def float1_tiff(path: Path) -> None:
    path.write_bytes(tiff_bytes(grey()[..., 0] / np.float32(255)))


def rgba() -> Image.Image:
    image = sample()
    image.putalpha(Image.fromarray(opacity()))
    return image


def grey_alpha() -> Image.Image:
    return Image.merge("LA", (sample().convert("L"), Image.fromarray(opacity())))


def grey_alpha16(path: Path) -> None:
    values = np.stack([_grey16(), opacity().astype(np.uint16) * 257], axis=-1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(png_bytes(*SIZE, 16, 4, rows))


def palette() -> Image.Image:
    return sample().quantize(256)


def see_through_palette(path: Path) -> None:
    """A palette picture; its first colour, in the top left quarter, is clear."""
    image = sample().quantize(200)
    image.paste(0, (0, 0, SIZE[0] // 2, SIZE[1] // 2))
    image.save(path, format="PNG", transparency=0)


def lab(profile: bytes | None = None) -> Writer:
    def write(path: Path) -> None:
        srgb, lab_profile = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(sample(), srgb, lab_profile, outputMode="LAB")
        image.save(path, format="TIFF", **({"icc_profile": profile} if profile else {}))

    return write


def swapped() -> Image.Image:
    return Image.merge("RGB", sample().split()[::-1])


def linear_grey() -> Image.Image:
    return Image.fromarray(to_linear(grey()[..., 0]).round().astype(np.uint8))


def linear_grey_alpha() -> Image.Image:
    return Image.merge("LA", (linear_grey(), Image.fromarray(opacity())))


def linear_grey16(path: Path) -> None:
    linear = (to_linear(grey()[..., 0]) * 257).round().astype(np.uint16)
    Image.fromarray(linear).save(path, format="TIFF", icc_profile=linear_grey_profile())


_UPRIGHT_TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(orientation: int, format: str, deep: bool = False) -> Writer:
    """Stored as a camera held that way does: turned, with a tag that tells how to turn it back."""

    def write(path: Path) -> None:
        image = Image.fromarray(_grey16()) if deep else sample()
        transposition = _UPRIGHT_TO_STORED[orientation]
        if transposition is not None:
            image = image.transpose(transposition)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        image.save(path, format=format, exif=exif, **({"quality": 97} if format == "JPEG" else {}))

    return write


def broken_exif(path: Path) -> None:
    sample().save(path, format="JPEG", quality=97, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")


def animated(format: str, **options: object) -> Writer:
    """The sample first, then black."""

    def write(path: Path) -> None:
        black = Image.new("RGB", SIZE)
        sample().save(path, format=format, save_all=True, append_images=[black, black.copy()], **options)

    return write


def flat(path: Path) -> None:
    Image.new("RGB", SIZE, (120, 130, 140)).save(path, format="PNG")


def flat_colour() -> np.ndarray:
    return np.broadcast_to(np.float32([120, 130, 140]), (SIZE[1], SIZE[0], 3))


def one_bit() -> np.ndarray:
    return np.repeat(np.asarray(sample().convert("1"), np.float32)[..., None] * 255, 3, axis=2)


#: A name of bytes that are no UTF-8, and one that would clear the screen of whoever prints it.
NOT_UTF8 = os.fsdecode(b"caf\xe9.png")
ESCAPES = "red\x1b[31m\x1b[2J.png"

#: File name -> how it is made, the pixels it should be read as, and how near on average.
ACCEPTED: dict[str, tuple[Writer, Callable[[], np.ndarray], float]] = {
    "png_named.jpg": (saved(sample, "PNG"), colour, 0),
    "jpeg.jpeg": (saved(sample, "JPEG", quality=97), colour, 4),
    "webp.webp": (saved(sample, "WEBP", lossless=True), colour, 0),
    "bmp.bmp": (saved(sample, "BMP"), colour, 0),
    "grey16.png": (grey16_png, grey, 0.01),
    "grey16_tiff.tif": (grey16_tiff, grey, 0.01),
    "negative16.tif": (negative16_tiff, grey, 0.01),
    "grey12.tif": (grey12_tiff, grey, 0.1),
    "rgb16.png": (rgb16_png, colour, 1),
    "rgb16_tiff.tif": (rgb16_tiff, colour, 1),
    "float255.tif": (float255_tiff, grey, 0.01),
    "float1.tif": (float1_tiff, grey, 0.01),
    "rgba.png": (saved(rgba, "PNG"), colour, 0),
    "grey_alpha.png": (saved(grey_alpha, "PNG"), grey, 0),
    "grey_alpha16.png": (grey_alpha16, grey, 1),
    "palette.png": (saved(palette, "PNG"), colour, 6),
    "see_through_palette.png": (see_through_palette, colour, 60),
    "cmyk.jpg": (saved(lambda: sample().convert("CMYK"), "JPEG", quality=97), colour, 4),
    "lab.tif": (lab(), colour, 2),
    "lab_broken_profile.tif": (lab(b"no profile at all"), colour, 2),
    "one_bit.png": (saved(lambda: sample().convert("1"), "PNG"), one_bit, 0),
    "grey.png": (saved(lambda: sample().convert("L"), "PNG"), grey, 0),
    "swapped_profile.png": (saved(swapped, "PNG", icc_profile=swapped_profile()), colour, 1),
    "broken_profile.png": (saved(sample, "PNG", icc_profile=b"no profile at all"), colour, 0),
    "grey_profile.png": (saved(linear_grey, "PNG", icc_profile=linear_grey_profile()), grey, 2),
    "grey_profile_alpha.png": (saved(linear_grey_alpha, "PNG", icc_profile=linear_grey_profile()), grey, 2),
    "grey_in_rgb_profile.png": (
        saved(lambda: sample().convert("L"), "PNG", icc_profile=swapped_profile()),
        grey,
        1,
    ),
    "grey16_profile.tif": (linear_grey16, grey, 0.02),
    "broken_exif.jpg": (broken_exif, colour, 4),
    "animated.gif": (animated("GIF"), colour, 6),
    "animated_webp.webp": (animated("WEBP", lossless=True), colour, 0),
    "pages.tif": (animated("TIFF"), colour, 0),
    "phone.jpg": (animated("MPO", quality=97), colour, 4),
    "flat.png": (flat, flat_colour, 0),
    **{f"turned{k}.jpg": (turned(k, "JPEG"), colour, 4) for k in range(1, 9)},
    **{f"turned{k}_png.png": (turned(k, "PNG"), colour, 0) for k in (3, 6)},
    **{f"turned{k}_tiff.tif": (turned(k, "TIFF"), colour, 0) for k in (5, 6, 8)},
    "turned6_deep.tif": (turned(6, "TIFF", deep=True), grey, 0.01),
    "turned8_deep.png": (turned(8, "PNG", deep=True), grey, 0.01),
    NOT_UTF8: (saved(sample, "PNG"), colour, 0),
    ESCAPES: (saved(sample, "PNG"), colour, 0),
}
if _PILLOW >= 13:  # older ones read no TIFF of this kind
    ACCEPTED["premultiplied_grey.tif"] = premultiplied_grey_tiff, grey, 6
    SEE_THROUGH.append("premultiplied_grey.tif")


def write_accepted(folder: Path, *names: str) -> None:
    """Write the pictures of these names, or every one of `ACCEPTED`, into `folder`."""
    for name in names or ACCEPTED:
        ACCEPTED[name][0](folder / name)
