"""Free memory of this machine, within the limits of its control groups."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from pathlib import Path

_NO_LIMIT = 1 << 60
_processes: contextvars.ContextVar[int] = contextvars.ContextVar("stylebank_processes", default=1)


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes available without swapping; None if the system does not report them.

    In a context of `shared_by`, they are divided by its number of processes.

    Parameters
    ----------
    root
        The folder that holds ``proc`` and ``sys``.
    """
    free = _free_bytes(root)
    return None if free is None else free // sharing_processes()


def sharing_processes() -> int:
    """Return the number of processes of the current context of `shared_by`; 1 outside."""
    return _processes.get()


def _free_bytes(root: Path) -> int | None:
    candidates = list(_cgroups_free(root))
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        lines = []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    kilobytes = fields.get("MemAvailable", "").split()
    if kilobytes:
        candidates.append(int(kilobytes[0]) * 1024)
    return min(candidates, default=None)


@contextlib.contextmanager
def shared_by(processes: int) -> Iterator[None]:
    """Share the free memory with other processes of this machine within the context.

    Parameters
    ----------
    processes
        Number of processes, this one included, that compute at the same time.
    """
    token = _processes.set(max(1, processes))
    try:
        yield
    finally:
        _processes.reset(token)


def _cgroups_free(root: Path) -> Iterator[int]:
    """Yield the free bytes below each memory limit of this process' control groups, of versions 1 and 2.

    Inactive file pages count as free.
    """
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, UnicodeError):
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            top, limit, usage, files = mount, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit, usage = mount / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            files = "total_inactive_file"
        else:
            continue
        # inside a container the path may be the host's, and only the top group is visible
        group = top / path.lstrip("/")
        for folder in (group, *group.parents) if ".." not in group.parts else (top,):
            try:
                limit_bytes = int((folder / limit).read_text("ascii"))
                used_bytes = int((folder / usage).read_text("ascii"))
                stat_lines = (folder / "memory.stat").read_text("ascii").splitlines()
            except (OSError, ValueError):  # no such group, or "max"
                continue
            reclaimable = dict(line.split(" ", 1) for line in stat_lines if " " in line).get(files, "0")
            if limit_bytes < _NO_LIMIT:
                yield max(0, limit_bytes - used_bytes + int(reclaimable))
