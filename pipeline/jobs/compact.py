"""Shortening a record: the last line of each picture, and the losses in their own file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import BankBusy, UsageError, printable
from stylebank.files import replace_file

from .leases import joined
from .record import FILE_NAME, Entry, Record, losses_line
from .run_files import remove_dead


@dataclass(frozen=True)
class Compaction:
    """Sizes of a record before and after `compact`.

    Attributes
    ----------
    record : Path
    lines_before, lines_after
    bytes_before, bytes_after
        Of the record alone, without the file of the losses.
    """

    record: Path
    lines_before: int
    lines_after: int
    bytes_before: int
    bytes_after: int


def compact(folder: str | os.PathLike[str]) -> list[Compaction]:
    """Shorten the records in a folder and below it.

    Of each picture the last line stays, and of one that failed the failure. Lines of skipped pictures, torn lines
    and lines of pictures that were replaced go. Losses that older versions wrote into the record move to
    ``stylebank.losses.jsonl``. Both files are replaced atomically.

    Parameters
    ----------
    folder
        Output folder of ``apply`` or ``batch``.

    Returns
    -------
    list of Compaction
        One per record.

    Raises
    ------
    UsageError
        If there is no record.
    BankBusy
        If a run writes into the folder.
    OutputRefused
        If a file cannot be written.
    """
    return [_compact(Record(record.parent)) for record in find_records(Path(folder))]


def find_records(folder: Path) -> list[Path]:
    """Return the records in a folder and below it.

    Raises
    ------
    UsageError
        If there is none.
    """
    records = sorted({path for path in (folder / FILE_NAME, *folder.rglob(FILE_NAME)) if path.exists()})
    if not records:
        raise UsageError(
            f"{printable(folder)}: has no record of pictures ({FILE_NAME}). "
            "Give the --output folder of 'stylebank apply' or 'stylebank batch'."
        )
    return records


def _compact(record: Record) -> Compaction:
    with joined(record.folder, "compact") as runs:
        others = runs.others()
        if others:
            raise BankBusy(
                f"{printable(record.folder)}: a run writes here ({others[0]}). Compact its record when it has ended."
            )
        remove_dead(record.folder)
        before = record.path.stat().st_size
        lines_before = len(record.lines())
        entries = shortened(record.entries())
        losses = "".join(f"{losses_line(entry)}\n" for entry in entries if entry.losses)
        text = "".join(f"{entry.json(losses=False)}\n" for entry in entries)
        # the losses first: a kill between the two leaves lines that have them twice
        if losses:
            replace_file(record.losses_path, lambda path: _write(path, losses))
        replace_file(record.path, lambda path: _write(path, text))
        return Compaction(record.path, lines_before, len(entries), before, len(text.encode()))


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def shortened(entries: list[Entry]) -> list[Entry]:
    """Return the last entry of each output that is done, and the failures after which nothing was done."""
    done: dict[str, Entry] = {}
    failures: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        key = (entry.subject, entry.style)
        if entry.status == "failed":
            failures[key] = entry
        elif entry.status == "done":
            failures.pop(key, None)
            done[entry.output] = entry
    kept = {id(entry) for entry in (*done.values(), *failures.values())}
    return [entry for entry in entries if id(entry) in kept]
