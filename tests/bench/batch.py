"""``python -m tests.bench.batch`` measures batches: against a loop of single commands, by processes, and what is lost.

Twenty-four pictures made of the samples, at 192 pixels and 30 steps. Everything is of one run on one machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

import pipeline
from stylebank import images
from stylebank.bank import Bank

DATA = Path(__file__).parents[2] / "data"


def write_subjects(folder: Path, count: int) -> list[Path]:
    """Write the sample photographs, their mirror images and lighter ones, at 480 pixels."""
    samples = [images.load(path).pixels for path in sorted((DATA / "subjects").glob("*.jpg"))]
    paths = []
    for number in range(count):
        pixels = samples[number % len(samples)]
        pixels = images.resize(pixels, images.fit((pixels.shape[1], pixels.shape[0]), 480))
        if number // len(samples) % 2:
            pixels = pixels[:, ::-1]
        path = folder / f"{number:02d}.jpg"
        images.save(path, pixels + 3 * (number // len(samples)), format="jpg", quality=92)
        paths.append(path)
    return paths


def seconds_of(*arguments: str) -> float:
    """Run a command of its own and return its seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipeline.cli", "-q", *arguments], check=True)
    return time.perf_counter() - began


def measure(count: int, looped: int, size: int, steps: int) -> dict[str, float]:
    """Return the figures by name."""
    figures: dict[str, float] = {"pictures": count}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "in").mkdir()
        subjects = write_subjects(folder / "in", count)
        bank = str(folder / "bank")
        pipeline.add(Bank(bank), DATA / "styles/starry_night.jpg")
        common = ("--bank", bank, "apply", "--style", "starry_night", "--size", str(size), "--steps", str(steps))

        def loop(paths: list[Path]) -> float:
            return sum(seconds_of(*common, "-o", str(folder / "loop"), str(path)) for path in paths)

        # half before and half after: other work on the machine then weighs on both alike
        one_by_one = loop(subjects[: looped // 2])
        for jobs in (1, 2):
            out = folder / f"jobs{jobs}"
            wall = seconds_of(*common, "-o", str(out), "--jobs", str(jobs), str(folder / "in"))
            lines = [json.loads(line) for line in (out / "stylebank.jsonl").read_text().splitlines()]
            figures[f"one command, --jobs {jobs}, pictures an hour"] = 3600 * count / wall
            stages = {stage: sum(line["timings"][stage] for line in lines) for stage in lines[0]["timings"]}
            figures.update({f"--jobs {jobs}, {stage}, seconds": spent for stage, spent in stages.items()})
            figures[f"--jobs {jobs}, seconds of the clock"] = wall
            if jobs == 1:
                figures["share of the clock outside compute, %"] = 100 * (1 - stages["compute"] / wall)
                figures["the same without start and set-up, %"] = 100 * (
                    1 - stages["compute"] / (wall - stages["setup"] - START)
                )
            if jobs == 1:
                one_by_one += loop(subjects[looped // 2 : looped])
                figures["a loop of single commands, pictures an hour"] = 3600 * looped / one_by_one
    figures["a batch against the loop"] = (
        figures["one command, --jobs 1, pictures an hour"] / figures["a loop of single commands, pictures an hour"]
    )
    figures["--jobs 2 against --jobs 1"] = (
        figures["one command, --jobs 2, pictures an hour"] / figures["one command, --jobs 1, pictures an hour"]
    )
    return figures


#: Seconds until a command has read its options: ``stylebank --help``, as `tests.bench` measures it.
START = 0.2


@click.command()
@click.option("--count", default=24, show_default=True, help="Pictures.")
@click.option("--looped", default=6, show_default=True, help="Pictures made one command each, to compare with.")
@click.option("--size", default=192, show_default=True)
@click.option("--steps", default=30, show_default=True)
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write the figures to this file, too.")
def main(count: int, looped: int, size: int, steps: int, output: Path | None) -> None:
    """Measure and print a table."""
    figures = measure(count, looped, size, steps)
    click.echo(f"{os.cpu_count()} cores, size {size}, {steps} steps, load {os.getloadavg()[0]:.1f}")
    for name, value in figures.items():
        click.echo(f"{name:<60} {value:10.2f}")
    if output is not None:
        output.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
