"""Ways to write a file that lose data: each must be caught by a check that the project's way passes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stylebank import files
from stylebank.bank import Bank
from tests.faults import engine, harness
from tests.faults.harness import Result

NEW, SEED = "new", 7
Replace = Callable[..., None]
Check = Callable[[Bank], list[str]]


def run(count: int, seed: int, folder: Path) -> Result:
    """Write with each mutant, and without one; only a mutant may fail its check."""
    result = Result()
    bank = harness.prepared(folder / "bank")
    engine.measured(SEED)
    for number, (name, (mutate, check)) in enumerate(list(MUTANTS.items())[:count]):
        for mutated in (False, True):
            with harness.copied(bank, folder / f"{number} {mutated}") as copy:
                ended = harness.in_child(partial(_checked, check, copy, mutate if mutated else None))
            if mutated:
                result.trial(f"{name} caught", [] if ended.value else [f"not caught: {ended}"])
            elif ended.died or ended.value:
                result.findings.append(f"without a mutant, the check for {name!r} fails: {ended}")
    return result


def _checked(check: Check, bank: Bank, mutate: Callable[[], None] | None) -> list[str]:
    if mutate is not None:
        mutate()
    return check(bank)


def _add(bank: Bank) -> None:
    style = engine.measured(SEED)
    bank.add(dataclasses.replace(style, header=dataclasses.replace(style.header, name=NEW)))


def _harm(bank: Bank, before: dict[str, bytes]) -> list[str]:
    return harness.harm(bank, before, {NEW: SEED})


# checks


def killed_in_a_write(bank: Bank) -> list[str]:
    """Kill a writer when half of the file is on the disk."""
    before = harness.contents(bank)
    size = max(map(len, before.values()))

    def write() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        _add(bank)

    ended = harness.in_child(write)
    found = [] if ended.died == f"signal {int(signal.SIGXFSZ)}" else [f"not killed: {ended}"]
    return found + _harm(bank, before)


def bits_change_on_the_way(bank: Bank) -> list[str]:
    """Write through a disk that changes a byte of every file."""
    before = harness.contents(bank)
    write_bytes = Path.write_bytes

    def lying(path: Path, data: Any) -> int:
        changed = bytearray(data)
        changed[len(changed) // 2] ^= 0xFF
        return write_bytes(path, bytes(changed))

    Path.write_bytes = lying  # type: ignore
    with contextlib.suppress(Exception):  # however it ends: what is in the bank counts
        _add(bank)
    Path.write_bytes = write_bytes  # type: ignore[method-assign]
    return _harm(bank, before)


class Disk:
    """A folder on a disk that keeps only what was flushed, as after a power cut.

    A file has the bytes of its last flush. The folder has the entries of its last flush, or all those of the moment,
    as the file system pleases.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fsync = os.fsync
        self.entries = self._now()
        self.flushed = {path.stat().st_ino: path.read_bytes() for path in folder.iterdir()}
        self.states: list[dict[str, bytes]] = []
        os.fsync = self.fsync  # type: ignore[assignment]
        sys.addaudithook(self._audit)
        self.recording = True

    def _now(self) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in self.folder.iterdir()}

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.recording and event in {"os.rename", "os.remove"}:
            self.cut()

    def fsync(self, descriptor: int) -> None:
        """Flush a file or the folder."""
        if self._fsync(descriptor):  # type: ignore[func-returns-value] # a mutant's leaves it out
            return
        status = os.fstat(descriptor)
        if status.st_ino == self.folder.stat().st_ino:
            self.entries = self._now()
        else:
            self.flushed[status.st_ino] = next(
                (path.read_bytes() for path in self.folder.iterdir() if path.stat().st_ino == status.st_ino), b""
            )
        self.cut()

    def cut(self) -> None:
        """Note what a power cut would leave now."""
        self.recording = False
        for entries in (self.entries, self._now()):
            self.states.append({name: self.flushed.get(inode, b"") for name, inode in entries.items()})
        self.recording = True


def power_cut(bank: Bank) -> list[str]:
    """Cut the power at every flush and rename of a writer, and after its success."""
    before = harness.contents(bank)
    disk = Disk(bank.folder)
    _add(bank)
    disk.recording = False
    at_the_end = len(disk.states)
    disk.cut()
    disk.recording = False
    found = []
    for number, state in enumerate(disk.states):
        folder = bank.folder.with_name(f"{bank.folder.name}, cut {number}")
        folder.mkdir()
        for name, data in state.items():
            (folder / name).write_bytes(data)
        after = Bank(folder)
        found += [f"cut {number}: {each}" for each in _harm(after, before)]
        if number >= at_the_end and NEW not in after.names():
            found.append(f"cut {number}: the style is lost after success")
    return found


# mutants


def _everywhere(name: str, mutant: Any) -> None:
    """Put a function in the place of one of `files`, in every module that has it."""
    original = getattr(files, name)
    for path, module in list(sys.modules.items()):
        if path.startswith(("stylebank", "pipeline")) and vars(module).get(name) is original:
            setattr(module, name, mutant)


def _replacing(replace: Replace) -> Callable[[], None]:
    return lambda: _everywhere("replace_file", replace)


def _in_place(target: Path, write: Callable[[Path], None], check: Any = None, **_options: Any) -> None:
    write(target)
    files.fsync(target)
    files.fsync(target.parent)


def _rename_first(target: Path, write: Callable[[Path], None], check: Any = None, **_options: Any) -> None:
    temporary = target.with_name(f"{files.TEMPORARY_PREFIX}mutant")
    temporary.touch()
    temporary.replace(target)
    _in_place(target, write)


_replace_file = files.replace_file


def _unchecked(target: Path, write: Callable[[Path], None], check: Any = None, **_options: Any) -> None:
    _replace_file(target, write)


def _unflushed(*kinds: Callable[[int], bool]) -> Callable[[], None]:
    """Leave out each call of fsync for these kinds of files; such a call returns True."""
    fsync = os.fsync

    def left_out(descriptor: int) -> bool:
        if any(kind(os.fstat(descriptor).st_mode) for kind in kinds):
            return True
        return bool(fsync(descriptor))

    def mutate() -> None:
        os.fsync = left_out  # type: ignore[assignment]

    return mutate


MUTANTS: dict[str, tuple[Callable[[], None], Check]] = {
    "no fsync of the file": (_unflushed(stat.S_ISREG), power_cut),
    "no fsync of the folder": (_unflushed(stat.S_ISDIR), power_cut),
    "no fsync at all": (_unflushed(stat.S_ISREG, stat.S_ISDIR), power_cut),
    "rename before write": (_replacing(_rename_first), killed_in_a_write),
    "write in place": (_replacing(_in_place), killed_in_a_write),
    "no check": (_replacing(_unchecked), bits_change_on_the_way),
}
