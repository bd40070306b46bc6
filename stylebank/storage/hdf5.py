"""Read HDF5 files that may be hostile.

Links, types, layouts, shapes and storage are checked before data is read. Every failure is a `StyleDamaged` that
names the file and the place in it, or a `StyleUnreadable` if not the file is at fault.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")  # never load filter plug-ins

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import StyleDamaged, StyleUnreadable, UsageError, printable
from ..files import describe_read_error

MAX_TEXT_BYTES = 4096
MAX_TEXTS = 64
MAX_BLOB_BYTES = 1 << 20
#: What `stat` and `open` answer for a path that leads to no file.
_NO_FILE = {None, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
#: Memory that has to be free: libhdf5 crashes where it gets none for the tables of an open file.
_BYTES_TO_OPEN = 16 << 20
_ALLOWED_FILTERS = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


class _Bytes(io.FileIO):
    """A file for libhdf5. It keeps the system's error, which libhdf5 passes on only in part."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.size = os.fstat(self.fileno()).st_size
        self.error: OSError | None = None

    def flush(self) -> None:
        """Do nothing, also if libhdf5 asks for it after `close`."""

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on, and return the number of bytes."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.error = error
            raise


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a style file; add path and advice to every `StyleDamaged` in the block.

    libhdf5 gets the bytes from this process. So it takes no lock, which complete files do not need and some file
    systems do not have, and no setting of the environment makes it try.

    Raises
    ------
    StyleUnreadable
        If the system does not let this process read the file, or there is not enough memory.
    """
    location = printable(path)
    advice = "Restore the file from a copy, or add the painting again."
    source: _Bytes | None = None
    try:
        with _open_bytes(path) as source, h5py.File(source, "r") as file:
            yield file
    except UsageError:
        raise
    except StyleDamaged as error:
        reason, advice = (*error.args, advice)[:2]
        raise StyleDamaged(f"{location}: {printable(reason)} {advice}").located(path, printable(reason)) from error
    except Exception as error:  # libhdf5 reports damage through every kind of exception
        cause = _system_error(error, source)
        if cause is not None:
            reason = describe_read_error(cause)
            raise StyleUnreadable(f"{location}: {reason}").located(path, reason) from cause
        reason = f"not a readable style file ({printable(str(error)) or type(error).__name__})."
        raise StyleDamaged(f"{location}: {reason} {advice}").located(path, reason) from error


def _open_bytes(path: Path) -> _Bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise StyleDamaged("not a regular file.", "Remove it from the bank.")
    mmap.mmap(-1, _BYTES_TO_OPEN).close()
    return _Bytes(os.fspath(path))


def _system_error(error: Exception, source: _Bytes | None) -> BaseException | None:
    """Return the error of the system behind `error`; None if the file itself is at fault."""
    if source is not None and source.error is not None:
        return source.error
    if isinstance(error, MemoryError) and not str(error).endswith(")"):  # of Python or NumPy
        return error
    if "memory allocation failed" in str(error) and not _has_memory(source):
        return MemoryError()
    if source is None and isinstance(error, OSError) and error.errno not in _NO_FILE:
        return error
    return None


def _has_memory(source: _Bytes | None) -> bool:
    """Tell whether memory for the file is free; where it is, libhdf5 has met a damaged size."""
    try:
        bytearray(min(source.size, 1 << 30) if source else 0)
    except MemoryError:
        return False
    return True


def child(group: Any, name: str, kind: type) -> Any:
    """Return the member `name` of `group`, which must be a hard link to a `kind`."""
    where = f"{group.name.rstrip('/')}/{name}"
    link = group.get(name, getlink=True)
    if link is None:
        raise StyleDamaged(f"{where} is missing.")
    if not isinstance(link, h5py.HardLink):
        raise StyleDamaged(f"{where} is a soft or external link; only hard links are allowed.")
    item = group[name]
    if not isinstance(item, kind):
        raise StyleDamaged(f"{where} is a {type(item).__name__}; expected a {kind.__name__}.")
    return item


def require_only(group: Any, allowed: set[str]) -> None:
    """Refuse a group with members that are not `allowed`."""
    extra = set(group) - allowed
    if extra:
        raise StyleDamaged(f"{group.name} holds {min(extra)!r}, which is not part of the format.")


def attribute_of(target: Any, key: str) -> Any:
    """Return an attribute that is a number, a fixed-length string, or a short array of them."""
    where = f"attribute {key!r} of {target.name}"
    if key not in target.attrs:
        raise StyleDamaged(f"{where} is missing.")
    attribute = h5py.h5a.open(target.id, key.encode())
    kind = attribute.get_type()
    space = attribute.get_space()
    if kind.get_class() not in (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT) or (
        isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()
    ):
        raise StyleDamaged(f"{where} is not a fixed-length string or a number.")
    if kind.get_size() > MAX_TEXT_BYTES or space.get_simple_extent_npoints() > MAX_TEXTS:
        raise StyleDamaged(f"{where} is too large.")
    return target.attrs[key]


def text(target: Any, key: str) -> str:
    """Return an attribute that is one string."""
    value = attribute_of(target, key)
    if not isinstance(value, (bytes, str, np.bytes_)):
        raise StyleDamaged(f"attribute {key!r} of {target.name} is not a string.")
    return value if isinstance(value, str) else value.decode()


def texts(target: Any, key: str) -> tuple[str, ...]:
    """Return an attribute that is a list of strings."""
    value = attribute_of(target, key)
    items = value.ravel().tolist() if isinstance(value, np.ndarray) else [value]
    if not all(isinstance(item, (bytes, str)) for item in items):
        raise StyleDamaged(f"attribute {key!r} of {target.name} is not a list of strings.")
    return tuple(item if isinstance(item, str) else item.decode() for item in items)


def integer(target: Any, key: str, lowest: int = 1) -> int:
    """Return an attribute that is an integer from `lowest` up."""
    value = attribute_of(target, key)
    if not isinstance(value, np.integer) or value < lowest:
        raise StyleDamaged(f"attribute {key!r} of {target.name} is {value!r}; expected an integer from {lowest} up.")
    return int(value)


def array(group: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> npt.NDArray[Any]:
    """Return a dataset of exactly this type and shape; None as shape allows 1 to `MAX_BLOB_BYTES` bytes."""
    dataset = child(group, name, h5py.Dataset)
    where = dataset.name
    # check the layout first: reading the shape of a virtual dataset can open other files
    properties = dataset.id.get_create_plist()
    if properties.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED, h5py.h5d.COMPACT):
        raise StyleDamaged(f"{where} is a virtual dataset.")
    if properties.get_external_count():
        raise StyleDamaged(f"{where} keeps its data in another file.")
    if not dataset.id.get_type().equal(h5py.h5t.py_create(dtype)):
        raise StyleDamaged(f"{where} has type {dataset.dtype}; expected {dtype}.")
    if shape is None:
        if dataset.shape is None or len(dataset.shape) != 1 or not 0 < dataset.shape[0] <= MAX_BLOB_BYTES:
            raise StyleDamaged(f"{where} has shape {dataset.shape}.")
    elif dataset.shape != shape:
        raise StyleDamaged(f"{where} has shape {dataset.shape}; expected {shape}.")
    if any(chunk > side for chunk, side in zip(dataset.chunks or (), dataset.shape, strict=False)):
        raise StyleDamaged(f"{where} has chunks of {dataset.chunks}, larger than its shape.")
    filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    if not filters <= _ALLOWED_FILTERS:
        raise StyleDamaged(
            f"{where} uses filter {min(filters - _ALLOWED_FILTERS)}; only shuffle and fletcher32 are allowed."
        )
    declared = dataset.size * dtype.itemsize
    if dataset.id.get_storage_size() < declared:
        raise StyleDamaged(f"{where} declares {declared} bytes and stores {dataset.id.get_storage_size()}.")
    return np.asarray(dataset[()])


def write_attribute(target: Any, key: str, value: Any) -> None:
    """Write an attribute; text becomes fixed-length UTF-8, because readers refuse variable-length strings."""
    if isinstance(value, str):
        encoded = value.encode()
        target.attrs.create(key, encoded, dtype=h5py.string_dtype("utf-8", max(1, len(encoded))))
    elif isinstance(value, list):
        if value:
            texts = [item.encode() for item in value]
            target.attrs.create(key, texts, dtype=h5py.string_dtype("utf-8", max(map(len, texts))))
    elif isinstance(value, int):
        target.attrs.create(key, np.int64(value))
    else:
        target.attrs.create(key, np.float64(value))
