"""``stylebank batch``."""

from __future__ import annotations

import time
from typing import Any

import click

from . import options
from .console import print_summary, reporter
from .dry_run import print_plan
from .path_types import PathName


@click.command("batch")
@click.argument("jobs_file", metavar="JOBS.toml", type=PathName())
@click.option(
    "-o",
    "--output",
    type=PathName(),
    help="Folder that all outputs stay below.  [default: the folder of JOBS.toml]",
)
@click.option(
    "--dry-run", is_flag=True, help="Print what would run, with sizes, memory, time and disk space, and change nothing."
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
        return print_plan(context, runs, executor, with_json=json)
    start = time.monotonic()
    with reporter(context, with_json=json) as listener:
        entries = execute(runs, executor, batch_size=batch_size, fail_fast=not keep_going, listener=listener)
    return print_summary(context, entries, time.monotonic() - start)
