"""SIGKILL at points of a batch, and the same command again."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from tests.faults import engine, harness
from tests.faults.harness import Result

PICTURES = 40


def batch(folder: Path) -> tuple[Bank, list[Any]]:
    """Return a bank, and the words of a command that applies its style to `PICTURES` photographs."""
    subjects = folder / "in"
    subjects.mkdir()
    for number in range(PICTURES):
        engine.painting(subjects, 20 + 2 * number)
    return harness.prepared(folder / "bank"), ["apply", "--style", "wave", subjects, *engine.LIGHT]


def log_pictures(log: Path, pause: float) -> None:
    """Let a child note every picture that it computes, and take `pause` seconds for each."""
    os.environ[engine.LOG] = str(log)
    os.environ["STYLEBANK_FAULTS_PAUSE"] = str(pause)


def run(count: int, seed: int, folder: Path) -> Result:
    """Kill `count` batches of 40 pictures, each at another point, and run them again.

    The outputs equal those of an uninterrupted run, no finished picture is computed again, and an output that was
    cut short after the kill is not accepted. Finished is what has its output and a line of the record.
    """
    chance = random.Random(seed)
    result = Result()
    bank, options = batch(folder)
    log = folder / "log"
    noted = partial(log_pictures, log, 0.002)
    started = time.perf_counter()
    whole = harness.command(bank.folder, *options, "-o", folder / "whole", before=noted)
    span = time.perf_counter() - started
    expected = outputs(folder / "whole")
    if whole.code or len(expected) != PICTURES:
        return Result(findings=[f"the uninterrupted run: {whole}"])
    for trial in range(count):
        out = folder / f"out{trial}"
        log.unlink(missing_ok=True)

        def work(out: Path = out) -> int:
            noted()
            return engine.command(bank.folder, *options, "-o", out).code

        child, pipe = harness.start(work)
        if trial % 2:  # at a random moment
            time.sleep(chance.uniform(0, 1.1 * span))
        else:  # after so many pictures
            _wait_for(log, PICTURES * (trial + 1) // (count + 1), child)
            time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        harness.finish(child, pipe)
        left_over = outputs(out)
        found = [f"{name} is not whole" for name, data in left_over.items() if expected.get(name) != data]
        done = recorded(out) & set(left_over)
        cut = sorted(done)[:1]
        for name in cut:
            (out / name).write_bytes(expected[name][: chance.randrange(len(expected[name]))])
        finished = {name: (out / name).stat().st_mtime_ns for name in done - set(cut)}
        log.unlink(missing_ok=True)
        again = harness.command(bank.folder, *options, "-o", out, before=noted)
        for name in cut:  # it may be the user's edit of the picture: it stays, and the picture gets another name
            numbered = out / name.replace(".wave.", ".wave-2.")
            if again.code or not numbered.exists() or numbered.read_bytes() != expected[name]:
                found.append(f"{name}, cut short, is accepted: {again.code} {again.err[-300:]}")
            else:
                numbered.replace(out / name)
        if again.code or outputs(out) != expected:
            wrong = sorted(name for name in expected if outputs(out).get(name) != expected[name])
            found.append(f"the second run: {again.code} {again.err[-300:]}, other outputs {wrong}")
        redone = sorted(name for name, stamp in finished.items() if (out / name).stat().st_mtime_ns != stamp)
        times = Counter(mean for mean, *_rest in engine.logged(log))
        if redone or len(times) > PICTURES - len(finished) or any(number > 1 for number in times.values()):
            found.append(f"computed again: {redone}, {len(times)} of {PICTURES - len(finished)}")
        if {name.replace(".wave-2.", ".wave.") for name in recorded(out)} != set(expected):
            found.append("the record does not have every output")
        if left := harness.stray(out):
            found.append(f"left {left}")
        result.trial("killed before the end" if len(done) < PICTURES else "killed after the end", found)
        result.tallies["finished before the kill"] += len(done)
    return result


def outputs(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the outputs in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.png") if not path.name.startswith(".")}


def recorded(folder: Path) -> set[str]:
    """Return the outputs that the record calls done; a torn line is none."""
    path = folder / "stylebank.jsonl"
    done = set()
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("status") == "done":
            done.add(str(entry["output"]))
    return done


def _wait_for(log: Path, lines: int, child: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(engine.logged(log)) < lines:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.001)
