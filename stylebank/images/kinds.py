"""Names of file kinds that are not read, by suffix and by their first bytes, and what a user can do."""

from __future__ import annotations

from collections.abc import Mapping

from . import plugins
from .signatures import RAW, VIDEO, kind_of

#: Plain names by lower-case suffix, for picture files that this installation does not read.
SUFFIXES: Mapping[str, str] = {
    suffix: name
    for names, name in {
        ".heic .heif .hif": "HEIC photograph",
        ".avif .avifs": "AVIF picture",
        ".jxl": "JPEG XL picture",
        ".jp2 .j2k .jpf .jpx .jpc .j2c .jpm": "JPEG 2000 picture",
        ".jxr .wdp .hdp": "JPEG XR picture",
        ".psd .psb": "Photoshop file",
        ".xcf": "GIMP file",
        ".kra": "Krita file",
        ".ora": "OpenRaster file",
        ".afphoto .afdesign": "Affinity file",
        ".clip": "Clip Studio file",
        ".dng .nef .nrw .cr2 .cr3 .crw .arw .srf .sr2 .raf .orf .rw2 .pef .srw .3fr .fff .iiq .x3f .mrw .erf "
        ".kdc .dcr .mos .rwl .gpr .raw": RAW,
        ".pdf": "PDF document",
        ".svg .svgz": "SVG drawing",
        ".eps .ps": "PostScript file",
        ".ai": "Illustrator file",
        ".exr": "OpenEXR picture",
        ".hdr": "Radiance picture",
        ".pfm .pgm .pbm .ppm .pnm .pam": "Netpbm picture",
        ".ico .cur .icns": "icon",
        ".tga": "TGA picture",
        ".dds": "DDS texture",
        ".qoi": "QOI picture",
        ".pcx": "PCX picture",
        ".fits .fit": "FITS picture",
        ".dcm": "DICOM picture",
        ".djvu": "DjVu document",
        ".wmf .emf": "Windows metafile",
    }.items()
    for suffix in names.split()
    if suffix not in plugins.suffixes()
}

_COMPLETE = "Get a complete copy, or convert it to PNG."
_CONVERT = "Convert it to PNG or TIFF first."
_EXPORT = "Export it as PNG or TIFF first."
_DEVELOP = "Convert it to TIFF or JPEG first."
_FRAME = "Save a frame of it as PNG first."
_UNPACK = "Unpack it first."
_GIVE = ""  # stands for the list of formats
#: What to do with a kind; pictures of other kinds are converted.
_ACTIONS = {
    RAW: _DEVELOP,
    VIDEO: _FRAME,
    "sound file": _GIVE,
    "PDF document": "Save its page as PNG or TIFF first.",
    "DjVu document": "Save its page as PNG or TIFF first.",
    "web page": "Download the picture itself.",
    "Git LFS pointer": "Run git lfs pull.",
    "git-annex pointer": "Run git annex get.",
    "file of macOS metadata": "Use the picture that has this name without '._'.",
    "file of zeros": "Get a complete copy.",
    "Windows shortcut": "Give the picture that it points to.",
    "web shortcut": "Give the picture that it points to.",
    "macOS alias": "Give the picture that it points to.",
    "PNG file saved as text": "Copy or download it again, as binary data.",
    "JPEG file saved as text": "Copy or download it again, as binary data.",
    **dict.fromkeys(("SVG drawing", "PostScript file", "Photoshop file", "GIMP file", "Krita file"), _EXPORT),
    **dict.fromkeys(("OpenRaster file", "Affinity file", "Clip Studio file", "Windows metafile"), _EXPORT),
    **dict.fromkeys(("ZIP archive", "gzip archive", "archive"), _UNPACK),
    **dict.fromkeys(("text file", "JSON file", "XML document", "Office document", "HDF5 file", "NumPy file"), _GIVE),
    "property list": _GIVE,
}
#: Kinds in this set are no pictures.
_PICTURES = frozenset({*SUFFIXES.values(), "HEIC photograph", "AVIF picture"}) - {"PDF document", "DjVu document"}
#: Pillow's format of the kinds that some or all installations read.
_FORMATS = {
    "JPEG file": "JPEG",
    "PNG file": "PNG",
    "GIF file": "GIF",
    "WebP file": "WEBP",
    "TIFF file": "TIFF",
    "BMP file": "BMP",
    "AVIF picture": "AVIF",
    "HEIC photograph": "HEIF",
}
_INSTALL = {
    "AVIF": "a Pillow with AVIF. Run pip install -U pillow.",
    "HEIF": "pillow-heif. Run pip install pillow-heif.",
}


def advice(data: bytes) -> str:
    """Say what a file is that is not read, and what to do, for a message after its name and a colon.

    Parameters
    ----------
    data
        Content of the file.

    Returns
    -------
    str
        One or two sentences, such as "a web page, not an image. Download the picture itself."
    """
    formats = plugins.formats()
    give = f"Give a {', '.join(formats[:-1])} or {formats[-1]} file."
    kind = kind_of(data)
    if kind is None:
        return f"not an image that can be read. {give}"
    name = with_article(kind)
    format = _FORMATS.get(kind)
    if format in formats:
        return f"{name} that cannot be read. {_COMPLETE}"
    if format is not None:
        return f"{name}, which needs {_INSTALL[format]}"
    state = "which is not read" if kind in _PICTURES else "not an image"
    return f"{name}, {state}. {_ACTIONS.get(kind, _CONVERT) or give}"


def describe(data: bytes) -> str | None:
    """Name a file by its first bytes, such as "a HEIC photograph"; None for an unknown kind.

    Parameters
    ----------
    data
        Content of the file, or its first 64 KiB.
    """
    kind = kind_of(data)
    return kind and with_article(kind)


def with_article(name: str) -> str:
    """Return the name of a kind after "a" or "an"."""
    vowel = name[0] in "AEIOaeio" or name.startswith(("HDF5", "SVG", "XML"))
    return f"{'an' if vowel else 'a'} {name}"
