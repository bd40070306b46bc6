"""A disk that is full, and files that may have so many bytes only."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylebank import images
from tests.faults import engine, harness
from tests.faults.harness import Result

SEED = 7
DISK_BYTES = 40 << 20
PICTURES = 4


@dataclass
class Shortage:
    """A lack of space in a folder.

    Attributes
    ----------
    folder : Path
    in_child : callable
        Function of a number of bytes; what it returns limits the child that runs the command.
    around : callable
        Function of a number of bytes; the context in which the command runs.
    shared : bool
        Whether all files together have so many bytes, not each of them.
    """

    folder: Path
    in_child: Callable[[int], Callable[[], None]]
    around: Callable[[int], AbstractContextManager[None]]
    shared: bool


def file_size(count: int, seed: int, folder: Path) -> Result:
    """Limit the size of each file, at `count` sizes below a style's and below an output's."""
    work = folder / "work"
    work.mkdir()

    def limited(size: int) -> Callable[[], None]:
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return _trials(count, folder, Shortage(work, limited, lambda size: nullcontext(), shared=False))


def full_disk(count: int, seed: int, folder: Path) -> Result:
    """Fill a disk of 40 MB but for some bytes, `count` times, where a disk in memory may be mounted."""
    work = folder / "disk"
    work.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(work)]
    if sys.platform != "linux" or subprocess.run(mounting, check=False, capture_output=True).returncode:
        return Result(tallies=Counter({"skipped, for a mount is not allowed": count}))

    @contextmanager
    def filled(free: int) -> Iterator[None]:
        block = os.statvfs(work).f_frsize
        filler = work / "filler"
        with filler.open("wb") as file:
            size = os.statvfs(work).f_bavail * block - free
            os.posix_fallocate(file.fileno(), 0, size // block * block)
        try:
            yield
        finally:
            filler.unlink()

    try:
        return _trials(count, folder, Shortage(work, lambda size: lambda: None, filled, shared=True))
    finally:
        subprocess.run(["umount", str(work)], check=False)


def _trials(count: int, folder: Path, shortage: Shortage) -> Result:
    """Add a style, and stylise pictures, with too few bytes; then again with enough."""
    result = Result()
    bank = harness.prepared(folder / "prepared")
    image = engine.painting(folder, SEED)
    engine.measured(SEED)
    subjects = _subjects(folder)
    old = harness.contents(bank)
    with harness.copied(bank, folder / "whole bank") as copy:
        harness.command(copy.folder, "add", image, "--name", "new")
        style_bytes = copy.path("new").stat().st_size
    whole = harness.command(bank.folder, *_apply(subjects, folder / "whole"))
    expected = _pictures(folder / "whole")
    if whole.code or len(expected) != PICTURES:
        return Result(findings=[f"apply fails with enough space: {whole}"])
    sizes = [len(data) for data in expected.values()]
    output_bytes = sum(sizes) if shortage.shared else max(sizes)
    for trial in range(count):
        with harness.copied(bank, shortage.folder / "bank") as copy:
            size = style_bytes * trial // count
            with shortage.around(size):
                outcome = harness.command(copy.folder, "add", image, "--name", "new", before=shortage.in_child(size))
            found = [*_refused(outcome), *harness.harm(copy, old, {})]
            result.trial("add", [f"{size} bytes: {each}" for each in found + harness.harm_to_next(copy, folder)])
            size = output_bytes * trial // count
            out = shortage.folder / "out"
            with shortage.around(size):
                outcome = harness.command(copy.folder, *_apply(subjects, out), before=shortage.in_child(size))
            found = [*_refused(outcome), *_not_among(_pictures(out), expected)]
            again = harness.command(copy.folder, *_apply(subjects, out))
            if again.code or _pictures(out) != expected or harness.stray(out):
                found.append(f"the next run: {again}, {sorted(_pictures(out))}, left {harness.stray(out)}")
            shutil.rmtree(out)
            result.trial("apply", [f"{size} bytes: {each}" for each in found])
    return result


def _subjects(folder: Path) -> Path:
    subjects = folder / "in"
    subjects.mkdir()
    for number in range(PICTURES):
        noise = np.random.default_rng(number).uniform(0, 255, (64, 64, 3)).astype(np.float32)
        images.save(subjects / f"{number}.png", noise, format="png", quality=90)
    return subjects


def _apply(subjects: Path, out: Path) -> tuple[object, ...]:
    return "apply", "--style", "wave", subjects, "-o", out, *engine.LIGHT


def _pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png") if not path.name.startswith(".")}


def _not_among(pictures: dict[str, bytes], expected: dict[str, bytes]) -> Iterator[str]:
    for name, data in pictures.items():
        if expected.get(name) != data:
            yield f"{name} is not whole"


def _refused(outcome: engine.Outcome) -> Iterator[str]:
    """Tell what is wrong with the way a command ended that had too few bytes."""
    yield from engine.unclear(outcome)
    if outcome.code != 1:
        yield f"exit code {outcome.code}"
    if not any(reason in outcome.err for reason in ("too large for this system", "disk is full")):
        yield f"the reason is missing: {outcome.err!r}"
