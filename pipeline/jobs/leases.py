"""Leases of pictures: of all runs that write into one folder, one at a time works on a picture.

Several machines can share the pictures of a folder on a network disk, where locks of files are often missing or hold
for one machine alone. A lease is a file that is created exclusively, which network file systems do atomically. Each
run keeps one more file and renews its time while it lives. The leases of a run that has ended are void.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import OutputRefused, printable
from stylebank.files import describe_os_error, make_folder
from stylebank.processes import Owner

from .run_files import FOLDER_NAME, LAST_NAME, LEASE, RUN, RunInfo, read_json, read_runs, server_time

#: Seconds between two renewals, and shortest time between two writings of the counts.
RENEW_SECONDS, COUNT_SECONDS = 20.0, 1.0
#: Seconds after which a lease without a readable owner is void: its run ended while it wrote it.
_UNREADABLE_SECONDS = 60.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class Claim:
    """Outcome of `FolderRuns.claim`.

    Attributes
    ----------
    granted : bool
    holder : RunInfo or None
        Run that has the lease, if it is not granted.
    same_work : bool
        Whether the holder computes the same picture.
    """

    granted: bool
    holder: RunInfo | None = None
    same_work: bool = False


class FolderRuns:
    """A run among all runs of an output folder, and its leases.

    Parameters
    ----------
    folder
        Output folder; `join` creates it.
    command : {"apply", "compact"}
        What the run does.

    Attributes
    ----------
    counts : dict of str to int
        Pictures by status, and ``total``, for ``stylebank status``.
    """

    def __init__(self, folder: Path, command: str = "apply") -> None:
        self.folder = folder
        self.counts: dict[str, int] = {}
        self._owner = Owner.this_process()
        self._started = time.time()
        self._command = command
        self._runs = folder / FOLDER_NAME
        self._path = self._runs / f"{self._owner.token}{RUN}"
        self._held: set[Path] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._written_at = 0.0
        self._renewer = threading.Thread(target=self._renew, name="stylebank-lease", daemon=True)

    def join(self) -> None:
        """Register this run.

        Raises
        ------
        OutputRefused
            If the folder cannot be written to.
        """
        make_folder(self._runs)
        try:
            self._path.write_text(self._text(), "utf-8")
        except OSError as error:
            raise OutputRefused(f"{printable(self._path)}: {describe_os_error(error)}") from error
        self._renewer.start()

    def count(self, **counts: int) -> None:
        """Add to the counts, and write them if they have not been written for a while."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number
        if time.monotonic() - self._written_at > COUNT_SECONDS:
            self._write()

    def others(self) -> list[RunInfo]:
        """Return the other runs that are alive, oldest first."""
        return [info for info in read_runs(self.folder) if info.alive and info.token != self._owner.token]

    def claim(self, output: Path, work: str) -> Claim:
        """Take the lease of an output.

        Parameters
        ----------
        output
        work
            Text that is equal for runs that compute the same picture.

        Raises
        ------
        OutputRefused
            If the lease cannot be written.
        """
        path = self._lease(output)
        for _attempt in range(_ATTEMPTS):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                claim = self._held_by_other(path, work)
                if claim is not None:
                    return claim
                self._remove_void(path)
                continue
            except OSError as error:
                raise OutputRefused(f"{printable(path)}: {describe_os_error(error)}") from error
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(json.dumps({"run": self._owner.token, "work": work, "output": output.name}))
            except OSError as error:
                with contextlib.suppress(OSError):
                    path.unlink()
                raise OutputRefused(f"{printable(path)}: {describe_os_error(error)}") from error
            with self._lock:
                self._held.add(path)
            return Claim(True)
        return self._held_by_other(path, work) or Claim(False)

    def holds(self, output: Path) -> bool:
        """Return whether this run still has the lease; another run takes it over from one that sleeps too long."""
        path = self._lease(output)
        return path in self._held and self._is_own(path)

    def release(self, output: Path) -> None:
        """Give the lease of an output back, if this run has it."""
        if not self._held:
            return
        path = self._lease(output)
        with self._lock:
            held = path in self._held
            self._held.discard(path)
        if held and self._is_own(path):
            with contextlib.suppress(OSError):
                path.unlink()

    def leave(self) -> None:
        """Give all leases back and remove this run's file; the counts of one that ends early stay in `LAST_NAME`."""
        self._stop.set()
        if self._renewer.ident is not None:
            self._renewer.join()
        for path in list(self._held):
            if self._is_own(path):  # not one that another run has taken over
                with contextlib.suppress(OSError):
                    path.unlink()
        self._held.clear()
        with contextlib.suppress(OSError):
            if self.counts.get("total", 0) > sum(n for status, n in self.counts.items() if status != "total"):
                self._path.write_text(self._text(ended=time.time()), "utf-8")
                self._path.replace(self._runs / LAST_NAME)
            else:
                self._path.unlink()
                if self._command == "apply":
                    (self._runs / LAST_NAME).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # if nothing else is in it
            self._runs.rmdir()

    def _lease(self, output: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.relpath(output, self.folder))).hexdigest()[:32]
        return self._runs / f"{name}{LEASE}"

    def _is_own(self, path: Path) -> bool:
        return read_json(path).get("run") == self._owner.token

    def _held_by_other(self, path: Path, work: str) -> Claim | None:
        """Return who has a lease; None if it is void."""
        content = read_json(path)
        if "run" not in content:  # torn, or between creation and writing
            with contextlib.suppress(OSError):
                if self.others() and server_time(self._path) - path.stat().st_mtime < _UNREADABLE_SECONDS:
                    return Claim(False)
            return None
        holder = next((info for info in read_runs(self.folder) if info.token == content["run"]), None)
        if holder is None or not holder.alive:
            return None
        return Claim(False, holder, content.get("work") == work)

    def _remove_void(self, path: Path) -> None:
        """Remove a void lease. Of two runs that do so at once, none removes the new lease of the other."""
        aside = path.with_suffix(f".{self._owner.token}")
        try:
            path.rename(aside)
            if self._held_by_other(aside, "") is not None and not path.exists():
                os.link(aside, path)
            aside.unlink()
        except OSError:  # another run was first
            return

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        aside = self._path.with_suffix(f".{threading.get_ident()}")
        with contextlib.suppress(OSError):  # a disk that is away for a moment
            aside.write_text(self._text(), "utf-8")
            aside.replace(self._path)

    def _text(self, ended: float | None = None) -> str:
        content = {"owner": vars(self._owner), "started": self._started, "command": self._command}
        return json.dumps({**content, "counts": dict(self.counts), **({} if ended is None else {"ended": ended})})


@contextlib.contextmanager
def joined(folder: Path, command: str = "apply") -> Iterator[FolderRuns]:
    """Register a run in a folder for the time of a block."""
    runs = FolderRuns(folder, command)
    runs.join()
    try:
        yield runs
    finally:
        runs.leave()
