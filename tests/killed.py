"""``python -m tests.killed BANK IN OUT POINT`` runs a batch without a network and kills itself at a file operation.

POINT counts what changes files: opening for writing, writing the record, flushing, renaming; 0 is never.
Each subject that is stylised is noted in OUT.stylised.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pipeline
from pipeline.execution import worker
from pipeline.jobs.run import Run
from stylebank import files
from stylebank.bank import Bank
from tests.fakes import Stylizer

#: What the engine would ask the network's library for.
LIGHT: dict[str, Any] = {"batch_size": 1, "precision": "float32"}


def main(bank: str, subjects: str, output: str, point: int) -> None:
    """Run it."""
    count = itertools.count(1)

    def counted(function: Any) -> Any:
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            if next(count) == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return wrapper

    def seen(pixels: Any) -> None:
        with Path(f"{output}.stylised").open("a") as file:
            file.write(f"{float(pixels.mean()):.3f}\n")

    worker._make_stylizer = functools.lru_cache(lambda context: Stylizer(context.settings, seen))
    worker.machine_info = lambda config, stylizer: {"backend": "none", "device": "cpu", "precision": "float32"}
    worker._computing = lambda config: contextlib.nullcontext(lambda: 0.0)  # type: ignore[assignment]
    context = Run.context
    Run.context = lambda self, *, remote: context(self, remote=True)  # type: ignore[method-assign] # no Keras
    whole_write = os.write

    def torn_write(descriptor: int, data: bytes) -> int:
        written = whole_write(
            descriptor, data[: len(data) // 2] if len(data) > 500 else data
        )  # half a line is on the disk now
        if next(count) == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    os.write = torn_write  # type: ignore[assignment]
    files.fsync = counted(files.fsync)
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.open = counted(Path.open)  # type: ignore[method-assign]
    entries = pipeline.apply(Bank(bank), "wave", [subjects], output, size=0, steps=2, format="png", **LIGHT)
    sys.exit(any(entry.status == "failed" for entry in entries))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
