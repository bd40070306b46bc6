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
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=PathName())
@options.json_flag
def command(folders: tuple[str, ...], json: bool) -> int:
    """Print how far an output folder is: pictures done, failed and left.

    FOLDERs are --output folders, also while runs write into them. Failures are counted by reason;
    --retry-failed of 'stylebank apply' and 'stylebank batch' repeats them. The exit code is 1 if
    pictures failed, or are left without a run that works, else 0.

    \b
      $ stylebank status out
      $ stylebank status out --json
    """
    from ..jobs.status import status

    states = [state for folder in folders for state in status(folder)]
    if json:
        options.print_json([state.to_dict() for state in states])
    else:
        for state in states:
            _print(state)
    return 1 if any(state.failed or state.is_unfinished for state in states) else 0


def _print(status: FolderStatus) -> None:
    from ..jobs.summary import failure_reason

    parts = [f"{len(status.done):,} done", f"{len(status.failed):,} failed"]
    if status.missing:
        parts.append(f"{status.missing:,} removed since")
    if status.left is not None:
        parts.append(f"{status.left:,} left")
    click.echo(f"{printable(status.folder)}: {', '.join(parts)}")
    for run in status.known_runs:
        click.echo(f"  {_run_text(run)}")
    first = {failure_reason(entry): entry.subject for entry in reversed(status.failed)}
    for reason, count in status.reasons.most_common(_MOST_REASONS):
        more = f" and {count - 1:,} more" if count > 1 else ""
        click.echo(f"  failed: {printable(first[reason])}{more}: {reason}")
    rest = len(status.reasons) - _MOST_REASONS
    if rest > 0:
        click.echo(f"  and {rest:,} other reasons; --json prints all")
    if status.failed:
        click.echo("  --retry-failed of the same command repeats the failed pictures alone")
    if status.left and not any(run.alive for run in status.known_runs):
        click.echo("  the same command computes those that are left")


def _run_text(run: RunInfo) -> str:
    from ..jobs.status import state

    text = {"working": "works", "killed": "was killed, or lost its disk", "ended early": "ended early"}[state(run)]
    reached = sum(count for key, count in run.counts.items() if key != "total")
    counts = f", {reached:,} of {run.counts['total']:,} pictures" if "total" in run.counts else ""
    return f"{run}: {text}{counts}"
