"""The command line with fakes in place of the network: paintings measured, and pictures made, in milliseconds."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline import cli
from pipeline.execution import process, worker
from pipeline.execution.messages import BatchResult, ImageBatch, ImageResult, WorkerContext
from pipeline.execution.process_executor import ProcessExecutor
from pipeline.vgg import weights
from stylebank import images
from stylebank.style import Style
from tests import fakes, styles

MACHINE = {"backend": "none", "device": "cpu", "precision": "float32"}
SHA256 = "ab" * 32
#: Options that ask nothing of the network's library.
LIGHT = ("--size", "64", "--steps", "2", "--format", "png", "--batch-size", "1", "--precision", "float32")
#: File that gets a line for each picture that is stylised, and one of the run for each picture of a worker.
LOG = "STYLEBANK_FAULTS_LOG"
#: Name of a line of the log that is about the run, and not about a picture.
RUN = "run"


#: Called when a painting is measured, before the style is written.
on_measured: list[Callable[[], object]] = []


@cache
def measured(seed: int, layers: tuple[str, ...] = ("pixels", "conv1_1", "conv2_1")) -> Style:
    """The style that the painting of this grey is measured as."""
    return styles.style("measured", seed, layers=layers)


def painting(folder: Path, seed: int) -> Path:
    """Write a painting of one grey, which is its seed."""
    path = folder / f"painting {seed}.png"
    images.save(path, np.full((40, 48, 3), seed, np.float32), format="png", quality=90)
    return path


def _measure(image: Any, _weights: Any, _settings: Any, *, name: str, tags: tuple[str, ...], **_rest: Any) -> Style:
    style = measured(int(images.load(image).pixels.mean()))
    for call in on_measured:
        call()
    return dataclasses.replace(style, header=dataclasses.replace(style.header, name=name, tags=tags))


class _Stylizer(fakes.Stylizer):
    def __init__(self, context: WorkerContext) -> None:
        super().__init__(context.settings, _stylised)


def log(name: str, process: int | str = "self") -> None:
    """Add a line to the log: a name, a process, its bytes in memory and its open files."""
    if LOG in os.environ:
        number = os.getpid() if process == "self" else process
        pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
        files = len(list(Path(f"/proc/{number}/fd").iterdir()))
        with Path(os.environ[LOG]).open("a") as file:
            file.write(f"{name} {number} {pages * os.sysconf('SC_PAGE_SIZE')} {files}\n")


def _stylised(pixels: Any) -> None:
    log(f"{float(pixels.mean()):.3f}")
    if pause := float(os.environ.get("STYLEBANK_FAULTS_PAUSE", "0")):
        time.sleep(pause)


def logged(path: Path) -> list[tuple[str, int, int, int]]:
    """Read the log: the mean of every picture, or ``run``, with process, bytes in memory and open files."""
    if not path.exists():
        return []
    fields = [line.split() for line in path.read_text().splitlines()]
    return [(mean, int(number), int(size), int(files)) for mean, number, size, files in fields]


def work(config: Any, context: WorkerContext, batch: ImageBatch) -> BatchResult:
    """Return the negatives, in a worker process."""
    process.write_start_marker(config, batch)
    process.init_process(config)
    results = {}
    log(RUN, config.parent)
    for number, subject in zip(batch.indices, batch.subjects, strict=True):
        made = _Stylizer(context).stylize(np.asarray(subject))
        results[number] = ImageResult(pixels=made.pixels, start_loss=1.0, final_loss=0.5, steps=made.steps)
    return BatchResult(results, process.worker_name(config), MACHINE)


def install() -> None:
    """Put the fakes in place, in this process."""
    sys.modules["pipeline.ingest.measure"] = SimpleNamespace(measure=_measure)  # type: ignore[assignment]
    fake_weights = SimpleNamespace(sha256=SHA256)
    for name in ("load", "matching"):
        setattr(weights, name, lambda *_arguments, **_options: fake_weights)
    worker._make_stylizer = cache(_Stylizer)  # type: ignore[arg-type]
    worker.machine_info = lambda config, stylizer: dict(MACHINE)
    worker._computing = lambda config: contextlib.nullcontext(lambda: 0.0)  # type: ignore
    ProcessExecutor.work = staticmethod(work)  # type: ignore[arg-type]


@dataclasses.dataclass
class Outcome:
    """How a command ended, and its output."""

    code: int
    out: str
    err: str


def command(bank: Path, *arguments: object) -> Outcome:
    """Run the command line in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            cli.main(["--bank", str(bank), *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def unclear(outcome: Outcome) -> Iterator[str]:
    """Tell what a command's output must never be: a traceback, or an error of a library."""
    for line in outcome.err.splitlines():
        if "Traceback" in line or "report what it prints" in line:
            yield f"an error that is not the project's: {line}"
    if outcome.code not in {0, 1, 2, 3, 4, 5}:
        yield f"exit code {outcome.code}"


if __name__ == "__main__":  # ``python -m tests.faults.engine BANK COMMAND...``
    from tests.faults import engine

    engine.install()
    cli.main(["--bank", *sys.argv[1:]])
