"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from stylebank.errors import printable

from ..batch import Progress
from .options import Shared

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_WHEN_VERBOSE = 1.0


@contextlib.contextmanager
def reporter(shared: Shared, *, with_json: bool) -> Iterator[Callable[[Progress], None]]:
    """Give a listener that shows progress as the user's stderr can, and prints the record's lines."""
    with _shown(shared) as show:

        def listener(progress: Progress) -> None:
            show(progress)
            if with_json and progress.entry is not None:
                click.echo(progress.entry.json())

        yield listener


@contextlib.contextmanager
def _shown(shared: Shared) -> Iterator[Callable[[Progress], None]]:
    if shared.quiet:
        yield _errors_alone
    elif sys.stderr.isatty():
        with _bar(shared.verbose) as listener:
            yield listener
    else:
        yield _Lines(shared.verbose)


@contextlib.contextmanager
def scale_reporter(shared: Shared, image: str, number: int, total: int) -> Iterator[Callable[[int, int, int], None]]:
    """Give a listener that tells which scale of a painting is measured, on a terminal or to who wants more."""
    name = printable(Path(image).name)

    def line(scale: int, done: int, scales: int) -> str:
        return f"[{number}/{total}] {name}: measuring at {scale}, {done} of {scales}"

    if shared.quiet or not (shared.verbose or sys.stderr.isatty()):
        yield lambda scale, done, scales: None
    elif not sys.stderr.isatty():
        yield lambda scale, done, scales: shared.note(line(scale, done, scales))
    else:
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True).status(escape(f"[{number}/{total}] {name}: setting up")) as status:
            yield lambda scale, done, scales: status.update(escape(line(scale, done, scales)))


def _errors_alone(progress: Progress) -> None:
    if progress.entry is not None and progress.entry.status == "failed":
        click.echo(f"Error: {progress.entry.error}", err=True)


class _Lines:
    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._pause = _SECONDS_WHEN_VERBOSE if verbose else _SECONDS_BETWEEN_LINES
        self._said = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.kind == "step":
            if time.monotonic() - self._said >= self._pause:
                self._say(f"{_place(progress)}: {_state(progress)}")
        else:
            line = _event(progress, self._verbose)
            if line:
                self._say(line)

    def _say(self, line: str) -> None:
        click.echo(line, err=True)
        self._said = time.monotonic()


@contextlib.contextmanager
def _bar(verbose: bool) -> Iterator[Callable[[Progress], None]]:
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
                line = _event(progress, verbose)
                if line:
                    shown.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield listener


def _place(progress: Progress) -> str:
    assert progress.subject is not None
    return f"[{progress.number}/{progress.total}] {printable(progress.subject.name)}"


def _state(progress: Progress) -> str:
    left = f", {_clock(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"step {progress.step}/{progress.steps}, loss {progress.loss:.4g}{left}"


def _event(progress: Progress, verbose: bool) -> str:
    if progress.kind in {"note", "detail"}:
        return f"{progress.kind}: {progress.text}" if verbose or progress.kind == "note" else ""
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
