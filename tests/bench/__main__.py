"""``python -m tests.bench`` prints what the README says of speed: start-up and loading, as medians.

Machines differ and are noisy: each figure stands beside one of the same run to compare it with.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

import pipeline
from stylebank.bank import Bank

STYLE = Path(__file__).parents[2] / "data" / "styles" / "starry_night.jpg"


def _median(action: Callable[[], object], runs: int = 5) -> float:
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _command(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def measure() -> dict[str, float]:
    """Return every figure by name; seconds unless the name says otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(folder)
        figures = {"measure a painting at three scales, the first in a process": 0.0}
        began = time.perf_counter()
        pipeline.add(bank, STYLE)
        figures["measure a painting at three scales, the first in a process"] = time.perf_counter() - began
        figures["the same, the next"] = _median(lambda: pipeline.add(bank, STYLE, replace=True), 3)
        figures["a style of 16 layers and 3 scales, MB"] = bank.path("starry_night").stat().st_size / 1e6
        figures["load one of its scales, checked"] = _median(lambda: bank.get("starry_night", scales=[512]))
        figures["load all of them"] = _median(lambda: bank.get("starry_night"))
        figures["start Python and import NumPy and h5py"] = _median(_command("-c", "import numpy, h5py"))
        cli = ("-m", "pipeline.cli", "--bank", folder)
        figures["stylebank --help"] = _median(_command(*cli, "--help"))
        figures["stylebank list"] = _median(_command(*cli, "list"))
        figures["stylebank show"] = _median(_command(*cli, "show", "starry_night"))
        figures["import TensorFlow"] = _median(_command("-c", "import tensorflow"), 3)
    return figures


@click.command()
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write the figures to this file, too.")
def main(output: Path | None) -> None:
    """Measure and print a table."""
    figures = measure()
    for name, value in figures.items():
        click.echo(f"{name:<60} {value:8.3f}")
    if output is not None:
        output.write_text(json.dumps(figures, indent=2))


main()
