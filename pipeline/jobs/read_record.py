"""The records of a folder and of those below it, as entries or as a table."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from stylebank.frames import load_pandas

from .compact import find_records
from .record import FIELDS, Entry, Record

if TYPE_CHECKING:
    import pandas

#: Fields that are dictionaries; each of their keys is a column.
_NESTED = ("settings", "timings", "libraries")


@overload
def read_record(
    folder: str | os.PathLike[str], *, losses: bool = False, as_frame: Literal[False] = False
) -> list[Entry]: ...


@overload
def read_record(
    folder: str | os.PathLike[str], *, losses: bool = False, as_frame: Literal[True]
) -> pandas.DataFrame: ...


def read_record(
    folder: str | os.PathLike[str], *, losses: bool = False, as_frame: bool = False
) -> list[Entry] | pandas.DataFrame:
    """Read the records in an output folder and in those below it.

    Parameters
    ----------
    folder
        Output folder of `apply` or `run_jobs`.
    losses
        Whether to read the loss after each iteration, which stands in a file of its own.
    as_frame
        Return a table. It needs pandas.

    Returns
    -------
    list of Entry, or pandas.DataFrame
        All lines, folder by folder, oldest first. An output is relative to `folder`. In a table each setting, stage
        and library has its own column, such as ``settings.size`` and ``timings.compute``.

    Raises
    ------
    UsageError
        If there is no record, or `as_frame` is set and pandas is not installed.
    OutputRefused
        If a record cannot be read.
    """
    pandas = load_pandas() if as_frame else None
    folder = Path(folder)
    entries = []
    for record in sorted(find_records(folder), key=lambda path: path.parent):
        below = record.parent.relative_to(folder)
        for entry in Record(record.parent).entries(losses=losses):
            output = os.path.normpath(below / entry.output) if entry.output else entry.output
            entries.append(dataclasses.replace(entry, output=output, losses=entry.losses if losses else None))
    if pandas is None:
        return entries
    fields = [field for field in FIELDS if losses or field != "losses"]
    return pandas.DataFrame([_row(entry, fields) for entry in entries], columns=None if entries else fields)


def _row(entry: Entry, fields: list[str]) -> dict[str, Any]:
    """Return the columns of an entry."""
    row: dict[str, Any] = {}
    for field in fields:
        value = getattr(entry, field)
        if field in _NESTED:
            row |= {f"{field}.{key}": each for key, each in (value or {}).items()}
        else:
            row[field] = value
    return row
