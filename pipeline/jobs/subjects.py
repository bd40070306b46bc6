"""Subjects of a run: the images of files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from stylebank.errors import UsageError, printable
from stylebank.images import READ_SUFFIXES

from .naming import steps_folder
from .record import FILE_NAME as RECORD_NAME
from .record import Record


class FinishedOutputs:
    """Outputs of earlier runs, by the record; folders and patterns skip them."""

    def __init__(self, folder: Path, style: str) -> None:
        done = [entry for entry in Record(folder).entries() if entry.status == "done"]
        self._outputs = {os.path.abspath(folder / entry.output): entry.style for entry in done}
        self._steps = {os.path.abspath(steps_folder(folder / entry.output)) for entry in done}
        self._style = style

    def __contains__(self, path: Path) -> bool:
        return os.path.abspath(path) in self._outputs

    def in_this_style(self, path: Path) -> bool:
        return self._outputs.get(os.path.abspath(path)) == self._style

    def holds_steps(self, folder: Path) -> bool:
        return os.path.abspath(folder) in self._steps


def expand(
    argument: str | os.PathLike[str], recursive: bool, finished: FinishedOutputs, ignored: list[Path]
) -> Iterable[tuple[Path, Path]]:
    """Return the images of one argument, each with its subfolder."""
    path = Path(argument)
    if os.path.lexists(path):
        if path.is_dir():
            return _in_folder(path, recursive, finished, ignored)
        if finished.in_this_style(path):  # the shell's *.jpg where outputs stand beside subjects
            ignored.append(path)
            return []
        return [(path, Path())]
    text = os.fspath(argument)
    if glob.has_magic(text):
        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
        if not matches:
            raise UsageError(f"{printable(text)}: no file matches. Check the pattern.")
        files = [match for match in matches if not match.is_dir() and match not in finished]
        ignored += [match for match in files if match.suffix.lower() not in READ_SUFFIXES]
        return [(match, Path()) for match in files if match.suffix.lower() in READ_SUFFIXES]
    return [(path, Path())]


def _in_folder(
    folder: Path, recursive: bool, finished: FinishedOutputs, ignored: list[Path]
) -> Iterable[tuple[Path, Path]]:
    for parent, folders, files in os.walk(folder):
        below = [name for name in folders if not name.startswith(".") and not finished.holds_steps(Path(parent) / name)]
        folders[:] = sorted(below) if recursive else []
        for name in sorted(files):
            path = Path(parent) / name
            if name.startswith(".") or path in finished or name == RECORD_NAME:
                continue
            if path.suffix.lower() in READ_SUFFIXES:
                yield path, Path(parent).relative_to(folder)
            else:
                ignored.append(path)
