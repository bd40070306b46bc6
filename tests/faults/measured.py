"""``python -m tests.faults.measured ARGUMENTS`` is the command itself, which logs its memory and open files."""

from __future__ import annotations

from typing import Any

from pipeline import cli
from pipeline.execution import batching, worker
from tests.faults import engine

if __name__ == "__main__":
    stylize = batching.stylize_with_backoff

    def logged(stylizer: Any, subjects: Any, **options: Any) -> Any:
        outcome = stylize(stylizer, subjects, **options)
        for subject in subjects:
            engine.log(f"{float(subject.mean()):.3f}")
        return outcome

    worker.stylize_with_backoff = logged  # type: ignore[attr-defined]
    cli.main()
