"""The finished pictures of output folders, from records that are read once and shared by all runs."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stylebank.errors import OutputRefused, printable
from stylebank.files import describe_os_error

from .naming import STEPS_SUFFIX
from .record import Entry, Record, decode

_PRECISIONS = frozenset({"float32", "bfloat16"})


#: What planning does not read of a line.
_UNREAD = frozenset({"losses", "timings", "libraries"})
_TYPES = typing.get_type_hints(Entry) | {"settings": msgspec.Raw}  # settings repeat from line to line
_Line = msgspec.defstruct(
    "_Line",
    [
        (field.name, _TYPES[field.name], *(() if field.default is dataclasses.MISSING else (field.default,)))
        for field in dataclasses.fields(Entry)
        if field.name not in _UNREAD
    ],
)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Line)
_FIELDS = _Line.__struct_fields__
#: Texts that repeat from line to line, kept once.
_REPEATED = ("style", "style_sha256", "backend", "device", "version", "weights_sha256", "worker")


class RecordIndex:
    """The done and failed pictures of one record, without losses and timings.

    Parameters
    ----------
    record
        Read at once, as far as it exists.
    numbered
        Keep the number of each entry's line.
    """

    def __init__(self, record: Record, *, numbered: bool = False) -> None:
        self.record = record
        self._numbers: dict[int, int] | None = {} if numbered else None
        self._position = 0
        self._done: dict[str, list[Entry]] = {}
        self._failures: dict[str, Entry] = {}
        self._settings: dict[bytes, dict[str, Any] | None] = {}
        self._newest: dict[tuple[int, str, str], tuple[int, Entry]] = {}
        self._count = 0
        self.refresh()

    def refresh(self) -> None:
        """Read the lines that were appended since the last call.

        Raises
        ------
        OutputRefused
            If the record cannot be read.
        """
        try:
            with self.record.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._position:  # rewritten meanwhile
                    self._clear()
                file.seek(self._position)
                for number, line in enumerate(file):
                    entry = self._entry(line.rstrip(b"\r\n"))
                    if entry is None and not line.endswith(b"\n"):
                        return  # in the middle of being written
                    self._position += len(line)
                    if entry is not None:
                        if self._numbers is not None:
                            self._numbers[id(entry)] = number
                        self._add(entry)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise OutputRefused(f"{printable(self.record.path)}: {describe_os_error(error)}") from error

    def line_number(self, entry: Entry) -> int:
        """Return the number of an entry's line, from 0, of a numbered index."""
        return (self._numbers or {})[id(entry)]

    def _clear(self) -> None:
        self._position = 0
        for entries in (self._done, self._failures, self._newest):
            entries.clear()

    def done(self, output: str) -> list[Entry]:
        """Return the entries of finished pictures of this output, relative to the folder, oldest first."""
        return self._done.get(output, [])

    def outputs(self) -> Mapping[str, list[Entry]]:
        """Return the entries of finished pictures by output, relative to the folder."""
        return self._done

    @functools.cached_property
    def paths(self) -> Mapping[str, frozenset[str]]:
        """Styles of the finished pictures by path, with its folder resolved, as of the first use."""
        folder = os.fspath(self.record.folder)
        real_folder = functools.cache(os.path.realpath)
        styles: dict[str, set[str]] = {}
        for output, entries in self._done.items():
            for path in {output, *(entry.animation for entry in entries if entry.animation)}:
                head, name = os.path.split(os.path.join(folder, path))
                styles.setdefault(f"{real_folder(head)}{os.sep}{name}", set()).update(entry.style for entry in entries)
        return {path: _shared_set(frozenset(names)) for path, names in styles.items()}

    @functools.cached_property
    def step_folders(self) -> frozenset[str]:
        """Folders of the snapshots of the pictures in `paths`."""
        return frozenset(f"{os.path.splitext(path)[0]}{STEPS_SUFFIX}" for path in self.paths)  # noqa: PTH122

    def failures(self) -> list[Entry]:
        """Return the last entries of the outputs that failed and are not done since."""
        return list(self._failures.values())

    def failure(self, planned_output: str) -> Entry | None:
        """Return the last entry of an output, as `Entry.planned_output` names it, if it is a failure."""
        return self._failures.get(planned_output)

    def precision(self, backend: str, device: str, alike: Callable[[Entry], bool]) -> str | None:
        """Return the precision of the newest picture on a device whose settings are alike; None if there is none.

        Parameters
        ----------
        alike
            Called with one entry of each distinct settings.
        """
        entries = [pair for (_settings, *where), pair in self._newest.items() if where == [backend, device]]
        matches = [(number, entry.precision) for number, entry in entries if alike(entry)]
        return max(matches)[1] if matches else None

    def _add(self, entry: Entry) -> None:
        self._count += 1
        if entry.status == "failed":
            self._failures[entry.planned_output] = entry
            return
        self._failures.pop(entry.planned_output, None)
        if entry.status != "done":
            return
        self._done.setdefault(entry.output, []).append(entry)
        if entry.precision in _PRECISIONS:
            self._newest[id(entry.settings), entry.backend, entry.device] = self._count, entry

    def _entry(self, line: bytes) -> Entry | None:
        if not line:
            return None
        try:
            decoded = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # Python writes NaN, and half of a surrogate pair for a file name that is not UTF-8; msgspec reads neither
            entry = decode(line)
            return None if entry is None else self._shared(entry)
        raw = bytes(decoded.settings)
        if raw not in self._settings:
            self._settings[raw] = _settings(raw)
        settings = self._settings[raw]
        if settings is None:
            return None
        values = {name: getattr(decoded, name) for name in _FIELDS}
        for name in _REPEATED:
            if values[name] is not None:
                values[name] = sys.intern(values[name])
        return Entry(**{**values, "settings": settings})

    def _shared(self, entry: Entry) -> Entry:
        """Return a fully decoded entry without what planning does not read, its settings shared with others."""
        raw = json.dumps(entry.settings).encode()
        settings = self._settings.setdefault(raw, entry.settings)
        return Entry(**{**{name: getattr(entry, name) for name in _FIELDS}, "settings": settings or {}})


@functools.cache
def _shared_set(names: frozenset[str]) -> frozenset[str]:
    return names


def _settings(raw: bytes) -> dict[str, Any] | None:
    """Return decoded settings; None if they are no table."""
    try:
        settings = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


class Records:
    """The indexes of output folders, each record read once. One object serves all runs of a command."""

    def __init__(self) -> None:
        self._indexes: dict[str, RecordIndex] = {}

    def index(self, folder: Path) -> RecordIndex:
        """Return the index of a folder, which need not exist."""
        real = os.path.realpath(folder)
        if real not in self._indexes:
            self._indexes[real] = RecordIndex(Record(folder))
        return self._indexes[real]
