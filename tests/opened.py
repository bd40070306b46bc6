"""Files that code opens, as Python's audit hooks see them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_recorders: list[list[str]] = []
_installed = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _recorders and isinstance(arguments[0], str | bytes | os.PathLike):
        for recorder in _recorders:
            recorder.append(os.fsdecode(arguments[0]))


@contextlib.contextmanager
def opened_files() -> Iterator[list[str]]:
    """Yield a list that gets the path of every file that is opened in the block."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    paths: list[str] = []
    _recorders.append(paths)
    try:
        yield paths
    finally:
        _recorders.remove(paths)
