"""Peak memory of two steps, each kind in a process of its own: the original program's and stylebank's.

$ python -m tests.bench memory --sizes 512,1024
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from tests.bench import timing

KINDS = ("nothing", "floor", "reference", "float32", "bfloat16")


def once(kind: str, size: int) -> int:
    """Take two steps in this process and return the peak of its resident memory in bytes; `nothing` only loads."""
    from pipeline.synthesis.losses.objective import Objective
    from pipeline.vgg import weights
    from pipeline.vgg.network import VGG19
    from tests.bench import engine
    from tests.bench.reference import Reference

    subject = timing.picture("subjects", "china", size)
    style = timing.picture("styles", "starry_night", size, enlarge=False)
    loaded = weights.load()
    if kind == "reference":
        reference = Reference(loaded, style)
        for _ in range(2):
            reference(subject)
    elif kind == "floor":
        step = engine.floor(VGG19(loaded, "avg", "reflect"), subject, last=False)
        step(), step()
    elif kind != "nothing":
        step = engine.stylebank_step(Objective(loaded, "avg", "reflect", engine.LAYERS, precision=kind), style, subject)
        step(), step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def measure(sizes: tuple[int, ...], kinds: tuple[str, ...] = KINDS) -> dict[str, Any]:
    """Bytes by size and kind; None where the process did not live to tell."""
    figures: dict[str, Any] = {}
    for size in sizes:
        figures[str(size)] = {}
        for kind in kinds:
            command = [sys.executable, "-m", "tests.bench.memory", "--sizes", str(size), "--once", kind]
            ended = subprocess.run(command, capture_output=True, text=True)
            figures[str(size)][kind] = int(ended.stdout) if ended.returncode == 0 else None
    return figures


@click.command()
@click.option("--sizes", default="1024", show_default=True, help="Longest sides.")
@click.option("--once", "kind", type=click.Choice(KINDS), help="One kind at one size in this process: prints bytes.")
@timing.json_option
def main(sizes: str, kind: str | None, output: Path | None) -> None:
    """Compare the peak memory of steps."""
    wanted = tuple(map(int, sizes.split(",")))
    if kind is not None:
        click.echo(once(kind, wanted[0]))
        return
    figures = measure(wanted)
    rows: list[tuple[str, ...]] = [("peak memory, GB", *KINDS)]
    for size, found in figures.items():
        rows.append((size, *("failed" if peak is None else f"{peak / 1e9:.2f}" for peak in found.values())))
    click.echo(timing.table(rows))
    timing.write(output, figures)


if __name__ == "__main__":
    main()
