"""What the modules of this folder share: results, banks, and work in child processes that may die."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import select
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stylebank.bank import Bank, library
from stylebank.errors import StylebankError
from stylebank.files import TEMPORARY_PREFIX
from tests.faults import engine
from tests.styles import difference

#: Styles in every bank before something happens to it, with their seeds.
OLD = {"poppies": 1, "wave": 2}


@dataclasses.dataclass
class Result:
    """Result of one fault.

    Attributes
    ----------
    count : int
        Number of trials.
    findings : list of str
        Broken promises; none if all is well.
    tallies : Counter
        How often what happened.
    """

    count: int = 0
    findings: list[str] = dataclasses.field(default_factory=list)
    tallies: Counter[str] = dataclasses.field(default_factory=Counter)

    def trial(self, kind: str, findings: list[str]) -> None:
        """Add a trial with what happened in it."""
        self.count += 1
        self.tallies[kind] += 1
        self.findings += [f"trial {self.count} ({kind}): {finding}" for finding in findings]


Fault = Callable[[int, int, Path], Result]


# child processes


@dataclasses.dataclass
class Ended:
    """How a child ended: its value, or the signal or reason."""

    value: Any = None
    died: str = ""


def start(work: Callable[[], Any]) -> tuple[int, int]:
    """Fork a child that runs `work`; return its process number, and the end of a pipe with its value as JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            value = {"value": work()}
        except BaseException as error:
            value = {"raised": f"{type(error).__name__}: {error}"}
        with os.fdopen(writing, "w") as pipe:
            json.dump(value, pipe)
    finally:
        os._exit(0)


def finish(child: int, reading: int, seconds: float = 120) -> Ended:
    """Wait for a child and return its value; kill it if it takes longer."""
    text, end = b"", time.monotonic() + seconds
    with os.fdopen(reading, "rb") as pipe:
        while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
            part = os.read(pipe.fileno(), 1 << 16)
            if not part:
                break
            text += part
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ended(died=f"no end after {seconds:g} s")
    status = os.waitpid(child, 0)[1]
    if not text:
        return Ended(died=f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {status}")
    value = json.loads(text)
    return Ended(value.get("value"), value.get("raised", ""))


def limit_memory(size: int = 2 << 30) -> None:
    """Limit this process to so many bytes of address space beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def in_child(work: Callable[[], Any], seconds: float = 120) -> Ended:
    """Run `work` in a fork."""
    return finish(*start(work), seconds)


def command(bank: Path, *arguments: object, before: Callable[[], None] = lambda: None) -> engine.Outcome:
    """Run the command line in a fork, after `before`; a child that dies has exit code 99."""

    def work() -> Any:
        before()
        return dataclasses.asdict(engine.command(bank, *arguments))

    ended = in_child(work)
    return engine.Outcome(**ended.value) if ended.value else engine.Outcome(99, "", f"died: {ended.died}")


# banks


def prepared(folder: Path) -> Bank:
    """Make a bank of the `OLD` styles."""
    bank = Bank(folder)
    for name, seed in OLD.items():
        style = engine.measured(seed)
        bank.add(dataclasses.replace(style, header=dataclasses.replace(style.header, name=name)))
    return bank


@contextmanager
def copied(bank: Bank, folder: Path) -> Iterator[Bank]:
    """Copy a bank for one trial."""
    shutil.copytree(bank.folder, folder)
    try:
        yield Bank(folder)
    finally:
        shutil.rmtree(folder)


def contents(bank: Bank) -> dict[str, bytes]:
    """Return the bytes of all style files, by file name."""
    return {path.name: path.read_bytes() for path in bank.paths()}


def stray(folder: Path) -> list[str]:
    """Return the temporary files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(f"{TEMPORARY_PREFIX}*"))


def not_as_added(bank: Bank, name: str, seed: int) -> str:
    """Return what differs between a style of the bank and the painting of this seed; empty if nothing does."""
    try:
        style = bank.get(name)
    except StylebankError as error:
        return str(error)
    expected = engine.measured(seed)
    return difference(style, dataclasses.replace(expected, header=style.header))


def harm(bank: Bank, before: dict[str, bytes], added: dict[str, int]) -> list[str]:
    """Return what a fault has broken in a bank: all earlier styles are as `before`, one of `added` whole or absent."""
    found = []
    headers, errors = bank.headers()
    found += [f"damaged: {error}" for error in errors]
    now = contents(bank)
    found += [f"{file} was touched" for file in before if now.get(file) != before[file]]
    names = {header.name for header in headers}
    if not names <= {*OLD, *added}:
        found.append(f"holds {sorted(names)}")
    for name in names & added.keys():
        if different := not_as_added(bank, name, added[name]):
            found.append(f"{name}: {different}")
    found += [f"verify: {check.file.name}: {check.reason}" for check in library.verify(bank) if not check.whole]
    return found


def harm_to_next(bank: Bank, folder: Path) -> list[str]:
    """Let the next writer have its turn; return what is wrong afterwards."""
    names = set(bank.names())
    outcome = command(bank.folder, "add", engine.painting(folder, 99), "--name", "next")
    found = [] if outcome.code == 0 else [f"the next add ends with {outcome.code}: {outcome.err}"]
    if set(bank.names()) != names | {"next"}:
        found.append("the next add changed other styles")
    if left := stray(bank.folder):
        found.append(f"left {left}")
    return found
