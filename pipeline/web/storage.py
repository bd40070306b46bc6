"""The bounds of the studio's folder: the oldest finished pictures and unused files go first."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from stylebank.files import make_folder

from .board import Board
from .live import remove_folder
from .model import Job
from .uploads import Uploads

MAX_FINISHED = 200


class Storage:
    """The files of all jobs.

    Parameters
    ----------
    folder
        Folder of the studio.
    uploads, board
        The uploaded files and the jobs that need them.
    keep_bytes
        Bytes to keep, of uploads and pictures together.
    """

    def __init__(self, folder: Path, uploads: Uploads, board: Board, keep_bytes: int) -> None:
        self._folder, self._uploads, self._board, self._keep_bytes = folder, uploads, board, keep_bytes
        self._pictures = folder / "pictures"
        make_folder(self._pictures)
        for entry in os.scandir(self._pictures):  # of jobs that were removed when the server was killed
            if entry.name not in board.jobs:
                remove_folder(Path(entry.path))
        self._stored = _folder_bytes(folder)

    def job_folder(self, job: Job) -> Path:
        """Return the folder of a job's files."""
        return self._pictures / job.id

    async def measure(self) -> None:
        """Count the bytes of all files again, and make room if they are too many."""
        self._stored = await asyncio.to_thread(_folder_bytes, self._folder)
        self.make_room()

    def make_room(self) -> bool:
        """Delete what is oldest until the files fit; return whether they do."""
        finished = [job for job in self._board.jobs.values() if job.is_finished]
        for job in finished[: max(0, len(finished) - MAX_FINISHED)]:
            self._remove(job)
        while self._stored + self._uploads.incoming > self._keep_bytes:
            if not self._remove_oldest():
                return False
            self._stored = _folder_bytes(self._folder)
        return True

    def _remove_oldest(self) -> bool:
        """Delete an old file that no job needs, else the oldest finished job, else any file that no job needs."""
        needed = self._needed()
        if self._uploads.remove_unused(needed, all_ages=False):
            return True
        finished = next((job for job in self._board.jobs.values() if job.is_finished), None)
        if finished is None:
            return self._uploads.remove_unused(needed, all_ages=True)
        self._remove(finished)
        return True

    def _needed(self) -> set[str]:
        return {identifier for job in self._board.jobs.values() for identifier in job.uploads}

    def _remove(self, job: Job) -> None:
        del self._board.jobs[job.id]
        remove_folder(self.job_folder(job))
        for identifier in job.uploads - self._needed():
            self._uploads.remove(identifier)
        self._board.note()


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(path) / name).stat().st_size
    return total
