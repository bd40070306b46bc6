"""The trash of a bank: styles that were removed or replaced, until they are too old.

It is a folder in the bank. A file in it has the time of its removal before its name.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import errno
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputRefused, StyleDamaged, StyleFileError, StyleNotFound, printable
from ..files import TEMPORARY_PREFIX, describe_os_error, flush_folder
from ..names import SUFFIX, file_name
from ..storage import reader
from ..style import Header
from .index import read_name

TRASH_FOLDER = ".trash"
#: A version older than this is deleted by the next writer.
MAX_DAYS = 30
#: Most versions of one style; the oldest are deleted first.
MAX_VERSIONS = 3
#: Most bytes of all versions; of those removed more than a day ago, the oldest are deleted first.
MAX_BYTES = 20 << 30
_DAY = 86_400 * 10**9
#: Characters of a time and a hyphen before a file's name.
_PREFIX = 21
_FILE = re.compile(r"(\d{20})-(.+" + re.escape(SUFFIX) + ")")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrashedStyle:
    """A version of a style in the trash.

    Attributes
    ----------
    header : Header or None
        None if the file is damaged or cannot be read.
    removed : datetime.datetime
        When it was removed or replaced, in UTC.
    path : Path
    reason : str
        Why there is no header.
    """

    header: Header | None
    removed: datetime.datetime
    path: Path
    reason: str = ""

    @property
    def name(self) -> str | None:
        """The style's name, if there is a header."""
        return self.header.name if self.header else None

    def holds(self, name: str) -> bool:
        """Tell whether this is a version of a style; a damaged file is recognised by its file name."""
        return self.header.name == name if self.header else self.path.name[_PREFIX:] == file_name(name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "name": self.name,
            "removed": self.removed.isoformat(timespec="seconds"),
            "content_sha256": self.header.content_sha256 if self.header else None,
            "file": printable(self.path),
            "reason": self.reason or None,
        }


def trashed(folder: Path) -> list[TrashedStyle]:
    """Return the versions in the trash of a bank's folder, newest first, whole or not."""
    found = []
    for nanoseconds, path in _files(folder):
        removed = datetime.datetime.fromtimestamp(nanoseconds // 10**9, datetime.timezone.utc)
        try:
            found.append(TrashedStyle(reader.read_header(path), removed, path))
        except StyleFileError as error:
            if os.path.lexists(path):  # another process may have restored it
                found.append(TrashedStyle(None, removed, path, error.reason))
    return found


def versions_of(folder: Path, names: Sequence[str]) -> dict[str, list[TrashedStyle]]:
    """Return the versions of each style in the trash, newest first, whole or not.

    Raises
    ------
    StyleNotFound
        If one style has none. The message suggests similar names.
    """
    versions = trashed(folder)
    found = {name: [version for version in versions if version.holds(name)] for name in names}
    for name in names:
        if not found[name]:
            known = {version.name for version in versions if version.name}
            matches = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f" Did you mean {', '.join(matches)}?" if matches else " 'stylebank restore --list' shows all."
            raise StyleNotFound(f"style {name!r} is not in the trash of the bank {printable(folder)}.{hint}")
    return found


def newest_whole(name: str, versions: Sequence[TrashedStyle]) -> tuple[Header, Path]:
    """Return the newest version with undamaged numbers; a warning names each newer one.

    Raises
    ------
    StyleDamaged
        If there is none.
    StyleUnreadable
        If the system does not let this process read a newer version, which may be whole.
    """
    damaged: list[StyleDamaged] = []
    for version in versions:
        try:
            header = reader.read(version.path).header
        except StyleDamaged as error:
            damaged.append(error)
            continue
        for newer in damaged:
            _log.warning(
                "%s: %s It stays in the trash. An older version of style %r comes back, removed %s UTC.",
                *(printable(newer.path or ""), newer.reason, name, f"{version.removed:%Y-%m-%d %H:%M:%S}"),
            )
        return header, version.path
    raise damaged[0]


def move_to_trash(path: Path) -> None:
    """Move a style file of a bank to its trash.

    Raises
    ------
    OutputRefused
        If the system does not allow it.
    """
    try:
        path.rename(_new_path(path))
    except FileNotFoundError:
        return
    except OSError as error:
        denied = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}  # no way of removing it is left
        advice = "" if denied else " Or remove it with --forever."
        raise OutputRefused(f"{printable(path)}: not moved to the trash. {describe_os_error(error)}{advice}") from error
    flush_folder(path.parent / TRASH_FOLDER)


def copy_to_trash(path: Path) -> None:
    """Keep what a style file holds in the trash; the file stays.

    Raises
    ------
    OSError
        If the system does not allow it.
    """
    target = _new_path(path)
    try:
        os.link(path, target)
    except OSError:  # a file system without hard links
        temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        try:
            shutil.copy2(path, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    flush_folder(target.parent)


def empty(folder: Path) -> None:
    """Delete versions that are too old, or too many of one style or for the space.

    No number of other styles deletes the last version of a style, and none of the last day is deleted for space.
    """
    now = time.time_ns()
    versions: dict[str, int] = {}
    total = 0
    for nanoseconds, path in _files(folder):
        name = path.name[_PREFIX:]
        versions[name] = versions.get(name, 0) + 1
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            age = now - nanoseconds
            if age > MAX_DAYS * _DAY or versions[name] > MAX_VERSIONS or (age > _DAY and total + size > MAX_BYTES):
                path.unlink()
            else:
                total += size


def _files(folder: Path) -> list[tuple[int, Path]]:
    """Return time and path of each file in the trash, newest first."""
    try:
        names = sorted((path.name for path in (folder / TRASH_FOLDER).iterdir()), reverse=True)
    except OSError:
        return []
    matches = [(_FILE.fullmatch(name), name) for name in names]
    return [(int(match[1]), folder / TRASH_FOLDER / name) for match, name in matches if match]


def _new_path(path: Path) -> Path:
    trash = path.parent / TRASH_FOLDER
    with contextlib.suppress(FileExistsError):
        trash.mkdir()
        with contextlib.suppress(OSError):  # whoever may change the bank may change its trash
            trash.chmod(path.parent.stat().st_mode & 0o7777)
    name = read_name(path)
    return trash / f"{time.time_ns():020d}-{file_name(name) if name else path.name[-200:]}"
