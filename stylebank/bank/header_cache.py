"""Remember the headers of a bank's files, so that a list opens only the files that changed.

Opening a style file takes milliseconds, which is seconds for a bank of thousands. The cache is one JSON file for each
bank's path in the user's cache folder: a cache that came with a bank could hold false names. A user without such a
folder has no cache. A header counts for a file of the same name, size, and times of the last changes of content and of
metadata. The cache may be wrong or damaged: what is not a valid header is dropped, and files are read in its place.
`verify` does not use it, and no array is read by it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import secrets
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import platformdirs

from ..errors import StylebankError
from ..files import TEMPORARY_PREFIX
from ..names import check_name
from ..storage import reader
from ..storage.hdf5 import MAX_TEXT_BYTES
from ..style import NETWORK, PADDINGS, POOLINGS, Header, layer_order

#: Changes with the meaning of the cache's content.
_VERSION = 1
#: Fewer files are read as quickly without a cache.
MIN_FILES = 50
_MAX_BYTES = 1 << 28
#: Age in seconds from which a file counts as unchanged: two changes within a tick of a clock have one time.
_SETTLED = 3.0


class _Entry(msgspec.Struct, array_like=True):
    size: int
    mtime_ns: int
    ctime_ns: int
    header: Header


class _Content(msgspec.Struct):
    version: int
    files: dict[str, _Entry]


class HeaderCache:
    """Headers of the style files in a folder.

    Parameters
    ----------
    folder
        Folder of a bank.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _Entry] | None = None
        self._changed = False

    def read_header(self, path: Path) -> Header:
        """Return the header of a file of the folder, from the file if it is new or has changed.

        Raises
        ------
        StyleDamaged, StyleUnreadable
            As `reader.read_header` does.
        """
        if self._files is None:
            self._files = self._load()
        entry = self._files.get(path.name)
        try:
            status = path.stat()
        except OSError:
            return reader.read_header(path)
        if entry is not None:
            known = (entry.size, entry.mtime_ns, entry.ctime_ns)
            unchanged = known == (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if unchanged and stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
                return entry.header
            del self._files[path.name]
            self._changed = True
        header = reader.read_header(path)
        settled = max(status.st_mtime, status.st_ctime) < time.time() - _SETTLED
        if settled and path.name.isprintable():  # JSON holds no undecodable bytes
            self._files[path.name] = _Entry(status.st_size, status.st_mtime_ns, status.st_ctime_ns, header)
            self._changed = True
        return header

    def save(self, paths: Iterable[Path]) -> None:
        """Write what was learnt, and forget all files but `paths`. What cannot be written is read again next time."""
        names = {path.name for path in paths}
        files = self._files or {}
        kept = {name: entry for name, entry in files.items() if name in names}
        if len(names) < MIN_FILES or not (self._changed or len(kept) < len(files)):
            return
        self._files, self._changed = kept, False
        with contextlib.suppress(OSError, RuntimeError, UnicodeError, TypeError, ValueError):
            data = msgspec.json.encode(_Content(_VERSION, kept))
            path = cache_file(self._folder)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, data)

    def _load(self) -> dict[str, _Entry]:
        with contextlib.suppress(OSError, RuntimeError, ValueError, StylebankError, RecursionError, MemoryError):
            content = msgspec.json.decode(_read(cache_file(self._folder)), type=_Content)
            if content.version == _VERSION:
                for entry in content.files.values():
                    _check(entry.header)
                return content.files
        return {}


def cache_file(folder: Path) -> Path:
    """Return the file of a bank's cache.

    Raises
    ------
    RuntimeError
        If the user has no home folder.
    OSError
        If the folder's path cannot be resolved.
    """
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    path = platformdirs.user_cache_path("stylebank") / f"headers-{digest}.json"
    if not path.is_absolute():  # a home folder that is not known stays a tilde
        raise RuntimeError
    return path


def _read(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > _MAX_BYTES:
        raise ValueError
    return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    """Write a file at once or not at all; without a flush, since a damaged cache is built again."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.json")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _check(header: Header) -> None:
    """Raise an error for a header that no style file can have."""
    fingerprint, source = header.fingerprint, header.source
    sides = [source.width, source.height, *(side for size in header.sizes.values() for side in size)]
    texts = [
        *(header.content_sha256, header.created, header.version, fingerprint.weights_sha256, fingerprint.color),
        *(fingerprint.resampling, source.filename, source.sha256, *header.tags),
    ]
    valid = (
        check_name(header.name) == header.name
        and layer_order(fingerprint.layers) == fingerprint.layers
        and fingerprint.network == NETWORK
        and fingerprint.pooling in POOLINGS
        and fingerprint.padding in PADDINGS
        and 0 <= fingerprint.ridge < math.inf
        and min(sides) >= 1
        and bool(header.sizes)
        and all(scale == max(size) for scale, size in header.sizes.items())
        and max(map(len, texts)) <= MAX_TEXT_BYTES
        and reader.parse_recipe(header.recipe.encode(), source.sha256) == header.recipe
    )
    if not valid:
        raise ValueError
