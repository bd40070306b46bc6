"""Atomic writes.

`replace_file` writes every file of this project. It writes a temporary file in the same folder, calls fsync, checks
the file, renames it over the target, and calls fsync for the folder. A process that is killed at any point leaves
the old file or the new one. After the rename the file counts as written: a file system that cannot flush a folder, or
fails to, makes no error of it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import OutputRefused, printable

TEMPORARY_PREFIX = ".stylebank-tmp-"
#: Answers of file systems that flush no folders, as CIFS and some FUSE.
_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
#: What network file systems and FUSE answer when their server or process is gone.
_LOST_MOUNT = {
    getattr(errno, name)
    for name in ("ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ECONNRESET", "ECONNABORTED")
    if hasattr(errno, name)
}
_MORE_MEMORY = "Free some memory, or raise its limit (ulimit -v)."
_log = logging.getLogger(__name__)


def replace_file(target: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None) -> None:
    """Write `target` atomically.

    Parameters
    ----------
    target
        Replaced if it exists; its folder must exist.
    write
        Function of the path of a new temporary file, which it fills.
    check
        Function of the same path, called after the fsync and before the rename. If it raises, the target stays.

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
    except OSError as error:
        raise OutputRefused(f"{printable(target)}: {describe_os_error(error)}") from error
    flush_folder(target.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of killed writers. No other process may be writing to `folder`."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents.

    Raises
    ------
    OutputRefused
        If the system does not allow it.
    """
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for path in reversed(missing):
            follow_group(path)
    except OSError as error:
        raise OutputRefused(f"{printable(folder)}: {describe_os_error(error)}") from error


def describe_os_error(error: OSError) -> str:
    """Return the reason of an operating system's error, and advice."""
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
    # HDF5 passes the system's error on only as text
    if reason is None and "errno = 28" in str(error):
        reason = advice[errno.ENOSPC]
    if reason is None and "errno = 27" in str(error):
        reason = advice[errno.EFBIG]
    return reason or f"{error.strerror or error}. Check the path and the disk."


def describe_read_error(error: BaseException) -> str:
    """Return why the system does not let this process read, and advice."""
    if isinstance(error, MemoryError):
        return f"not enough memory to read it. {_MORE_MEMORY}"
    if not isinstance(error, OSError):
        return f"cannot be read ({printable(str(error))}). Try again."
    text = error.strerror or printable(str(error))
    number = error.errno or 0
    if number in (errno.EACCES, errno.EPERM):
        return "permission denied. Ask its owner for the right to read it."
    if number in (errno.EMFILE, errno.ENFILE):
        return f"{text.lower()}. Close some, or raise the limit (ulimit -n)."
    if number == errno.ENOMEM:
        return f"not enough memory to read it. {_MORE_MEMORY}"
    if number in _LOST_MOUNT:
        return f"the file system does not answer ({text}). Check the network and the mount, and try again."
    return f"cannot be read ({text}). Check the disk, and try again."


def follow_group(path: Path) -> None:
    """Let the group read and write a file where it may change the folder, whatever the umask.

    Nothing changes if the file has another group than its folder, as without the set-group-ID bit.
    """
    with contextlib.suppress(OSError):
        folder, file = path.parent.stat(), path.stat()
        mode = stat.S_IMODE(file.st_mode)
        if folder.st_mode & stat.S_IWGRP and folder.st_gid == file.st_gid and mode & 0o060 != 0o060:
            path.chmod(mode | 0o060)


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file's bytes, in lower-case hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def fsync(path: Path) -> None:
    """Flush a file to the disk, where its file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def flush(descriptor: int) -> None:
    """Flush an open file or folder to the disk; pass if the file system has no such operation."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder, after a change that all programs see already.

    What cannot be flushed is not undone: the disk's error is a warning of the log. Windows opens no folders.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # for example a folder in which others may write, and not list
        return
    try:
        flush(descriptor)
    except OSError as error:
        _log.warning(
            "%s: written, but the disk did not confirm it (%s). Check the disk.",
            printable(folder),
            error.strerror or error,
        )
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared_lock(folder: Path, on_exclusive: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a shared lock of an output folder, on systems with `fcntl`.

    Parameters
    ----------
    folder
        It must exist.
    on_exclusive
        Called first if no other run holds the lock, for example to remove temporary files.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # another run holds it, or the file system has no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            on_exclusive()
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
