"""Lists of subjects in a file or on stdin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stylebank.errors import UsageError, printable
from stylebank.files import describe_os_error

#: Name of the file that stands for stdin.
STDIN = "-"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ListedPath(str):
    """Path of a file or folder from a list; it is never a pattern."""

    __slots__ = ()


def read_list(file: str | os.PathLike[str], *, null: bool = False, folder: Path | None = None) -> list[ListedPath]:
    """Read a list of files and folders.

    Parameters
    ----------
    file
        Path of a file with one path a line, or ``-`` for stdin. Empty lines do not count. There are no comments
        and no quotes: every other character is part of a path.
    null
        A NUL byte ends each path in place of a line end, so that paths may hold line ends.
    folder
        Folder that relative paths start from; the working folder by default.

    Returns
    -------
    list of ListedPath

    Raises
    ------
    UsageError
        If the file cannot be read, or holds NUL bytes without `null`.
    """
    shown = "stdin" if file == STDIN else printable(file)
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{shown}: {describe_os_error(error)}") from error
    content = content.removeprefix(_BYTE_ORDER_MARK)
    if not null and b"\0" in content:
        raise UsageError(
            f"{shown}: NUL bytes in the list of subjects. Give --null if they end each path, or save it as UTF-8."
        )
    names = content.split(b"\0") if null else [line.removesuffix(b"\r") for line in content.split(b"\n")]
    paths = [os.fsdecode(name) for name in names if name.strip()]
    return [ListedPath(path if folder is None else folder / path) for path in paths]
