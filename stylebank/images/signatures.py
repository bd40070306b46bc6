"""First bytes of files, by which their kind is known."""

from __future__ import annotations

import json
import re

RAW = "camera raw file"
VIDEO = "video"

#: Patterns of the first bytes, and the kind; the first match counts. A number of bytes is skipped by `.{number}`.
_SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x00\x05\x16[\x00\x07]", "file of macOS metadata"),
        (rb"version https://git-lfs\.github\.com/spec/", "Git LFS pointer"),
        (rb"/annex/objects/", "git-annex pointer"),
        (rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL picture"),
        (rb"\xff\x4f\xff\x51|\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000 picture"),
        (rb"II\xbc", "JPEG XR picture"),
        (rb"8BPS\x00[\x01\x02]", "Photoshop file"),
        (rb"gimp xcf", "GIMP file"),
        (rb"\x00\xffKA", "Affinity file"),
        (rb"CSFCHUNK", "Clip Studio file"),
        (rb"FUJIFILMCCD-RAW|II(RO|RS|U\x00)|MMOR|FOVb|\x00MRM|II\x1a\x00{3}HEAPCCDR|II\*\x00.{4}CR\x02", RAW),
        (rb"\x76\x2f\x31\x01", "OpenEXR picture"),
        (rb"#\?(RADIANCE|RGBE)", "Radiance picture"),
        (rb"\x00\x00[\x01\x02]\x00[^\x00]\x00|icns", "icon"),
        (rb"DDS ", "DDS texture"),
        (rb"qoif", "QOI picture"),
        (rb"P[1-7Ff]\s", "Netpbm picture"),
        (rb"SIMPLE  =", "FITS picture"),
        (rb".{128}DICM", "DICOM picture"),
        (rb"AT&TFORM", "DjVu document"),
        (rb"\xd7\xcd\xc6\x9a|\x01\x00{3}.{36} EMF", "Windows metafile"),
        (rb"\x04?%!PS|\xc5\xd0\xd3\xc6", "PostScript file"),
        (rb"\x1aE\xdf\xa3|\x30\x26\xb2\x75\x8e\x66\xcf\x11|FLV\x01|\x00\x00\x01[\xba\xb3]|RIFF.{4}AVI ", VIDEO),
        (rb"RIFF.{4}WAVE|ID3[\x02-\x04]|fLaC|OggS", "sound file"),
        (rb"PK\x03\x04.{26}mimetypeimage/openraster", "OpenRaster file"),
        (rb"PK\x03\x04.{26}mimetypeapplication/x-krita", "Krita file"),
        (rb"PK\x03\x04.{26}(\[Content_Types\]|mimetypeapplication/vnd\.oasis)", "Office document"),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office document"),
        (rb"PK\x03\x04|PK\x05\x06", "ZIP archive"),
        (rb"\x1f\x8b", "gzip archive"),
        (rb"BZh\d|\xfd7zXZ\x00|7z\xbc\xaf'\x1c|Rar!\x1a\x07|\x28\xb5\x2f\xfd|.{257}ustar", "archive"),
        (rb"\x89HDF\r\n\x1a\n", "HDF5 file"),
        (rb"\x93NUMPY", "NumPy file"),
        (rb"L\x00{3}\x01\x14\x02\x00", "Windows shortcut"),
        (rb"\s*\[InternetShortcut\]", "web shortcut"),
        (rb"book\x00{4}mark", "macOS alias"),
        (rb"bplist00", "property list"),
        (rb"\xff\xd8\xff", "JPEG file"),
        (rb"\x89PNG\r\n\x1a\n", "PNG file"),
        # bytes above 127, or ends of lines, were changed
        (rb"(\x89|\t|\xc2\x89|\xef\xbf\xbd)PNG[\r\n]", "PNG file saved as text"),
        (rb"(\xef\xbf\xbd){3}|\xc3\xbf\xc3\x98\xc3\xbf", "JPEG file saved as text"),
        (rb"GIF8[79]a", "GIF file"),
        (rb"RIFF.{4}WEBP", "WebP file"),
        (rb"BM.{4}\x00{4}", "BMP file"),
        (rb"II[*+]\x00|MM\x00[*+]", "TIFF file"),
    )
)
_HEAD = 1 << 16  # bytes that are searched
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
_AVIF_BRANDS = {b"avif", b"avis"}
_MOVIE_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
#: What may stand before the first element: white space, declarations, comments, a document type.
_PROLOGUE = re.compile(r"(?:\s+|<\?xml.*?\?>|<!--.*?-->|<\?xml-stylesheet.*?\?>)*", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|script|style|link|iframe|div|table|h1|p|a|br)[\s/>])",
    re.IGNORECASE,
)
_SVG = re.compile(r"(?:<!doctype\s+svg|<(?:\w+:)?svg[\s/>])", re.IGNORECASE)


def kind_of(data: bytes) -> str | None:
    """Return the plain name of a file's kind, such as "web page"; None for an unknown kind."""
    head = data[:_HEAD]
    if head and head.count(0) == len(head):
        return "file of zeros"
    if kind := _kind_of_boxes(head):
        return kind
    for signature, kind in _SIGNATURES:
        if signature.match(head):
            return kind
    if data[-18:].rstrip(b"\x00") == b"TRUEVISION-XFILE.":
        return "TGA picture"
    if b"%PDF-" in head[:1024]:
        return "PDF document"
    return _kind_of_text(head)


def _kind_of_boxes(head: bytes) -> str | None:
    """Name a file of ISO boxes (ISO 14496-12), such as HEIC, AVIF, CR3 and MP4; None for another file."""
    if head[4:8] in _MOVIE_ATOMS:
        return VIDEO
    if head[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big") or len(head), len(head))
    major, brands = head[8:12], {head[at : at + 4] for at in range(16, length - 3, 4)}
    if major == b"crx ":
        return RAW
    if major in {b"jp2 ", b"jpx ", b"jpm "}:
        return "JPEG 2000 picture"
    if major in {b"M4A ", b"M4B "}:
        return "sound file"
    for names, kind in ((_AVIF_BRANDS, "AVIF picture"), (_HEIC_BRANDS, "HEIC photograph")):
        if major in names or (major in _HEIC_BRANDS and brands & names):
            return kind
    return VIDEO


def _kind_of_text(head: bytes) -> str | None:
    """Name a text file: a web page, SVG, XML, JSON or another; None for binary data."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(encoding, "replace").rstrip("\ufffd")  # the last character may be cut
    if not text.strip() or "\x00" in text:
        return None
    body = text[_PROLOGUE.match(text).end() :]  # type: ignore[union-attr]  # matches the empty string, too
    if _HTML.match(body):
        return "web page"
    if _SVG.match(body):
        return "SVG drawing"
    if text.lstrip().lower().startswith("<?xml"):
        return "XML document"
    if any(ord(letter) < 32 and letter not in "\t\n\r\f\x1b" for letter in text) or "\ufffd" in text:
        return None
    if body.startswith("<"):
        return "XML document"
    with_brackets = text.lstrip().startswith(("{", "["))
    return "JSON file" if with_brackets and _is_json(text, cut=len(head) == _HEAD) else "text file"


def _is_json(text: str, *, cut: bool) -> bool:
    if cut:
        return bool(re.match(r'\s*[\[{]\s*["\[{\d]', text))
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
