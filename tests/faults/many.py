"""Many small pictures in one run: memory, open files and temporary files stay as they are."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from stylebank import images
from tests.faults import engine, harness
from tests.faults.harness import Result

ROOT = Path(__file__).parents[2]
#: Bytes by which a process may grow between the second fifth of its pictures and the last.
GROWTH = 10_000_000
#: Open files more than in the second fifth; readers that decode ahead have one each.
FILES = 8


def run(count: int, seed: int, folder: Path) -> Result:
    """Stylise `count` pictures in one process, with a fake in place of the synthesis."""
    return _run(count, folder, ["-m", "tests.faults.engine"], engine.LIGHT)


def two_workers(count: int, seed: int, folder: Path) -> Result:
    """Stylise them with ``--jobs 2``."""
    return _run(count, folder, ["-m", "tests.faults.engine"], (*engine.LIGHT, "--jobs", "2"))


def real(count: int, seed: int, folder: Path) -> Result:
    """Stylise pictures of 32 to 64 pixels with the network."""
    bank = folder / "bank"
    add = ["--bank", str(bank), "add", str(ROOT / "data/styles/great_wave.jpg"), "--name", "wave"]
    _command(["-m", "stylebank"], [*add, "--scales", "64", "--layers", "conv1_1,conv2_1"], folder)
    return _run(count, folder, ["-m", "tests.faults.measured"], (*engine.LIGHT[2:], "--size", "0"))


def _command(program: list[str], arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(temporary), engine.LOG: str(folder / "log"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )


def _run(count: int, folder: Path, program: list[str], options: tuple[str, ...]) -> Result:
    bank = folder / "bank"
    if not bank.exists():
        harness.prepared(bank)
    subjects = folder / "in"
    subjects.mkdir()
    sides = (32, 48, 64)
    for number in range(count):
        noise = np.random.default_rng(number).uniform(0, 255, (sides[number % 3], 48, 3)).astype(np.float32)
        images.save(subjects / f"{number:04d}.png", noise, format="png", quality=90)
    out = folder / "out"
    arguments = ["--bank", str(bank), "apply", "--style", "wave", str(subjects), "-o", str(out), *options]
    done = _command(program, arguments[1:] if "engine" in program[1] else arguments, folder)
    result = Result(count)
    if done.returncode:
        result.findings.append(f"exit code {done.returncode}: {done.stderr[-500:]}")
    outputs = [path for path in out.glob("*.png") if not path.name.startswith(".")]
    if len(outputs) != count:
        result.findings.append(f"{len(outputs)} outputs")
    if left := harness.stray(out):
        result.findings.append(f"left {left}")
    if left := sorted(path.name for path in (folder / "tmp").iterdir() if not path.name.startswith("pymp-")):
        result.findings.append(f"left in the folder of temporary files: {left}")
    result.findings += _growth(folder / "log", count, result)
    return result


def _growth(log: Path, count: int, result: Result) -> list[str]:
    """Return how processes grew; tally their number and their largest growth in MB."""
    samples: dict[int, list[tuple[int, int]]] = defaultdict(list)
    lines = engine.logged(log)
    for _name, process, size, files in lines:
        samples[process].append((size, files))
    stylised = sum(name != engine.RUN for name, *_rest in lines)
    found = [] if stylised == count else [f"{stylised} stylised"]
    result.tallies["processes"] = len(samples)
    for process, seen in samples.items():
        fifth = len(seen) // 5
        if fifth < 3:
            continue
        early, late = seen[fifth : 2 * fifth], seen[-fifth:]
        grown, opened = (
            statistics.median(sample[index] for sample in late) - statistics.median(sample[index] for sample in early)
            for index in (0, 1)
        )
        result.tallies["MB of growth"] = max(result.tallies["MB of growth"], round(grown / 1e6))
        if grown > GROWTH:
            found.append(f"process {process} grew by {grown / 1e6:.1f} MB in {3 * fifth} pictures")
        if opened > FILES:
            found.append(f"process {process} has {opened:g} more open files")
    return found
