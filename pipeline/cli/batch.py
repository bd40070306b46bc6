"""``stylebank batch``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from stylebank.errors import plural, printable

from . import options
from .console import format_duration, print_summary, reporter
from .path_types import PathName

if TYPE_CHECKING:
    from ..execution.executors import Executor
    from ..jobs.estimate import Estimate


@click.command("batch")
@click.argument("jobs_file", metavar="JOBS.toml", type=PathName())
@click.option(
    "-o",
    "--output",
    type=PathName(),
    help="Folder that all outputs stay below.  [default: the folder of JOBS.toml]",
)
@click.option(
    "--dry-run", is_flag=True, help="Print what would run, with sizes, time and disk space, and change nothing."
)
@options.resuming
@options.execution_options
@click.option("--json", is_flag=True, help="Print the lines of the record; with --dry-run, print the plan.")
@click.pass_obj
def command(
    context: options.CliContext,
    /,
    jobs_file: str,
    output: str | None,
    dry_run: bool,
    overwrite: bool,
    on_existing: str | None,
    checksum: bool,
    retry_failed: bool,
    json: bool,
    keep_going: bool,
    batch_size: str,
    **execution: Any,
) -> int:
    """Run the jobs of a file.

    A job has style or styles, subjects, output, and any option of 'stylebank apply', written with
    underscores. [defaults] holds the settings that jobs share. Every style is applied to every subject.
    Paths start from the folder of the file. Run it again after an interruption: finished pictures are skipped.

    \b
      [defaults]
      size = 1024
      [[job]]
      styles = ["monet", "hokusai"]
      subjects = ["photos", "more/*.png"]
      output = "prints"

    \b
      $ stylebank batch JOBS.toml --dry-run
      $ stylebank batch JOBS.toml --output out --jobs 2
    """
    from ..execution.executors import make_executor
    from ..jobs import job_file
    from ..jobs.apply import execute

    runs = job_file.prepare(
        context.bank,
        jobs_file,
        output,
        overwrite=overwrite,
        on_existing=on_existing,
        checksum=checksum,
        retry_failed=retry_failed,
    )
    executor = make_executor(**execution)
    if dry_run:
        return _print_plan(context, runs, executor, with_json=json)
    start = time.monotonic()
    with reporter(context, with_json=json) as listener:
        entries = execute(runs, executor, batch_size=batch_size, fail_fast=not keep_going, listener=listener)
    return print_summary(context, entries, time.monotonic() - start)


_MAX_REASONS = 5


def _print_plan(context: options.CliContext, runs: Any, executor: Executor, *, with_json: bool) -> int:
    from ..jobs.apply import left_out
    from ..jobs.estimate import estimate as estimate_runs
    from ..jobs.estimate import free_bytes
    from ..jobs.subjects import ignored_line

    ignored = left_out(runs)
    for each in ignored:
        context.detail(f"{printable(each.path)}: {each.reason}; left out")
    if ignored:
        context.note(ignored_line(ignored))
    context.print("timing a few steps")
    estimates = estimate_runs(runs, executor)
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
            f"{f'; {sizes}{more}' if sizes else ''}{takes}"
            f"{f'; {estimate.disk / 1e6:.1f} MB' if estimate.to_make else ''}"
        )
        if estimate.existing:
            click.echo(f"  {estimate.existing}")
        for reason in estimate.reasons[:_MAX_REASONS]:
            click.echo(f"  {reason}")
        if len(estimate.reasons) > _MAX_REASONS:
            click.echo(f"  and {len(estimate.reasons) - _MAX_REASONS} more")
