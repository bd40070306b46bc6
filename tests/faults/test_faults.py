"""Each fault of README.md in small numbers, in a process that may fork; in full with ``-m soak``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.__main__ import FAULTS

ROOT = Path(__file__).parents[2]
#: Trials of the quick set, some 60 s on two cores.
QUICK = {
    "kills": 12,
    "bit-flips": 30,
    "truncations": 15,
    "metadata": 40,
    "file-size": 3,
    "full-disk": 3,
    "writers": 12,
    "writers-no-locks": 12,
    "mutants": 6,
    "batch-kills": 3,
    "shared-folder": 3,
    "many": 60,
    "many-two-workers": 60,
    "fuzz": 500,
}

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork, /proc and Linux' limits")


def kept(name: str, count: int, seed: int) -> dict[str, Any]:
    """Run a fault; its promises are kept."""
    line = [sys.executable, "-m", "tests.faults", name, "--count", str(count), "--seed", str(seed), "--json"]
    ended = subprocess.run(line, cwd=ROOT, check=False, capture_output=True, text=True)
    assert ended.stdout, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    assert result["findings"] == []
    assert ended.returncode == 0
    return result


@pytest.mark.parametrize("name", QUICK)
def test_a_few(name: str) -> None:
    result = kept(name, QUICK[name], 2)
    if not any("not allowed" in kind for kind in result["tallies"]):
        assert result["count"] >= QUICK[name]


@pytest.mark.soak
@pytest.mark.parametrize("name", FAULTS)
def test_in_full(name: str) -> None:
    kept(name, FAULTS[name][2], 1)
