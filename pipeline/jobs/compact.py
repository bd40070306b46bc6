"""Shortening a record: the last line of each picture, and the losses in their own file."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import BankBusy, UsageError, printable
from stylebank.files import replace_file

from .leases import joined
from .record import FILE_NAME, Entry, Record, decode, losses_line
from .record_index import RecordIndex
from .resume import digest_regular, file_stat
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

    Of each picture the last line stays, and the one of the file that is there; of one that failed, the failure.
    Lines of skipped pictures, torn lines and lines of pictures that were replaced go. Losses that older versions
    wrote into the record move to ``stylebank.losses.jsonl``. Both files are replaced atomically.

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
    if not folder.is_dir():
        raise UsageError(f"{printable(folder)}: no such folder. Check the path, and whether its disk is mounted.")
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
        lines = sum(1 for _line in record.iter_lines())
        kept = _kept_lines(record)
        # the losses first: a kill between the two leaves lines that have them twice
        _rewrite(record.losses_path, _kept_losses(record, kept))
        _rewrite(record.path, _kept_entries(record, kept))
        return Compaction(record.path, lines, len(kept), before, record.path.stat().st_size)


def _kept_lines(record: Record) -> dict[int, str | None]:
    """Return the numbers of the lines that stay, with the digest of the output of each."""
    index = RecordIndex(record, numbered=True)
    entries = [
        entry for output, entries in index.outputs().items() for entry in _of_file(record.folder, output, entries)
    ]
    entries += index.failures()
    return {index.line_number(entry): entry.output_sha256 for entry in entries}


def _of_file(folder: Path, output: str, entries: Sequence[Entry]) -> list[Entry]:
    """Return the last entry of an output, and before it the one of the file that is there.

    A line is written before its picture replaces another one, so a killed run leaves the line of a picture that
    never came.
    """
    last = entries[-1]
    distinct = {entry.output_sha256 for entry in entries}
    if len(distinct) == 1:
        return [last]
    status = file_stat(folder / output)
    for entry in reversed(entries):
        if entry.output_stat is not None and entry.output_stat == status:
            return [last] if entry is last else [entry, last]
    digest = digest_regular(folder / output)
    matching = [entry for entry in entries[:-1] if digest is not None and entry.output_sha256 == digest]
    return [last] if digest == last.output_sha256 else [*matching[-1:], last]


def _kept_entries(record: Record, kept: Mapping[int, str | None]) -> Iterator[str]:
    for number, line in enumerate(record.iter_lines()):
        entry = decode(line) if number in kept else None
        if entry is not None:
            yield entry.json(losses=False)


def _kept_losses(record: Record, kept: Mapping[int, str | None]) -> Iterator[str]:
    """Yield the losses of the lines that stay, each once."""
    wanted = {digest for digest in kept.values() if digest is not None}
    for digest, losses in record.iter_losses():
        if digest in wanted:
            wanted.discard(digest)
            yield losses_line(digest, losses)
    for number, line in enumerate(record.iter_lines()):
        entry = decode(line) if number in kept and b'"losses"' in line else None
        if entry is not None and entry.losses and entry.output_sha256 in wanted:
            wanted.discard(entry.output_sha256)
            yield losses_line(entry.output_sha256, entry.losses)


def _rewrite(path: Path, lines: Iterator[str]) -> None:
    """Replace a file, or what a link leads to, and keep its rights."""
    target = path.resolve()
    first = next(lines, None)
    if first is None and not target.exists():
        return

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{line}\n" for line in itertools.chain([] if first is None else [first], lines))
        if target.exists():
            status = target.stat()
            with contextlib.suppress(OSError):  # of another user's group
                os.chown(temporary, -1, status.st_gid)
            temporary.chmod(stat.S_IMODE(status.st_mode))

    replace_file(target, write)
