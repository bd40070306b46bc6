"""Files written whole or not at all.

Every file this project leaves behind goes through `replace_file`: a temporary file in the
same folder, flushed to the disk, looked at again, then renamed over the target, and the
folder flushed. A process killed at any point leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import OutputRefused, printable

TEMPORARY_PREFIX = ".stylebank-tmp-"


def replace_file(target: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None) -> None:
    """Write `target` atomically.

    Parameters
    ----------
    target
        Replaced if it exists; its folder must exist.
    write
        Called with the path of a new temporary file to fill.
    check
        Called with that path after the flush and before the rename; raises to give up.

    Raises
    ------
    OutputRefused
        If the disk is full, the folder is not writable, or the name too long.
    """
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{target.suffix}"
    try:
        try:
            write(temporary)
            fsync(temporary)
            if check is not None:
                check(temporary)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        fsync(target.parent)
    except OSError as error:
        raise OutputRefused(f"{printable(target)}: {describe_os_error(error)}") from error


def remove_temporaries(folder: Path) -> None:
    """Remove what a killed writer left in `folder`; only for a folder nobody else writes to now."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents; `OutputRefused` says why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputRefused(f"{printable(folder)}: {describe_os_error(error)}") from error


def describe_os_error(error: OSError) -> str:
    """Put an operating system's error into a reason and what to do."""
    advice = {
        errno.ENOSPC: "The disk is full; free some space and run it again.",
        errno.EDQUOT: "The disk quota is used up; free some space and run it again.",
        errno.EFBIG: "The file would be too large for this system; raise its limit (ulimit -f).",
        errno.EACCES: "Permission denied; choose a folder you may write to.",
        errno.EPERM: "Permission denied; choose a folder you may write to.",
        errno.EROFS: "The file system is read-only; choose another folder.",
        errno.ENAMETOOLONG: "The file name is too long; choose a shorter one.",
        errno.ENOTDIR: "A file stands where a folder is needed; choose another folder.",
        errno.EEXIST: "A file stands where a folder is needed; choose another folder.",
        errno.EISDIR: "A folder stands where a file is needed; choose another name.",
        errno.ENOENT: "No such file or folder; check the path.",
    }
    reason = advice.get(error.errno or 0)
    # HDF5 passes the system's error on as text alone
    if reason is None and "errno = 28" in str(error):
        reason = advice[errno.ENOSPC]
    if reason is None and "errno = 27" in str(error):
        reason = advice[errno.EFBIG]
    return reason or f"{error.strerror or error}. Check the path and the disk."


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """Digest of a file's bytes, as lower-case hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fsync(path: Path) -> None:
    """Bring a file, or what a folder lists, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared_lock(folder: Path, on_exclusive: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let other runs know that an output folder is written to, where the system can.

    Parameters
    ----------
    alone
        Called first if no other run holds the folder, such as to tidy up after one that was killed.
    """
    try:
        import fcntl
    except ImportError:  # Windows: nothing is tidied up
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # held by another run, or a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            on_exclusive()
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
