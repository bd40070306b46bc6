"""``stylebank status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stylebank.errors import printable

from . import options
from .path_types import PathName

if TYPE_CHECKING:
    from ..jobs.run_files import RunInfo
    from ..jobs.status import FolderStatus

_MOST_REASONS = 8


@click.command("status")
@click.argument("folder", metavar="FOLDER", type=PathName())
@options.json_flag
def command(folder: str, json: bool) -> int:
    """Print how far an output folder is: pictures done, failed and left.

    FOLDER is an --output folder, also while a run writes into it. Failures are counted by reason;
    --retry-failed of 'stylebank apply' and 'stylebank batch' repeats them. The exit code is 1 if
    pictures failed, else 0.

    \b
      $ stylebank status out
      $ stylebank status out --json
    """
    from ..jobs.status import status

    states = status(folder)
    if json:
        options.print_json([state.to_dict() for state in states])
    else:
        for state in states:
            _print(state)
    return 1 if any(state.failed for state in states) else 0


def _print(status: FolderStatus) -> None:
    run = status.latest
    total = run.counts.get("total") if run is not None else None
    reached = sum(count for key, count in run.counts.items() if key != "total") if run is not None else 0
    parts = [f"{len(status.done):,} done", f"{len(status.failed):,} failed"]
    if status.missing:
        parts.append(f"{status.missing:,} removed since")
    click.echo(f"{printable(status.folder)}: {', '.join(parts)}")
    if run is not None and total is not None:
        click.echo(f"  last run: {reached:,} of {total:,} pictures, {total - reached:,} left")
    for each in (*status.runs, status.last):
        if each is not None:
            click.echo(f"  {_run_text(each)}")
    for reason, count in status.reasons.most_common(_MOST_REASONS):
        click.echo(f"  failed {count:>6,}   {reason}")
    rest = len(status.reasons) - _MOST_REASONS
    if rest > 0:
        click.echo(f"  and {rest:,} other reasons; --json prints all")


def _run_text(run: RunInfo) -> str:
    from ..jobs.status import state

    text = {"working": "works", "killed": "was killed, or lost its disk", "ended early": "ended early"}[state(run)]
    return f"{run}: {text}"
