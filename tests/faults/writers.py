"""Four processes that add to one bank, and a holder of the lock that is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from stylebank.bank import Bank
from tests.faults import engine, harness
from tests.faults.harness import Result

WRITERS = 4
#: Seconds that a writer may wait for a lock whose holder is dead.
PATIENCE = 5


def run(count: int, seed: int, folder: Path) -> Result:
    """Add `count` styles, a quarter of them in each process; then kill a writer that holds the lock."""
    result = Result()
    bank = Bank(folder / "bank")
    share = max(1, count // WRITERS)
    pictures = {number: engine.painting(folder, 20 + (seed + number) % 200) for number in range(share)}
    for path in pictures.values():
        engine.measured(int(path.stem.split()[1]))

    def add(writer: int) -> list[int]:
        return [
            engine.command(bank.folder, "add", picture, "--name", f"writer {writer} {number}").code
            for number, picture in pictures.items()
        ]

    children = [harness.start(partial(add, writer)) for writer in range(WRITERS)]
    for child, pipe in children:
        ended = harness.finish(child, pipe, 600)
        if ended.value != [0] * share:
            result.findings.append(f"a writer ended with {ended}")
    headers, errors = bank.headers()
    result.findings += [f"damaged: {error}" for error in errors]
    listed = {header.name for header in headers}
    for writer in range(WRITERS):
        for number, path in pictures.items():
            name = f"writer {writer} {number}"
            found = [] if name in listed else ["lost"]
            if not found and (different := harness.not_as_added(bank, name, int(path.stem.split()[1]))):
                found.append(different)
            result.trial("style added", found)
    if left := harness.stray(bank.folder):
        result.findings.append(f"left {left}")
    result.trial("holder killed", _killed_holder(bank, folder))
    return result


def without_locks(count: int, seed: int, folder: Path) -> Result:
    """Do the same on a file system that has no locks, as some NFS and Lustre mounts."""

    def refuse(_descriptor: object, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with pytest.MonkeyPatch.context() as patch:  # the children inherit it
        patch.setattr(fcntl, "flock", refuse)
        return run(count, seed, folder)


def _killed_holder(bank: Bank, folder: Path) -> list[str]:
    reading, writing = os.pipe()
    first, second = (engine.painting(folder, seed) for seed in (7, 8))

    def hold() -> None:
        def never_flushed(descriptor: int) -> None:
            os.write(writing, b".")
            time.sleep(600)

        os.fsync = never_flushed  # type: ignore[assignment]
        engine.command(bank.folder, "add", first, "--name", "held")

    child, pipe = harness.start(hold)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    listed = set(bank.names())  # readers do not wait
    waiting = harness.start(lambda: engine.command(bank.folder, "add", second, "--name", "waits").code)
    time.sleep(0.5)
    found = ["a second writer did not wait"] if "waits" in bank.names() else []
    os.kill(child, signal.SIGKILL)
    harness.finish(child, pipe)
    started = time.monotonic()
    ended = harness.finish(*waiting)
    if ended.value != 0 or time.monotonic() - started > PATIENCE:
        found.append(f"a writer was blocked by the dead one: {ended}, {time.monotonic() - started:.1f} s")
    if set(bank.names()) != listed | {"waits"}:
        found.append(f"holds {sorted(bank.names())}")
    return found + harness.harm_to_next(bank, folder)
