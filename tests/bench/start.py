"""What comes before a step: starting, measuring and loading a style, the first step, and another size's first."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.bench import timing

STYLE = timing.DATA / "styles" / "starry_night.jpg"
SUBJECT = timing.DATA / "subjects" / "china.jpg"


def _command(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def _first_step(*arguments: str) -> float:
    """Seconds from a command's start until it tells of its first step."""
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(r"step 1/|, loss ", line):
                taken = time.perf_counter() - began
                process.stderr.read()
                return taken
    raise click.ClickException(f"{' '.join(command)}: ended with {process.returncode} and told of no step.")


def measure() -> dict[str, float]:
    """Return every figure by name; seconds unless the name says otherwise."""
    import pipeline
    from pipeline.settings import SynthesisSettings
    from pipeline.synthesis.stylizer import Stylizer
    from pipeline.vgg import weights
    from stylebank.bank import Bank

    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(folder)
        first = "measure a painting at three scales, the first in a process"
        figures[first] = timing.median(lambda: pipeline.add(bank, STYLE), 1)
        figures["the same, the next"] = timing.median(lambda: pipeline.add(bank, STYLE, replace=True), 3)
        figures["a style of 16 layers and 3 scales, MB"] = bank.path("starry_night").stat().st_size / 1e6
        figures["load one of its scales, checked"] = timing.median(lambda: bank.get("starry_night", scales=[512]))
        figures["load all of them"] = timing.median(lambda: bank.get("starry_night"))
        figures["start Python and import NumPy and h5py"] = timing.median(_command("-c", "import numpy, h5py"))
        cli = ("-m", "pipeline.cli", "--bank", folder)
        figures["stylebank --help"] = timing.median(_command(*cli, "--help"))
        figures["stylebank list"] = timing.median(_command(*cli, "list"))
        figures["stylebank show"] = timing.median(_command(*cli, "show", "starry_night"))
        figures["import TensorFlow"] = timing.median(_command("-c", "import tensorflow"), 3)
        out = str(Path(folder) / "out")
        apply = ["--bank", folder, "apply", "--style", "starry_night", str(SUBJECT), "--output", out, "--overwrite"]
        apply += ["--size", "128", "--steps", "1"]
        runs = [_first_step(*apply) for _ in range(3)]
        figures["from the command to the first step at 128 pixels"] = sorted(runs)[1]

        style, vgg = bank.get("starry_night", scales=[256]), weights.load()
        for told, size in (
            ("a first picture of 128 pixels and one step, in a warm process", 128),
            ("the second, of 160: another size", 160),
            ("a third, of 160 again", 160),
        ):
            subject = timing.picture("subjects", "china", size)
            stylizer = Stylizer(style, vgg, SynthesisSettings(size=size, steps=1))
            figures[told] = timing.median(functools.partial(stylizer.stylize, subject), 1)
    return figures


@click.command()
@timing.json_option
def main(output: Path | None) -> None:
    """Time starting, measuring, loading, and the first steps."""
    figures = measure()
    click.echo(timing.table([("start", "seconds"), *((name, f"{value:.3f}") for name, value in figures.items())]))
    timing.write(output, figures)


if __name__ == "__main__":
    main()
