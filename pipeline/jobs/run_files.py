"""The files in which the runs of an output folder say that they work, and how far they are."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.errors import printable
from stylebank.processes import Owner

FOLDER_NAME = ".stylebank-runs"
LAST_NAME = "last.json"
RUN, LEASE = ".run", ".lease"
#: Seconds after which a run of another machine that does not renew its file counts as ended.
EXPIRE_SECONDS = 180.0


@dataclass(frozen=True)
class RunInfo:
    """A run that writes into an output folder.

    Attributes
    ----------
    token : str
        Name of the run.
    host, pid
        Machine and process.
    started, renewed : float
        Seconds since 1970; `renewed` by the clock of the file server.
    ended : float or None
        Seconds since 1970; None for a run that works, or was killed.
    command : {"apply", "compact"}
    alive : bool
        Whether the run works: its process is there, or on another machine it renews its file.
    counts : dict of str to int
        Pictures by status, and ``total``.
    """

    token: str
    host: str
    pid: int
    started: float
    renewed: float
    ended: float | None
    command: str
    alive: bool
    counts: dict[str, int]

    def __str__(self) -> str:
        """Return process, host and start."""
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.started))
        return f"process {self.pid} on {printable(self.host)[:100]}, since {since}"


def read_runs(folder: Path) -> list[RunInfo]:
    """Return the runs of an output folder that work or were killed, oldest first."""
    runs = folder / FOLDER_NAME
    try:
        paths = [path for path in runs.iterdir() if path.suffix == RUN]
    except OSError:
        return []
    now = server_time(runs) if paths else 0.0
    infos = (_info(path, now) for path in paths)
    return sorted((info for info in infos if info is not None), key=lambda info: info.started)


def last_run(folder: Path) -> RunInfo | None:
    """Return the last run of an output folder, if it ended early."""
    return _info(folder / FOLDER_NAME / LAST_NAME, 0.0)


def remove_dead(folder: Path) -> None:
    """Remove the files of runs that were killed."""
    dead = {info.token for info in read_runs(folder) if not info.alive}
    runs = folder / FOLDER_NAME
    with contextlib.suppress(OSError):
        for path in list(runs.iterdir()) if dead else ():
            if path.stem in dead or read_json(path).get("run") in dead:
                path.unlink(missing_ok=True)


def server_time(path: Path) -> float:
    """Touch a file or folder, and return its time: clocks of machines differ."""
    try:
        os.utime(path)
        return path.stat().st_mtime
    except OSError:
        return time.time()


def read_json(path: Path) -> Mapping[str, Any]:
    """Return the object in a file; an empty one if it holds none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _info(path: Path, now: float) -> RunInfo | None:
    try:
        renewed = path.stat().st_mtime
    except OSError:
        return None
    content = read_json(path)
    owner = Owner.parse(json.dumps(content.get("owner")))
    ended = _number(content.get("ended"))
    alive = owner.alive() if owner is not None else None
    if alive is None:
        alive = now - renewed < EXPIRE_SECONDS
    counts = content.get("counts")
    return RunInfo(
        token=path.stem,
        host=owner.host if owner is not None else "an unknown machine",
        pid=owner.pid if owner is not None else 0,
        started=_number(content.get("started")) or renewed,
        renewed=renewed,
        ended=ended,
        command=str(content.get("command", "apply")),
        alive=alive and ended is None,
        counts={str(key): n for key, n in counts.items() if type(n) is int} if isinstance(counts, dict) else {},
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
