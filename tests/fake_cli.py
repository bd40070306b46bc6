"""``python -m tests.fake_cli ARGUMENT...`` is the command line with negatives in place of synthesis, without Keras."""

from __future__ import annotations

import contextlib
import functools
from types import SimpleNamespace
from typing import Any

from pipeline.cli import main
from pipeline.execution import worker
from pipeline.jobs.run import Run
from pipeline.vgg import weights
from tests.fakes import Stylizer

#: Options of `apply` that would otherwise ask the network's library.
LIGHT = ("--precision", "float32", "--batch-size", "1")


def install() -> None:
    """Replace the network."""
    weights.matching = lambda sha256, *arguments, **options: SimpleNamespace(sha256=sha256)  # type: ignore[assignment]
    worker._make_stylizer = functools.lru_cache(lambda context: Stylizer(context.settings))
    worker.machine_info = lambda config, stylizer: {"backend": "none", "device": "cpu", "precision": "float32"}
    worker._computing = lambda config: contextlib.nullcontext(lambda: 0.0)  # type: ignore[assignment]
    context: Any = Run.context
    Run.context = lambda self, *, remote: context(self, remote=True)  # type: ignore[method-assign] # no Keras


if __name__ == "__main__":
    install()
    main()
