"""Temporary folders that do not outlive a killed process: the next one removes them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

_FOLDER_PREFIX, _LOCK_NAME = "stylebank-", "run"
#: A folder without its lock may belong to a run that is just taking it.
_SECONDS_UNTIL_STALE = 60


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new temporary folder, and remove it at the end; first remove those of processes that were killed."""
    _remove_stale_folders()
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
    lock = filelock.FileLock(folder / _LOCK_NAME, is_singleton=False)
    lock.acquire()  # the system releases it when this process ends in any way
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale_folders() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        lock_path = folder / _LOCK_NAME
        try:
            if time.time() - folder.stat().st_mtime < _SECONDS_UNTIL_STALE or not lock_path.is_file():
                continue
            lock = filelock.FileLock(lock_path, is_singleton=False)
            lock.acquire(timeout=0)
        except (OSError, filelock.Timeout):  # of another user, or in use
            continue
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
