"""What ``--dry-run`` of `apply` and `batch` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from stylebank.errors import plural, printable

from ..jobs.summary import format_duration
from . import options

if TYPE_CHECKING:
    from ..execution.executors import Executor
    from ..jobs.estimate import Estimate
    from ..jobs.run import Run

_MAX_REASONS = 5


def print_plan(context: options.CliContext, runs: Sequence[Run], executor: Executor, *, with_json: bool) -> int:
    """Print what runs would compute, with sizes, memory, time and disk space, and change nothing.

    Parameters
    ----------
    context
    runs, executor
        As for `apply.execute`.
    with_json
        Print one JSON object in place of lines.

    Returns
    -------
    int
        The exit code, 0.
    """
    from ..jobs.apply import left_out
    from ..jobs.estimate import estimate as estimate_runs
    from ..jobs.estimate import free_bytes
    from ..jobs.notes import expected_notes, request_notes
    from ..jobs.subjects import ignored_line

    ignored = left_out(runs)
    for each in ignored:
        context.detail(f"{printable(each.path)}: {each.reason}; left out")
    if ignored:
        context.note(ignored_line(ignored))
    for note in request_notes(runs):
        context.note(note)
    context.print("timing a few steps")
    estimates = estimate_runs(runs, executor)
    for note in expected_notes([image for estimate in estimates for image in estimate.pending]):
        context.note(note)
    setup = sum(estimate.setup or 0.0 for estimate in estimates)
    seconds = sum(estimate.seconds or 0.0 for estimate in estimates)
    pictures = sum(estimate.to_make for estimate in estimates)
    workers = executor.workers
    elapsed = setup + seconds / max(1, min(workers, pictures))
    device = next((estimate.device for estimate in estimates if estimate.device is not None), None)
    disk = sum(estimate.disk for estimate in estimates)
    free = min((free_bytes(run.planned.folder) for run in runs), default=0)
    if with_json:
        totals: dict[str, Any] = {"pictures": pictures, "seconds": round(seconds, 3), "setup": round(setup, 3)}
        totals |= {"elapsed": round(elapsed, 3), "workers": workers, "device": device, "disk": disk, "free": free}
        names = [{"path": printable(each.path), "reason": each.reason} for each in ignored]
        options.print_json({"runs": [estimate.to_dict() for estimate in estimates], **totals, "left_out": names})
    else:
        _print_estimates(estimates)
        click.echo(
            f"total: {plural(pictures, 'picture')}, about {format_duration(elapsed)} with {plural(workers, 'worker')}"
            f"{f' on {device}' if device else ''}, {format_duration(setup)} of it set-up, "
            f"{disk / 1e6:.1f} MB of {free / 1e6:,.0f} MB free"
        )
    if disk > free:
        context.warn("the disk has too little space. Free some, or give another --output.")
    return 0


def _print_estimates(estimates: Sequence[Estimate]) -> None:
    for estimate in estimates:
        sizes = ", ".join(f"{count} of {width} x {height}" for (width, height), count in estimate.sizes.most_common(5))
        more = f" and {plural(len(estimate.sizes) - 5, 'more size')}" if len(estimate.sizes) > 5 else ""
        takes = f"; {format_duration(estimate.seconds)}" if estimate.seconds is not None else ""
        click.echo(
            f"{printable(estimate.folder)}: {estimate.style}: {estimate.to_make} to do, "
            f"{estimate.finished} finished{f', {estimate.failed} failed' if estimate.failed else ''}"
            f"{f'; {sizes}{more}' if sizes else ''}{takes}{_memory(estimate)}"
            f"{f'; {estimate.disk / 1e6:.1f} MB' if estimate.to_make else ''}"
        )
        if estimate.existing:
            click.echo(f"  {estimate.existing}")
        if estimate.problem:
            click.echo(f"  {estimate.problem}")
        for reason in estimate.reasons[:_MAX_REASONS]:
            click.echo(f"  {reason}")
        if len(estimate.reasons) > _MAX_REASONS:
            click.echo(f"  and {len(estimate.reasons) - _MAX_REASONS} more")


def _memory(estimate: Estimate) -> str:
    if estimate.memory is None:
        return ""
    return f"; {estimate.memory / 1e9:.1f} GB of memory{' in tiles' if estimate.tiled else ''}"
