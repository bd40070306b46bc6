"""What a print takes, before the work starts: pixels, time and memory."""

from __future__ import annotations

from collections.abc import Sequence

from stylebank.errors import plural

from ..execution.executors import Executor
from .estimate import Estimate, estimate
from .run import Run
from .summary import format_duration

#: Pixels of all pending pictures below which the trial would take about as long as they do.
_MIN_TRIAL_PIXELS = 1_000_000


def print_notes(runs: Sequence[Run], executor: Executor) -> list[str]:
    """Return a note for each run of a print that has something to do; large ones are timed on the executor.

    Raises
    ------
    StylebankError
        If the executor has no such device, or its workers cannot start.
    """
    printed = [run for run in runs if run.settings.print is not None]
    if not printed:
        return []
    estimates = estimate(printed, executor, trial=False)
    pixels = sum(width * height * count for each in estimates for (width, height), count in each.sizes.items())
    if pixels >= _MIN_TRIAL_PIXELS:
        estimates = estimate(printed, executor)
    return [_note(run, each) for run, each in zip(printed, estimates, strict=True) if each.sizes]


def _note(run: Run, each: Estimate) -> str:
    sizes = sorted(each.sizes)
    shown = ", ".join(f"{width} x {height}" for width, height in sizes[:3]) + (", ..." if len(sizes) > 3 else "")
    settings, count = run.settings, plural(each.to_make, "picture")
    proof = f"a proof of {settings.proof} pixels a side from each of " if settings.proof is not None else ""
    text = f"print {settings.print} at {settings.dpi:g} dpi: {proof}{count} of {shown} pixels"
    if each.seconds is not None:
        workers = f" in one process on {each.device}" if each.device else ""
        text += f", about {format_duration(each.seconds + (each.setup or 0.0))}{workers}"
    if each.memory is not None:
        text += f", {each.memory / 1e9:.1f} GB of memory{' in tiles' if each.tiled else ''}"
    return f"{text}. {each.problem}" if each.problem else text
