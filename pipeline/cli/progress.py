"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import click

from stylebank.errors import printable

from ..batch import Progress
from .options import Shared

_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def reporter(shared: Shared) -> Iterator[Callable[[Progress], None]]:
    """Give a listener that shows progress as the user's stderr can."""
    if shared.quiet:
        yield _errors_alone
    elif sys.stderr.isatty():
        with _bar() as listener:
            yield listener
    else:
        yield _Lines()


def _errors_alone(progress: Progress) -> None:
    if progress.entry is not None and progress.entry.status == "failed":
        click.echo(f"Error: {progress.entry.error}", err=True)


class _Lines:
    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.kind == "step":
            if time.monotonic() - self._said >= _SECONDS_BETWEEN_LINES:
                self._say(f"{_place(progress)}: {_state(progress)}")
        else:
            line = _event(progress)
            if line:
                self._say(line)

    def _say(self, line: str) -> None:
        click.echo(line, err=True)
        self._said = time.monotonic()


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(bar_width=24),
        rich_progress.TextColumn("{task.fields[state]}", markup=False),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        bar = shown.add_task("setting up", total=None, state="")

        def listener(progress: Progress) -> None:
            if progress.kind == "step":
                shown.update(bar, total=progress.steps, completed=progress.step, state=_state(progress))
            elif progress.kind == "begin":
                shown.update(bar, description=_place(progress), total=None, completed=0, state="")
            else:
                line = _event(progress)
                if line:
                    shown.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield listener


def _place(progress: Progress) -> str:
    assert progress.subject is not None
    return f"[{progress.number}/{progress.total}] {printable(progress.subject.name)}"


def _state(progress: Progress) -> str:
    left = f", {_clock(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"step {progress.step}/{progress.steps}, loss {progress.loss:.4g}{left}"


def _event(progress: Progress) -> str:
    if progress.kind == "note":
        return f"note: {progress.text}"
    entry = progress.entry
    if entry is None:
        return ""
    if entry.status == "failed":
        return f"{_place(progress)}: failed: {entry.error}"
    if entry.status == "skipped":
        return f"{_place(progress)}: skipped: {printable(entry.output)} is made already"
    return (
        f"{_place(progress)}: {printable(entry.output)}, {entry.width} x {entry.height}, "
        f"loss {entry.start_loss:.4g} -> {entry.final_loss:.4g} in {entry.seconds:.0f} s"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
