"""Outputs of earlier runs, which folders and patterns leave out."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .record_index import RecordIndex, Records


class FinishedOutputs:
    """Outputs that the records of folders vouch for.

    Parameters
    ----------
    folder
        Output folder of the run.
    style
        Style of the run in the record.
    records
        Records of the command.
    output_folders
        Output folders of all jobs of a file, which a search from above leaves out.
    """

    def __init__(
        self, folder: Path, style: str, records: Records, output_folders: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        self._records = records
        self._style = style
        self._real_folder = functools.cache(os.path.realpath)
        self._output_folders = {os.path.realpath(each) for each in output_folders}
        self._indexes: dict[str, RecordIndex] = {}
        self._target = self._real_folder(folder)
        self.read(folder)

    def read(self, folder: Path) -> None:
        """Read the record of a folder that a search comes to."""
        real = self._real_folder(folder)
        if real not in self._indexes:
            self._indexes[real] = self._records.index(folder)

    def __contains__(self, path: str) -> bool:
        """Return whether an output has this path, with its folder resolved."""
        return any(path in index.paths for _folder, index in self._above(path))

    def in_this_style(self, path: str) -> bool:
        """Return whether an output in the style of the run has this path, with its folder resolved."""
        return any(self._style in index.paths.get(path, ()) for _folder, index in self._above(path))

    def recorded_in(self, path: str) -> str | None:
        """Return the resolved folder whose record has an output; None for the run's own record, and for none."""
        folders = [folder for folder, index in self._above(path) if path in index.paths]
        return None if self._target in folders else next(iter(folders), None)

    def holds_steps(self, folder: str) -> bool:
        """Return whether a folder, with its parent resolved, holds the snapshots of an output."""
        return any(folder in index.step_folders for _folder, index in self._above(folder))

    def _above(self, path: str) -> Iterator[tuple[str, RecordIndex]]:
        """Yield the folders above a path that have a record, and their indexes."""
        folder, name = os.path.split(path)
        while name:
            if folder in self._indexes:
                yield folder, self._indexes[folder]
            folder, name = os.path.split(folder)

    def is_output_folder(self, folder: Path) -> bool:
        """Return whether a folder is the output folder of a job."""
        return self._real_folder(folder) in self._output_folders


def real_path(path: Path, real_folder: Callable[[Path], str]) -> str:
    """Return the path with its folder resolved: two names of a folder are one, two names of a file are not."""
    return os.path.join(real_folder(path.parent), path.name)
