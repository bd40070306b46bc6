"""Render HTML pages from templates, and write them atomically. A page is one file that loads nothing."""

from __future__ import annotations

import base64
import io
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..errors import OutputRefused, printable
from ..files import make_folder, replace_file

if TYPE_CHECKING:
    import jinja2

_HERE = "stylebank.pages"


def data_uri(image: Image.Image | None) -> str:
    """Return a ``data:`` address with an image as JPEG; empty for None."""
    if image is None:
        return ""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=82, optimize=True)
    return jpeg_uri(buffer.getvalue())


def jpeg_uri(data: bytes) -> str:
    """Return a ``data:`` address with the bytes of a JPEG."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"


def render(template: str, *, package: str = _HERE, **context: Any) -> str:
    """Return a page rendered by Jinja2; every text in the context is escaped.

    Parameters
    ----------
    template
        Name of a file in the package's folder ``templates``. It may extend ``base.html.j2``, which is in this one.
    package
        Package with the template.
    **context
        Variables of the template. ``base.html.j2`` puts `data` into the page as JSON.

    Returns
    -------
    str
        HTML.
    """
    return _environment(package).get_template(template).render(context)


@cache
def _environment(package: str) -> jinja2.Environment:
    import jinja2  # only pages need it, and commands without one start faster

    packages = dict.fromkeys((package, _HERE))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True, "separators": (",", ":")}
    return environment


def write_page(output: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> Path:
    """Write a page atomically.

    Parameters
    ----------
    output
        File name that ends in ``.html``, or a folder for ``index.html``.
    text
        HTML.
    overwrite
        Overwrite an existing file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputRefused
        If the file cannot be written, or exists and `overwrite` is False.
    """
    target = page_path(output, overwrite=overwrite)
    make_folder(target.parent)
    replace_page(target, text)
    return target


def replace_page(target: Path, text: str) -> None:
    """Write a page atomically, and overwrite an existing file."""

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    replace_file(target, write)


def page_path(output: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the file that `write_page` would write; it raises in the same cases."""
    target = Path(output)
    if target.suffix.lower() not in {".html", ".htm"}:
        target = target / "index.html"
    require_new(target, overwrite)
    return target


def require_new(target: Path, overwrite: bool) -> None:
    """Raise `OutputRefused` for an existing file, unless `overwrite` is set."""
    if os.path.lexists(target) and not overwrite:
        raise OutputRefused(f"{printable(target)}: already exists. Choose another --output, or add --overwrite.")
