"""``stylebank record``."""

from __future__ import annotations

import click

from stylebank.errors import plural, printable

from . import options
from .path_types import PathName


@click.group("record")
def command() -> None:
    """Maintain the record of an output folder.

    \b
      $ stylebank record compact out
    """


@command.command("compact")
@click.argument("folder", metavar="FOLDER", type=PathName())
@options.json_flag
@click.pass_obj
def compact_command(context: options.CliContext, /, folder: str, json: bool) -> None:
    """Shorten the records in FOLDER and below it.

    The last line of each picture stays, and so do failures that were not repeated with success.
    Losses that older versions kept in the record move to stylebank.losses.jsonl.

    \b
      $ stylebank record compact out
    """
    from ..jobs.compact import compact

    results = compact(folder)
    if json:
        options.print_json(
            [
                {
                    "record": printable(result.record),
                    "lines_before": result.lines_before,
                    "lines_after": result.lines_after,
                    "bytes_before": result.bytes_before,
                    "bytes_after": result.bytes_after,
                }
                for result in results
            ]
        )
        return
    for result in results:
        context.print(
            f"{printable(result.record)}: {plural(result.lines_before, 'line')} before, {result.lines_after:,} after; "
            f"{result.bytes_before / 1e3:,.1f} kB before, {result.bytes_after / 1e3:,.1f} kB after"
        )
