"""Changes to a bank, stopped at every operation on files, in a process that forks, kills, limits and audits.

It leaves one bank a trial, which the tests then look at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import random
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from stylebank import files
from stylebank.bank import Bank, transfer
from stylebank.bank import commit as commit_module
from stylebank.errors import StylebankError
from stylebank.storage import writer
from tests.styles import style

SMALL = ("pixels", "conv1_1")
OLD = {"poppies": 1, "wave": 2}
NEW_SEED = 3
Trial = dict[str, Any]
Harness = Callable[[str], list[Trial]]

#: What is done to a bank of `OLD`, and the names there may be afterwards: if nothing was done, part way, when all was.
ACTIONS: dict[str, tuple[Callable[[Bank], object], list[set[str]]]] = {
    "add": (
        lambda bank: bank.add(style("tide", NEW_SEED, layers=SMALL)),
        [{"poppies", "wave"}, {"poppies", "wave", "tide"}],
    ),
    "replace": (
        lambda bank: bank.add(style("wave", NEW_SEED, layers=SMALL), replace=True),
        [{"poppies", "wave"}],
    ),
    "remove": (
        lambda bank: bank.remove("wave"),
        [{"poppies", "wave"}, {"poppies"}],
    ),
    "rename": (
        lambda bank: bank.rename("wave", "ebb"),
        [{"poppies", "wave"}, {"poppies", "ebb"}],
    ),
    "import": (
        lambda bank: transfer.import_style(bank, gift()),
        [{"poppies", "wave"}, {"poppies", "wave", "tide"}],
    ),
}


@cache
def gift() -> Path:
    """A style file from elsewhere; made by the first run of an action, which nothing stops."""
    path = Path(tempfile.mkdtemp()) / "gift.stylebank.h5"
    path.write_bytes(writer.encode(style("tide", NEW_SEED, layers=SMALL)))
    return path


# the harness, in its own process


class FailFast(BaseException):
    """Nothing in the project expects it."""


class Operations:
    """Counts operations on files and ends the process, or the call, at one of them."""

    AUDITED = frozenset(
        {
            "fcntl.flock",
            "open",
            "os.chmod",
            "os.link",
            "os.listdir",
            "os.mkdir",
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.scandir",
            "os.symlink",
            "os.truncate",
        }
    )

    def __init__(self, folder: Path, stop: int, how: str, unsynced: str) -> None:
        self.folder, self.stop, self.how = str(folder), stop, how
        self.log: list[dict[str, Any]] = []
        self.fsync = os.fsync
        self.unsynced = unsynced
        os.fsync = self.synced
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in self.AUDITED or not (event == "fcntl.flock" or str(arguments[0]).startswith(self.folder)):
            return
        entry: dict[str, Any] = {"event": event, "path": str(arguments[0])}
        if event == "open":
            entry["writes"] = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event == "os.rename":
            found = Path(arguments[0]).stat()
            entry |= {"to": str(arguments[1]), "inode": found.st_ino, "size": found.st_size}
        self.happens(entry)

    def synced(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if self.unsynced == ("folder" if stat.S_ISDIR(found.st_mode) else "file") or self.unsynced == "both":
            return
        self.happens({"event": "fsync", "inode": found.st_ino, "size": found.st_size})
        self.fsync(descriptor)

    def happens(self, entry: dict[str, Any]) -> None:
        self.log.append(entry)
        if len(self.log) == self.stop:
            if self.how == "exit":
                os._exit(9)
            if self.how == "raise":
                raise FailFast
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def rename_before_write(
    target: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None
) -> None:
    temporary = target.parent / f"{files.TEMPORARY_PREFIX}mutant"
    temporary.touch()
    temporary.replace(target)
    write(target)
    files.fsync(target)
    files.fsync(target.parent)
    if check is not None:
        check(target)


def write_in_place(target: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None) -> None:
    write(target)
    files.fsync(target)
    files.fsync(target.parent)
    if check is not None:
        check(target)


MUTANTS = {"rename before write": rename_before_write, "write in place": write_in_place}


def in_child(work: Callable[[], Trial]) -> Trial:
    """Run `work` in a fork; its trial, or how the fork died."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            trial = work()
        except StylebankError as error:
            trial = {"ended": type(error).__name__, "message": str(error)}
        except BaseException as error:
            trial = {"ended": type(error).__name__, "message": repr(error), "unexpected": True}
        with os.fdopen(writing, "w") as pipe:
            json.dump(trial, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(text) if text else {"ended": f"status {status}"}


def copied_bank(base: str, trial: object) -> Path:
    folder = Path(base) / f"trial {trial}"
    shutil.copytree(Path(base) / "prepared", folder)
    return folder


def stopped(base: str, action: str, how: str, mutant: str = "", unsynced: str = "", last: int = 1000) -> None:
    """Do an action once to see its operations, then once for each of them up to `last`, stopped there."""
    if mutant:
        commit_module.replace_file = MUTANTS[mutant]
    act = ACTIONS[action][0]
    act(Bank(copied_bank(base, "warm")))

    def work(folder: Path, stop: int) -> Trial:
        operations = Operations(folder, stop, how, unsynced)
        try:
            act(Bank(folder))
        except FailFast:
            return {"ended": "FailFast", "log": operations.log}
        return {"ended": "done", "log": operations.log}

    for stop in range(last + 1):
        folder = copied_bank(base, stop)
        trial = in_child(lambda folder=folder, stop=stop: work(folder, stop))
        print(json.dumps({**trial, "folder": str(folder), "stop": stop}), flush=True)
        if stop and trial["ended"] == "done" and len(trial["log"]) < stop:
            return


def torn(base: str, action: str, limits: list[int], killed: bool, mutant: str = "") -> None:
    """Do an action where a file may have so many bytes; the one too many is an error, or the end."""
    if mutant:
        commit_module.replace_file = MUTANTS[mutant]
    act = ACTIONS[action][0]
    act(Bank(copied_bank(base, "warm")))

    def work(folder: Path, limit: int) -> Trial:
        if killed:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        act(Bank(folder))
        return {"ended": "done"}

    for limit in limits:
        folder = copied_bank(base, limit)
        trial = in_child(lambda folder=folder, limit=limit: work(folder, limit))
        print(json.dumps({**trial, "folder": str(folder), "limit": limit}), flush=True)


def killed(base: str, times: int, seed: int) -> None:
    """Add style after style to a bank, and be killed at some time within the first few."""
    chance = random.Random(seed)
    new = style("new", NEW_SEED, layers=("pixels", "conv3_1"))
    started = time.perf_counter()
    Bank(copied_bank(base, "warm")).add(new)
    span = 3 * (time.perf_counter() - started)
    for trial in range(times):
        folder = copied_bank(base, trial)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                for index in range(1000):
                    header = dataclasses.replace(new.header, name=f"new {index}")
                    Bank(folder).add(dataclasses.replace(new, header=header))
                    os.write(writing, b".")
            os._exit(1)
        os.close(writing)
        time.sleep(chance.uniform(0, span))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        with os.fdopen(reading, "rb") as pipe:
            finished = len(pipe.read())
        print(json.dumps({"ended": f"status {status}", "folder": str(folder), "finished": finished}), flush=True)


def serve() -> None:
    """Run every line of input in a fork; after what it prints comes how it ended."""
    for call in sys.stdin:
        child = os.fork()
        if not child:
            signal.alarm(300)
            try:
                eval(call)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(json.dumps({"status": os.waitpid(child, 0)[1]}), flush=True)
