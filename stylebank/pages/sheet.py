"""The contact sheet of a photograph in several styles or settings, as a picture or as a page."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UsageError, printable
from ..files import make_folder
from ..images import format_of, save
from .html import jpeg_uri, render, require_new, write_page
from .panels import Panel, Sheet
from .sheet_picture import draw, unprintable_labels

__all__ = ["Panel", "Sheet", "draw", "html", "require_output", "write"]

#: Suffixes of a sheet, besides those of a page.
_PICTURES = (".jpg", ".jpeg", ".png")
_PAGES = (".html", ".htm")
_QUALITY = 92


def html(sheet: Sheet) -> str:
    """Return the sheet as a page, with a button for each picture that copies its command."""
    panels = [_panel_data(panel) for panel in sheet.panels]
    width = len(sheet.columns)
    table = [panels[start : start + width] for start in range(0, len(panels), width)] if sheet.rows else []
    return render(
        "sheet.html.j2",
        title=printable(sheet.title),
        photo=_panel_data(sheet.photo),
        panels=panels,
        columns=sheet.columns,
        table=list(zip(sheet.rows, table, strict=True)),
    )


def require_output(output: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the file of a sheet; to be called before the pictures are computed.

    Raises
    ------
    UsageError
        If the name ends in none of ``.jpg``, ``.jpeg``, ``.png``, ``.html`` and ``.htm``.
    OutputRefused
        If the file exists and `overwrite` is False.
    """
    target = Path(output)
    if target.suffix.lower() not in {*_PICTURES, *_PAGES}:
        raise UsageError(f"{printable(target)}: a sheet is a .jpg, a .png or a .html file. Choose such a name.")
    require_new(target, overwrite)
    return target


def write(
    sheet: Sheet,
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write a sheet as an image (``.jpg``, ``.png``) or as a page (``.html``).

    Parameters
    ----------
    note
        Function of a message for the user, such as that the font lacks a character.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError, OutputRefused
    """
    target = require_output(output, overwrite=overwrite)
    if target.suffix.lower() in _PAGES:
        return write_page(target, html(sheet), overwrite=overwrite)
    lacking = unprintable_labels(sheet)
    if lacking:
        names = ", ".join(map(printable, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
        note(f"the font of a picture lacks characters of {names}; a sheet that ends in .html shows them")
    make_folder(target.parent)
    save(target, np.asarray(draw(sheet), np.float32), format=format_of(target), quality=_QUALITY)
    return target


def _panel_data(panel: Panel) -> dict[str, str | int]:
    image = panel.image
    width, height = image.size if image is not None else (0, 0)
    return {
        "label": printable(panel.label),
        "source": _data_uri(image) if image is not None else "",
        "width": width,
        "height": height,
        "error": printable(panel.error),
        "command": panel.command.encode("utf-8", "replace").decode(),
    }


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return jpeg_uri(buffer.getvalue())
