"""Exclusive locks between processes, also on file systems that have no locks.

`exclusive_lock` locks a file with the system's lock, which ends with its process. Where the file system has none, as
on some NFS and Lustre mounts and in Termux, a marker file beside the lock file stands in, of `lock_markers`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import LockTimeout, printable
from .files import follow_group
from .lock_markers import MarkerLock

try:
    import fcntl
except ImportError:  # Windows; filelock uses its own kind of lock there
    fcntl = None  # type: ignore[assignment]

_POLL = 0.1
MARKER_SUFFIX = ".marker"
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
_HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES}
_log = logging.getLogger(__name__)
_noted: set[Path] = set()


@contextlib.contextmanager
def exclusive_lock(
    path: Path, *, timeout: float = 0.0, on_wait: Callable[[str], None] = lambda holder: None
) -> Iterator[None]:
    """Hold the lock of a file, against other processes and other threads.

    Parameters
    ----------
    path
        Lock file. It is created, and stays afterwards. Its folder must exist.
    timeout
        Seconds to wait for another holder; 0 tries once.
    on_wait
        Function of the holder in words, called once before waiting.

    Raises
    ------
    LockTimeout
        If another process or thread still holds the lock. Its `holder` says who, where that is known.
    OSError
        If the lock file cannot be created or opened.
    """
    deadline = time.monotonic() + timeout
    lock: _NativeLock | MarkerLock = _NativeLock(path)
    waited = False
    while True:
        try:
            if lock.acquire():
                break
        except OSError as error:
            if not isinstance(lock, _NativeLock) or error.errno not in _NO_LOCKS:
                raise
            _note_once(path, error)
            lock = MarkerLock(path.with_name(path.name + MARKER_SUFFIX))
            continue
        holder = lock.holder()
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockTimeout(f"{printable(path)}: {holder} holds the lock. Wait until it ends.", holder)
        if not waited:
            waited = True
            on_wait(holder)
        time.sleep(min(_POLL, left))
    try:
        yield
    finally:
        lock.release()


def _note_once(path: Path, error: OSError) -> None:
    if path.parent not in _noted:
        _noted.add(path.parent)
        _log.warning(
            "%s: the file system has no locks (%s), so a marker file stands in.",
            printable(path.parent),
            errno.errorcode.get(error.errno or 0, "unknown"),
        )


class _NativeLock:
    """The system's lock of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._windows_lock: Any = None

    def acquire(self) -> bool:
        """Try once; raise `OSError` if the file system has no locks."""
        if fcntl is None:
            return self._acquire_windows()
        descriptor = _open_lock_file(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # a lock of a file that was deleted meanwhile excludes nobody
            held = os.fstat(descriptor).st_nlink > 0
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                return False
            raise
        except BaseException:
            os.close(descriptor)
            raise
        if not held:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _acquire_windows(self) -> bool:
        import filelock

        # a file of its own: filelock empties the file that it locks
        self._windows_lock = filelock.FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=0)
        try:
            self._windows_lock.acquire()
        except filelock.Timeout:
            return False
        return True

    def holder(self) -> str:
        """Return the holder in words."""
        return "another process"

    def release(self) -> None:
        """Give the lock back."""
        if self._windows_lock is not None:
            self._windows_lock.release()
            return
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # also if a forked child has a copy of the descriptor
        os.close(self._descriptor)


def _open_lock_file(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return _open_existing(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return _open_existing(path)
    follow_group(path)
    return descriptor


def _open_existing(path: Path) -> int:
    # without O_CREAT: Linux refuses it for a file of another user in a sticky folder
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough for a lock on a local disk
