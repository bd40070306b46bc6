"""Export styles to files, and import them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ImportRefused, OutputRefused, StyleDamaged, UsageError, printable
from ..files import digest_file, make_folder, replace_file
from ..names import SUFFIX, check_name, file_name
from ..storage import isolated, reader, writer
from ..style import Header, Style
from .bank import Bank


def export(
    bank: Bank,
    names: Sequence[str],
    output: str | os.PathLike[str],
    *,
    no_thumbnail: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Write styles to files for others. Each is checked completely, and written atomically.

    Parameters
    ----------
    names
        Styles to export; all must exist.
    output
        Folder; for one style also a file name that ends in ``.stylebank.h5``.
    no_thumbnail
        Omit thumbnail and swatch. The statistics still allow synthesis of the painting's texture.
    overwrite
        Overwrite existing files.

    Returns
    -------
    list of Path
        Files, in the order of `names`.

    Raises
    ------
    UsageError, StyleNotFound, StyleDamaged, OutputRefused
    """
    target = Path(output)
    selected = list(dict.fromkeys(check_name(name) for name in names))
    if target.name.endswith(SUFFIX) and not target.is_dir():
        if len(selected) != 1:
            raise UsageError(f"{printable(target)}: a file has one style, not {len(selected)}. Give a folder.")
        targets = [target]
    else:
        if target.suffix == ".h5":
            raise UsageError(f"{printable(target)}: a style file's name ends in {SUFFIX}. Choose another, or a folder.")
        targets = [target / file_name(name) for name in selected]
    if len(set(targets)) < len(targets):
        raise UsageError(
            f"styles {', '.join(selected)}: some differ only in case, and have one file. Export one by one."
        )
    sources = [bank.path(name) for name in selected]
    for path in targets:
        if path.parent.resolve() == bank.folder.resolve():
            raise UsageError(f"{printable(path)}: is in the bank's own folder. Choose another folder.")
        if os.path.lexists(path) and not overwrite:
            raise OutputRefused(f"{printable(path)}: already exists. Choose another --output, or add --overwrite.")
    for source, path in zip(sources, targets, strict=True):
        style = reader.read(source)
        data = writer.encode(without_pictures(style) if no_thumbnail else style)
        make_folder(path.parent)
        _write(path, data)
    return targets


def _write(target: Path, data: bytes) -> None:
    def write(path: Path) -> None:
        path.write_bytes(data)

    def check(path: Path) -> None:
        reader.read(path)

    replace_file(target, write, check)


def import_style(
    bank: Bank,
    path: str | os.PathLike[str],
    *,
    rename: str | None = None,
    expect_sha256: str | None = None,
    replace: bool = False,
    no_thumbnail: bool = False,
    parse: Callable[[Path], None] = isolated.parse,
) -> Header:
    """Add a style file to a bank.

    The file may be hostile. A child process with limits parses it first: a file that ends the process, or takes too
    much memory or time, is refused. Then it is checked completely, as by `verify`. The bank gets a new file with the
    values read, not a copy of the bytes.

    Parameters
    ----------
    path
        Style file.
    rename
        Name in the bank; by default the name in the file.
    expect_sha256
        Expected digest: SHA-256 of the file's bytes, or its ``content_sha256``.
    replace
        Overwrite a style of the same name.
    no_thumbnail
        Omit thumbnail and swatch.
    parse
        Function that parses the file in a child process. `isolated.Parser.parse` keeps one process for many files.

    Returns
    -------
    Header
        As written.

    Raises
    ------
    ImportRefused
        If the file is damaged, cannot be parsed within the limits, or has another digest than expected.
    NameRefused, StyleExists, BankBusy, OutputRefused
    """
    path = Path(path)
    if not path.exists():
        raise ImportRefused(f"{printable(path)}: no such file. Check the path.")
    try:
        parse(path)
        header = reader.read_header(path)
        name = bank.ensure_available(header.name if rename is None else rename, replace=replace)
        style = reader.read(path)
        if expect_sha256 is not None:
            _require_digest(path, style, expect_sha256)
    except StyleDamaged as error:
        raise ImportRefused(f"{printable(path)}: {error.reason} Nothing was imported. Get the file again.") from error
    if no_thumbnail:
        style = without_pictures(style)
    return bank.add(dataclasses.replace(style, header=dataclasses.replace(style.header, name=name)), replace=replace)


def _require_digest(path: Path, style: Style, expected: str) -> None:
    digest = expected.strip().lower()
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise UsageError(f"sha256 {printable(expected[:80])!r}: expected 64 hexadecimal digits.")
    file_digest = digest_file(path)
    if digest not in (file_digest, style.header.content_sha256):
        raise ImportRefused(
            f"{printable(path)}: has sha256 {file_digest}, content_sha256 {style.header.content_sha256}; "
            f"expected {digest}. Do not use it before you know the reason."
        )


def without_pictures(style: Style) -> Style:
    """Return a style without thumbnail and swatch. Its content digest stays the same."""
    return dataclasses.replace(style, thumbnail=b"", swatch=b"")
