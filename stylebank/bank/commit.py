"""Write style files into a bank, and rename them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import BankBusy, LockTimeout, OutputRefused, StyleDamaged, StyleUnreadable, printable
from ..files import (
    describe_os_error,
    flush_folder,
    follow_group,
    make_folder,
    remove_temporaries,
    replace_file,
)
from ..locks import exclusive_lock
from ..names import SUFFIX, file_name
from ..storage import reader, writer
from ..style import Header, Style
from .trash import empty

#: Begins the name of an empty file; the rest of it is the name of a file that is being renamed.
_RENAME_NOTE = ".renaming-"


@contextlib.contextmanager
def writing(folder: Path, timeout: float, *, empty_trash: bool = True) -> Iterator[None]:
    """Hold the lock of a bank's folder, and tidy what killed writers left.

    Parameters
    ----------
    timeout
        Seconds to wait for another writer.
    empty_trash
        Whether to delete old versions from the trash after the block, unless it raises.

    Raises
    ------
    BankBusy
        If another process holds it for longer than `timeout` seconds.
    OutputRefused
        If the system does not allow an operation on a file.
    """
    make_folder(folder)
    try:
        with exclusive_lock(folder / ".lock", timeout=timeout):
            remove_temporaries(folder)
            finish_renames(folder)
            yield
            if empty_trash:
                empty(folder)
    except LockTimeout as error:
        raise BankBusy(
            f"{printable(folder)}: {error.holder} has been writing for {timeout:g} seconds. "
            "Wait until it ends, and run this again."
        ) from error
    except OSError as error:
        raise OutputRefused(f"{printable(folder)}: {describe_os_error(error)}") from error


def commit(target: Path, style: Style, before_rename: Callable[[Path], None] | None = None) -> Header:
    """Write a style file, read it back, call `before_rename` with `target`, rename it, and return the header read."""
    data = writer.encode(style)
    headers: list[Header] = []

    def write(path: Path) -> None:
        path.write_bytes(data)
        follow_group(path)

    def check(path: Path) -> None:
        try:
            headers.append(reader.read(path).header)
        except StyleDamaged as error:
            raise OutputRefused(
                f"{printable(target)}: not written, because it reads back damaged ({error.__cause__}). "
                "Check the disk, or measure the painting again."
            ) from error
        except StyleUnreadable as error:
            raise OutputRefused(
                f"{printable(target)}: not written, because it cannot be read back: {error.reason}"
            ) from error

        if before_rename is not None:
            before_rename(target)

    replace_file(target, write, check)
    return headers[0]


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
    try:
        target = path.with_name(file_name(reader.read_header(path).name))
    except StyleUnreadable:
        return
    except StyleDamaged:  # or gone
        target = path
    with contextlib.suppress(OSError):
        if target != path and not os.path.lexists(target):
            path.rename(target)
        note.unlink()
