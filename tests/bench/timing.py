"""Times taken side by side, tables, and how a part writes its numbers."""

from __future__ import annotations

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from stylebank import images
from stylebank.images import Pixels

DATA = Path(__file__).parents[2] / "data"

json_option = click.option(
    "--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the numbers to this file, too."
)


def median(action: Callable[[], object], runs: int = 5) -> float:
    """Median seconds of an action."""
    return statistics.median(interleaved({"": action}, runs)[""])


def interleaved(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every action in every round, one after the other: what slows the machine slows all of them.

    Collecting garbage waits until a round has ended.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        try:
            for name, action in actions.items():
                began = time.perf_counter()
                action()
                seconds[name].append(time.perf_counter() - began)
        finally:
            gc.enable()
    return seconds


def ratio(seconds: Sequence[float], to: Sequence[float]) -> float:
    """Median over the rounds of what one took over what the other took in the same round."""
    return statistics.median(own / other for own, other in zip(seconds, to, strict=True))


def picture(kind: str, name: str, size: int, *, enlarge: bool = True) -> Pixels:
    """A sample, ``subjects`` or ``styles``, with its longest side at `size`, or at its own if that is less."""
    pixels = images.load(DATA / kind / f"{name}.jpg").pixels
    own = (pixels.shape[1], pixels.shape[0])
    return images.resize(pixels, images.fit(own, size if enlarge else min(size, max(own))))


def load() -> float:
    """Processes that compute beside this one, over the processors; 0 where the system does not tell."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table of plain text, the first being the header; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) if number else cell.ljust(width) for number, (cell, width) in parts).rstrip()
        for parts in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    )


def write(output: Path | None, figures: Mapping[str, Any]) -> None:
    """Write a part's numbers where ``--json`` said."""
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
