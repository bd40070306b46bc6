"""The record: ``stylebank.jsonl`` in an output folder, one line a subject and run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.errors import OutputRefused, printable
from stylebank.files import explain

FILE_NAME = "stylebank.jsonl"


@dataclass(frozen=True)
class Entry:
    """What became of one subject.

    Attributes
    ----------
    output
        Relative to the record's folder.
    status : {"done", "failed", "skipped"}
    start_loss, final_loss, steps, seconds
        Of the synthesis; None where there was none.
    """

    subject: str
    subject_sha256: str | None
    style: str
    style_sha256: str
    settings: dict[str, Any]
    output: str
    output_sha256: str | None
    width: int | None
    height: int | None
    status: str
    error: str | None
    start_loss: float | None
    final_loss: float | None
    steps: int | None
    seconds: float | None
    backend: str
    device: str
    precision: str
    version: str

    def json(self) -> str:
        """Return the entry as one line of JSON, in ASCII."""
        return json.dumps(dataclasses.asdict(self))

    def same_work(self, other: Entry) -> bool:
        """Tell whether both make the same picture: subject, style, settings and algorithm."""
        keys = ("subject_sha256", "style_sha256", "settings", "output")
        return all(getattr(self, key) == getattr(other, key) for key in keys)


class Record:
    """The record of an output folder.

    Parameters
    ----------
    folder
        Where the outputs stand; it must exist before `append`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def entries(self) -> list[Entry]:
        """Return every whole entry in order; a torn or foreign line is passed over."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputRefused(f"{printable(self.path)}: {explain(error)}") from error
        entries = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                entry = Entry(**json.loads(line))
                if isinstance(entry.output, str) and isinstance(entry.style, str):
                    entries.append(entry)
        return entries

    def append(self, entry: Entry) -> None:
        """Add an entry and flush it to the disk."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                line = f"{entry.json()}\n".encode()
                if not self._ends_whole(descriptor):
                    line = b"\n" + line
                while line:
                    line = line[os.write(descriptor, line) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutputRefused(f"{printable(self.path)}: {explain(error)}") from error

    @staticmethod
    def _ends_whole(descriptor: int) -> bool:
        size = os.fstat(descriptor).st_size
        return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
