"""Two runs that share the pictures of one folder, one of them killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.faults import engine, harness
from tests.faults.batch_kills import batch, log_pictures, outputs, recorded
from tests.faults.harness import Result


def run(count: int, seed: int, folder: Path) -> Result:
    """Start two runs `count` times, and kill the first one.

    The second one and the same command again give the outputs of a single run. A picture is computed twice only if
    the killed run had it in hand.
    """
    chance = random.Random(seed)
    result = Result()
    bank, options = batch(folder)
    log = folder / "log"
    noted = partial(log_pictures, log, 0.005)

    def work(out: Path) -> int:
        noted()
        return engine.command(bank.folder, *options, "-o", out).code

    started = time.perf_counter()
    harness.command(bank.folder, *options, "-o", folder / "whole", before=noted)
    span = time.perf_counter() - started
    expected = outputs(folder / "whole")
    for trial in range(count):
        out = folder / f"out{trial}"
        log.unlink(missing_ok=True)
        children = [harness.start(partial(work, out)) for _number in range(2)]
        time.sleep(chance.uniform(0.1, 1) * span)
        os.kill(children[0][0], signal.SIGKILL)
        harness.finish(*children[0])
        second = harness.finish(*children[1])
        again = harness.command(bank.folder, *options, "-o", out, before=noted)
        found = [] if (second.value, second.died, again.code) == (0, "", 0) else [f"{second}, then {again}"]
        if outputs(out) != expected or recorded(out) != set(expected):
            found.append(f"outputs differ: {sorted(set(outputs(out)) ^ set(expected))}, or the record")
        times = Counter(mean for mean, *_rest in engine.logged(log))
        by_process = Counter(process for _mean, process, *_rest in engine.logged(log))
        twice = [mean for mean, number in times.items() if number > 1]
        lost = {mean for mean, process, *_rest in engine.logged(log) if process == children[0][0]}
        if set(twice) - lost:
            found.append(f"computed twice, and not by the killed run: {set(twice) - lost}")
        if left := harness.stray(out):
            found.append(f"left {left}")
        result.trial("both worked" if len(by_process) > 1 else "one worked", found)
        result.tallies["pictures computed twice"] += len(twice)
    return result
