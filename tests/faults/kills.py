"""SIGKILL at a random moment of `stylebank add`."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from stylebank.bank import Bank
from tests.faults import engine, harness
from tests.faults.harness import Result

ROOT = Path(__file__).parents[2]
SEED = 7
#: One trial in so many is the command as it is, with the network.
REAL = 20


def run(count: int, seed: int, folder: Path) -> Result:
    """Kill it `count` times: the bank opens, earlier styles are bit-identical, the new one is whole or absent."""
    chance = random.Random(seed)
    result = Result()
    bank = harness.prepared(folder / "bank")
    image = engine.painting(folder, SEED)
    engine.measured(SEED)  # its numbers are at hand in every child
    before = harness.contents(bank)
    real = count // REAL
    span, writing = (
        statistics.median(seconds)
        for seconds in zip(*(_seconds(bank, image, folder / f"timed{number}") for number in range(3)), strict=True)
    )
    for trial in range(count - real):
        with harness.copied(bank, folder / f"trial{trial}") as copy:
            child, pipe, measured = _started(copy, image)
            if trial % 2:
                time.sleep(chance.uniform(0, 1.2 * span))
            else:  # from the moment on in which it begins to write
                os.read(measured, 1)
                time.sleep(chance.uniform(0, 1.2 * writing))
            os.kill(child, signal.SIGKILL)
            os.close(measured)
            harness.finish(child, pipe)
            _check(result, copy, before, folder)
    if real:
        _kill_the_real_command(result, real, chance, bank, before, folder)
    return result


def _started(bank: Bank, image: Path) -> tuple[int, int, int]:
    """Start the command; return process, pipe, and a second pipe that gets a byte when the painting is measured."""
    reading, writing = os.pipe()

    def add() -> int:
        engine.on_measured.append(lambda: os.write(writing, b"."))
        return engine.command(bank.folder, "add", image, "--name", "new").code

    child, pipe = harness.start(add)
    os.close(writing)
    return child, pipe, reading


def _seconds(bank: Bank, image: Path, folder: Path) -> tuple[float, float]:
    """Return the seconds of the command, and those after the measuring."""
    with harness.copied(bank, folder) as copy:
        started = time.perf_counter()
        child, pipe, measured = _started(copy, image)
        os.read(measured, 1)
        began = time.perf_counter()
        os.close(measured)
        harness.finish(child, pipe)
        return time.perf_counter() - started, time.perf_counter() - began


def _check(result: Result, bank: Bank, before: dict[str, bytes], folder: Path, name: str = "") -> None:
    left = harness.stray(bank.folder)
    found = harness.harm(bank, before, {"new": SEED})
    kind = "in a write" if left else "after the rename" if "new" in bank.names() else "before a write"
    result.trial(name or kind, found + harness.harm_to_next(bank, folder))


def _kill_the_real_command(
    result: Result, count: int, chance: random.Random, bank: Bank, before: dict[str, bytes], folder: Path
) -> None:
    """Kill the command with the network, mostly in its last second; what it measures is compared with a whole run."""
    image = ROOT / "data/styles/poppies.jpg"

    def started(target: Path) -> subprocess.Popen[bytes]:
        options = ["--name", "real", "--scales", "64", "--layers", "conv1_1"]
        line = [sys.executable, "-m", "stylebank", "--bank", str(target), "add", str(image), *options]
        return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    with harness.copied(bank, folder / "whole") as copy:
        begun = time.perf_counter()
        if started(copy.folder).wait():
            result.findings.append("the real command fails without a kill")
            return
        span = time.perf_counter() - begun
        expected = copy.header("real").content_sha256
    for trial in range(count):
        with harness.copied(bank, folder / f"real{trial}") as copy:
            process = started(copy.folder)
            time.sleep(chance.uniform(max(0.3, span - 1.5), span + 0.1))
            process.kill()
            process.wait()
            found = []
            if "real" in copy.names() and copy.header("real").content_sha256 != expected:
                found.append("the measured style is another one")
            headers = [header.name for header in copy.headers()[0]]
            if not {*harness.OLD} <= set(headers) <= {*harness.OLD, "real"}:
                found.append(f"holds {headers}")
            now = harness.contents(copy)
            found += [f"{file} was touched" for file in before if now.get(file) != before[file]]
            result.trial("with the network", found + harness.harm_to_next(copy, folder))
