"""Random inputs for the style file, the job file, the record, the image loader and names."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults import harness
from tests.faults.fuzz_files import jobs, record, style_file
from tests.faults.fuzz_inputs import Check
from tests.faults.fuzz_pictures import image, name
from tests.faults.harness import Result

#: Seconds for one input, and for a child that tries many.
SECONDS, CHILD_SECONDS = 10.0, 600.0
INPUTS_A_CHILD = 250
#: ``STYLEBANK_FUZZ_SECONDS`` ends the run after so many seconds, a fifth for each kind.
BUDGET = "STYLEBANK_FUZZ_SECONDS"


TARGETS: dict[str, Callable[[Path], Check]] = {
    "style file": style_file,
    "job file": jobs,
    "record": record,
    "image": image,
    "name": name,
}


def run(count: int, seed: int, folder: Path) -> Result:
    """Try `count` inputs, each kind a fifth: a library's error, a crash, a hang or a wrong result is a finding."""
    result = Result()
    budget = float(os.environ.get(BUDGET, "inf")) / len(TARGETS)
    share = max(1, count // len(TARGETS))
    for kind, make_check in TARGETS.items():
        started = time.monotonic()
        end = started + budget
        check = make_check(folder)
        for first in range(0, share, INPUTS_A_CHILD):
            if time.monotonic() > end:
                break
            numbers = range(first, min(share, first + INPUTS_A_CHILD))
            ended = harness.in_child(partial(_try, check, kind, numbers, seed, folder, end), CHILD_SECONDS)
            if ended.died:
                at = folder / "at"
                result.findings.append(f"{kind}, input {at.read_text()} of seed {seed}: {ended.died}")
                continue
            done, found = ended.value
            result.count += done
            result.tallies[kind] += done
            result.findings += found
        result.tallies[f"s of {kind}"] = round(time.monotonic() - started)
    return result


def _try(check: Check, kind: str, numbers: range, seed: int, folder: Path, end: float) -> tuple[int, list[str]]:
    harness.limit_memory()
    found: list[str] = []
    for done, number in enumerate(numbers):
        if time.monotonic() > end:
            return done, found
        (folder / "at").write_text(str(number))  # for a crash
        started = time.monotonic()
        try:
            wrong = check(random.Random(f"{kind} {seed} {number}"), folder)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        if time.monotonic() - started > SECONDS:
            wrong = f"{wrong} takes {time.monotonic() - started:.1f} s"
        if wrong:
            found.append(f"{kind}, input {number} of seed {seed}: {wrong}")
    return len(numbers), found
