"""Random pictures and names: each function gives a check of one input."""

from __future__ import annotations

import io
import random
import string
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylebank import images, names
from stylebank.errors import ImageRefused, NameRefused
from tests.faults.fuzz_inputs import Check, mutated, one_line


def image(folder: Path) -> Check:
    """Bytes of image files of several formats are changed."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 4), np.uint8)
    noise[:, :, :3] //= 8
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "text"
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("JPEG", "RGB", {"exif": exif}), ("JPEG", "CMYK", {}), ("JPEG", "L", {"progressive": True}),
        ("PNG", "RGBA", {"exif": exif}), ("PNG", "P", {}), ("PNG", "I;16", {}), ("PNG", "1", {}),
        ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}), ("TIFF", "F", {}), ("TIFF", "CMYK", {}),
        ("BMP", "RGB", {}), ("GIF", "P", {}), ("GIF", "L", {}),
    ]  # fmt: skip
    files = []
    for format, mode, options in kinds:
        picture = Image.fromarray(noise[:, :, :3])
        picture = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
        buffer = io.BytesIO()
        picture.save(buffer, format, **options)
        files.append(buffer.getvalue())

    def check(chance: random.Random, folder: Path) -> str:
        path = folder / "fuzzed picture.jpg"
        path.write_bytes(mutated(chance.choice(files), chance))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            picture, wrong = None, ""
            try:
                size = images.shown_size(path)
                picture = images.load(path, max_pixels=1_000_000, metadata=chance.random() < 0.5)
            except ImageRefused as error:
                wrong = one_line(error)
        if caught:
            return f"a library warns: {caught[0].message}"
        if picture is None:
            return wrong
        pixels = picture.pixels
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 255):
            return "pixels out of range"
        return "" if size in (None, picture.size) else f"its size is {picture.size}, announced as {size}"

    return check


def name(_folder: Path) -> Check:
    """Texts of all of Unicode are names, or are refused."""
    pieces = [
        *string.ascii_letters, *"/\\.-_ ~*?:|<>\"'%$", "..", "\0", "\n", "\r", "\x1b", "\u202e", "\u2028", "\ud800",
        "é", "e\u0301", "ß", "\u0130", "\u0131", "ǅ", "\ufb01", "\u200d", "👩‍🎨", "\U000e0041", "\xa0", "\u3000", "CON",
        "nul", "\ufeff",
    ]  # fmt: skip

    def check(chance: random.Random, folder: Path) -> str:
        length = chance.choice((0, 1, 2, 5, 30, 99, 100, 101, 5000))
        text = "".join(
            chance.choice(pieces) if chance.random() < 0.7 else chr(chance.randrange(0x110000)) for _ in range(length)
        )
        try:
            checked = names.check_name(text)
        except NameRefused as error:
            return one_line(error)
        file = names.file_name(checked)
        problems = {
            "not NFC": unicodedata.normalize("NFC", checked) != checked,
            "changes when checked again": names.check_name(checked) != checked,
            "unsafe": any(character in checked for character in "/\\\0\n\r\x1b\u202e\u2028") or checked[0] in ".- ",
            "no file name": not file.isascii() or len(file) > 100 or "/" in file or file.startswith("."),
            "not found by its file": not names.may_contain(file, checked),
            "another file in capitals": names.casefold_key(checked) == names.casefold_key(checked.upper())
            and file[-24:] != names.file_name(checked.upper())[-24:],
        }
        return ", ".join(problem for problem, holds in problems.items() if holds)

    return check
