"""Identity of a process, so that another one can tell whether it still runs."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """Process that holds a lock or a lease.

    Attributes
    ----------
    host : str
    machine : str
        What two processes share if each can see the other's number, as `machine` returns it.
    pid : int
    started : str
        Start time, as `start_of` returns it: numbers of processes are used again.
    token : str
        Random text, different for every owner.
    """

    host: str
    machine: str
    pid: int
    started: str
    token: str

    @staticmethod
    def this_process() -> Owner:
        """Return a new owner of this process."""
        return Owner(socket.gethostname(), machine(), os.getpid(), start_of(os.getpid()), secrets.token_hex(8))

    @staticmethod
    def parse(data: bytes | str) -> Owner | None:
        """Return the owner in JSON, as `to_json` writes it; None if there is none."""
        try:
            owner = Owner(**json.loads(data))
        except (ValueError, TypeError, RecursionError):
            return None
        texts = (owner.host, owner.machine, owner.started, owner.token)
        valid = all(isinstance(text, str) for text in texts) and type(owner.pid) is int and 0 < owner.pid < 1 << 31
        return owner if valid else None

    def to_json(self) -> str:
        """Return the owner as JSON."""
        return json.dumps(vars(self))

    def alive(self) -> bool | None:
        """Return whether the process runs; None if that cannot be seen from here."""
        if os.name == "nt" or self.machine != machine():  # on Windows, os.kill ends the process
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # of another user
            pass
        return self.started == start_of(self.pid)


def machine() -> str:
    """Return host, boot and namespace of the process numbers."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("utf-8", "replace").strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def start_of(pid: int) -> str:
    """Return when a process began, in the kernel's ticks; empty if the system does not show it, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if not fields or fields[0] in {"Z", "X"} else fields[19]
