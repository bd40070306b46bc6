"""How far an output folder is: finished and failed pictures, and the runs that write into it."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.errors import UsageError, printable

from .compact import find_records
from .record import Entry, Record
from .record_index import RecordIndex
from .run_files import FOLDER_NAME, RunInfo, last_run, read_runs
from .summary import failure_reason


@dataclass(frozen=True)
class FolderStatus:
    """State of one output folder.

    Attributes
    ----------
    folder : Path
    done, failed : list of Entry
        Pictures of the record, but no proofs: finished ones that still exist, and failures after which nothing was
        done.
    missing : int
        Finished pictures whose file is gone.
    runs : list of RunInfo
        Runs that work or were killed.
    last : RunInfo or None
        Last run, if it ended before its last picture.
    """

    folder: Path
    done: list[Entry]
    failed: list[Entry]
    missing: int
    runs: list[RunInfo]
    last: RunInfo | None

    @property
    def reasons(self) -> Counter[str]:
        """Failed pictures by reason, without their names."""
        return Counter(map(failure_reason, self.failed))

    @property
    def known_runs(self) -> list[RunInfo]:
        """Runs that work, were killed or ended early, but those that compact the record."""
        return [run for run in (*self.runs, self.last) if run is not None and run.command == "apply"]

    @property
    def left(self) -> int | None:
        """Pictures that a known run has not reached, and that no other has finished since; None if no run is known."""
        lefts = [self._left_of(run) for run in self.known_runs if "total" in run.counts]
        return max(lefts, default=None)

    def _left_of(self, run: RunInfo) -> int:
        changed = (entry.output_stat[1] / 1e9 for entry in self.done if entry.output_stat is not None)
        done = max(run.counts.get("done", 0), sum(time >= run.started for time in changed))
        return max(0, run.counts["total"] - run.counts.get("skipped", 0) - run.counts.get("failed", 0) - done)

    @property
    def is_unfinished(self) -> bool:
        """Return whether pictures are left, and no run works on them."""
        return bool(self.left) and not any(run.alive for run in self.known_runs)

    def to_dict(self) -> dict[str, Any]:
        """Return the status as a dictionary for JSON."""
        return {
            "folder": os.fspath(self.folder),
            "done": len(self.done),
            "failed": len(self.failed),
            "missing": self.missing,
            "left": self.left,
            "failures": [
                {"subject": entry.subject, "style": entry.style, "error": entry.error} for entry in self.failed
            ],
            "runs": [_run_dict(run) for run in (*self.runs, self.last) if run is not None],
        }


def status(folder: str | os.PathLike[str]) -> list[FolderStatus]:
    """Return the state of an output folder and of those below it.

    Parameters
    ----------
    folder
        Output folder of ``apply`` or ``batch``, also while a run works.

    Returns
    -------
    list of FolderStatus
        One per folder with a record or a run.

    Raises
    ------
    UsageError
        If there is neither.
    OutputRefused
        If a record cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{printable(folder)}: no such folder. Check the path, and whether its disk is mounted.")
    folders = {path.parent for path in (folder / FOLDER_NAME, *folder.rglob(FOLDER_NAME)) if path.is_dir()}
    try:
        folders |= {record.parent for record in find_records(folder)}
    except UsageError:
        if not folders:
            raise
    return [_folder_status(each) for each in sorted(folders)]


def _folder_status(folder: Path) -> FolderStatus:
    index = RecordIndex(Record(folder))
    done = [entry for entry in (entries[-1] for entries in index.outputs().values()) if not is_proof(entry)]
    failed = [entry for entry in index.failures() if not is_proof(entry)]
    there = [entry for entry in done if (folder / entry.output).exists()]
    return FolderStatus(folder, there, failed, len(done) - len(there), read_runs(folder), last_run(folder))


def is_proof(entry: Entry) -> bool:
    """Return whether an entry is a proof, which is no finished picture."""
    return bool(entry.settings.get("proof"))


def state(run: RunInfo) -> str:
    """Return what a run does, or how it ended: ``working``, ``killed``, or ``ended early``."""
    return "working" if run.alive else "killed" if run.ended is None else "ended early"


def _run_dict(run: RunInfo) -> dict[str, Any]:
    def iso(seconds: float | None) -> str | None:
        return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    return {
        "state": state(run),
        "host": run.host,
        "pid": run.pid,
        "command": run.command,
        "started": iso(run.started),
        "renewed": iso(run.renewed),
        "ended": iso(run.ended),
        "counts": run.counts,
    }
