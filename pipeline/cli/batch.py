"""``stylebank batch``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from stylebank.errors import plural, printable

from . import options
from .console import clock, print_summary, reporter

if TYPE_CHECKING:
    from ..jobs.estimate import Estimate


@click.command("batch")
@click.argument("jobs_file", metavar="JOBS.toml", type=click.Path())
@click.option(
    "-o", "--output", type=click.Path(), help="The folder all outputs stay under.  [default: that of JOBS.toml]"
)
@click.option("--dry-run", is_flag=True, help="Print what there is to do, its time and its disk, and do nothing.")
@click.option("--overwrite", is_flag=True, help="Make pictures again that are there already.")
@options.execution_options
@click.option("--json", is_flag=True, help="Print the record's lines; with --dry-run, the plan.")
@click.pass_obj
def command(
    shared: options.CliContext,
    /,
    jobs_file: str,
    output: str | None,
    dry_run: bool,
    overwrite: bool,
    json: bool,
    keep_going: bool,
    batch_size: str,
    **executor: Any,
) -> int:
    """Make the pictures of a job file.

    A job has style or styles, subjects, output, and any option of 'stylebank apply' with underscores;
    [defaults] holds what jobs share. Each style is crossed with each subject. Paths start from the file's
    folder. Run it again after any interruption: what is made already is not made again.

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
    from ..jobs import job_file as job_files
    from ..jobs.apply import execute

    runs = job_files.prepare(shared.bank, jobs_file, output, overwrite=overwrite)
    chosen = make_executor(**executor)
    if dry_run:
        return _tell(shared, runs, chosen.workers, with_json=json)
    began = time.monotonic()
    with reporter(shared, with_json=json) as listener:
        entries = execute(runs, chosen, batch_size=batch_size, fail_fast=not keep_going, listener=listener)
    return print_summary(shared, entries, time.monotonic() - began)


_MOST_REASONS = 5


def _tell(shared: options.CliContext, runs: Any, workers: int, *, with_json: bool) -> int:
    from ..jobs.apply import left_out
    from ..jobs.estimate import estimate, free_bytes

    for text in left_out(runs):
        shared.note(f"note: {text}")
    shared.note("timing a few steps")
    estimates = estimate(runs)
    setup = sum(told.setup or 0.0 for told in estimates)
    seconds = sum(told.seconds or 0.0 for told in estimates)
    disk = sum(told.disk for told in estimates)
    pictures = sum(told.to_make for told in estimates)
    free = min((free_bytes(run.planned.folder) for run in runs), default=0)
    if with_json:
        totals = {"pictures": pictures, "seconds": round(seconds, 3), "setup": round(setup, 3)}
        totals |= {"workers": workers, "disk": disk, "free": free}
        options.print_json({"runs": [told.to_dict() for told in estimates], **totals})
    else:
        _print(estimates)
        click.echo(
            f"in all: {plural(pictures, 'picture')}, about {clock(setup + seconds)} in one process"
            f"{f' of {workers}, which share the cores or have a GPU each' if workers > 1 else ''}, "
            f"{clock(setup)} of it setting up, {disk / 1e6:.1f} MB of {free / 1e6:,.0f} MB free"
        )
    if disk > free:
        click.echo("Warning: the disk will not hold them. Free some space, or give another --output.", err=True)
    return 0


def _print(estimates: Sequence[Estimate]) -> None:
    for told in estimates:
        sizes = ", ".join(f"{count} of {width} x {height}" for (width, height), count in told.sizes.most_common(5))
        more = f" and {plural(len(told.sizes) - 5, 'more size')}" if len(told.sizes) > 5 else ""
        takes = f"; {clock(told.seconds)}" if told.seconds is not None else ""
        click.echo(
            f"{printable(told.folder)}: {told.style}: {told.to_make} to make, {told.made} made already"
            f"{f', {told.failed} that cannot be' if told.failed else ''}"
            f"{f'; {sizes}{more}' if sizes else ''}{takes}{f'; {told.disk / 1e6:.1f} MB' if told.to_make else ''}"
        )
        for reason in told.reasons[:_MOST_REASONS]:
            click.echo(f"  {reason}")
        if len(told.reasons) > _MOST_REASONS:
            click.echo(f"  and {len(told.reasons) - _MOST_REASONS} more")
