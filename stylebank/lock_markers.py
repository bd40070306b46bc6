"""Marker files in place of locks, for file systems that have none.

Whoever creates a marker holds the lock. A holder touches its marker every `HEARTBEAT` seconds. Others remove the
marker if its process is gone from the same host, or if it has not been touched for `STALE_AFTER` seconds.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from pathlib import Path

from .errors import printable
from .files import follow_group
from .processes import Owner

HEARTBEAT = 10.0
STALE_AFTER = 60.0
#: Age in seconds at which a marker without a readable owner is stale: its process ended while it wrote it.
_UNREADABLE_AFTER = 5.0
_MAX_MARKER_BYTES = 4096


class MarkerLock:
    """A marker file that exists while the lock is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = Owner.this_process()
        self._stop = threading.Event()

    def acquire(self) -> bool:
        """Try once, and remove a stale marker."""
        if not _create(self._path, self._owner):
            _remove_stale(self._path)
            if not _create(self._path, self._owner):
                return False
        threading.Thread(target=self._beat, name="stylebank-lock", daemon=True).start()
        return True

    def holder(self) -> str:
        """Return the holder in words."""
        owner = _read_owner(self._path)
        return f"process {owner.pid} on {printable(owner.host)[:100]}" if owner else "another process"

    def release(self) -> None:
        """Give the lock back."""
        self._stop.set()
        if _read_owner(self._path) == self._owner:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            if _read_owner(self._path) != self._owner:
                return
            with contextlib.suppress(OSError):
                os.utime(self._path)


def _create(path: Path, owner: Owner) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    try:
        try:
            os.write(descriptor, owner.to_json().encode())
        finally:
            os.close(descriptor)
        follow_group(path)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return True


def _read_owner(path: Path) -> Owner | None:
    try:
        with path.open("rb") as file:
            return Owner.parse(file.read(_MAX_MARKER_BYTES))
    except OSError:
        return None


def _is_stale(path: Path) -> bool:
    """Tell whether a marker's process is gone. Clocks of hosts differ, so the file system's clock is compared."""
    try:
        owner = _read_owner(path)
        alive = owner.alive() if owner else None
        if alive is not None:
            return not alive
        probe = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
        try:
            probe.touch()
            age = probe.stat().st_mtime - path.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return False
    return age > (STALE_AFTER if owner else _UNREADABLE_AFTER)


def _remove_stale(path: Path) -> None:
    """Remove a marker if it is stale; one process at a time, so that none removes the marker of the next holder."""
    if not _is_stale(path):
        return
    breaker = path.with_name(path.name + "-removal")
    if not _create(breaker, Owner.this_process()):
        if _is_stale(breaker):
            breaker.unlink(missing_ok=True)
        return
    try:
        if _is_stale(path):
            path.unlink(missing_ok=True)
    finally:
        breaker.unlink(missing_ok=True)
