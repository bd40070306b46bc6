"""Write style files into a bank, and rename them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutputRefused, StyleDamaged, StyleUnreadable, printable
from ..files import flush_folder, follow_group, replace_file
from ..names import SUFFIX, file_name
from ..storage import reader, writer
from ..style import Style
from .index import read_name

#: Begins the name of an empty file; the rest of it is the name of a file that is being renamed.
_RENAME_NOTE = ".renaming-"


def commit(target: Path, style: Style) -> None:
    """Write a style file, and read it back before the rename."""
    data = writer.encode(style)

    def write(path: Path) -> None:
        path.write_bytes(data)
        follow_group(path)

    def check(path: Path) -> None:
        try:
            reader.read(path)
        except StyleDamaged as error:
            raise OutputRefused(
                f"{printable(target)}: not written, because it reads back damaged ({error.__cause__}). "
                "Check the disk, or measure the painting again."
            ) from error
        except StyleUnreadable as error:
            raise OutputRefused(
                f"{printable(target)}: not written, because it cannot be read back: {error.reason}"
            ) from error

    replace_file(target, write, check)


@contextlib.contextmanager
def rename_note(path: Path) -> Iterator[None]:
    """Give `path`, into which the block writes a style of another name, the file name of that style.

    So there is one file at any time, and it holds the style under its old name or its new one. The block and the
    change of the file name are two steps; if the second one fails or never happens, the next writer does it.
    """
    note = path.parent / f"{_RENAME_NOTE}{path.name}"
    with contextlib.suppress(OSError):  # without a note, only the file name stays the old one
        note.touch()
    try:
        yield
    except Exception:
        with contextlib.suppress(OSError):
            note.unlink()
        raise
    _finish_rename(note)
    flush_folder(path.parent)


def finish_renames(folder: Path) -> None:
    """Give the file of a rename that was cut short its new file name."""
    for note in folder.glob(f"{_RENAME_NOTE}*{SUFFIX}"):
        _finish_rename(note)


def _finish_rename(note: Path) -> None:
    """Give a file the file name of the style in it, unless another file has it; keep the note if that fails."""
    path = note.with_name(note.name.removeprefix(_RENAME_NOTE))
    name = read_name(path)
    target = path.with_name(file_name(name)) if name else path
    with contextlib.suppress(OSError):
        if target != path and not os.path.lexists(target):
            path.rename(target)
        note.unlink()
