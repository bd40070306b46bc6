"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from stylebank.errors import printable

from ..jobs.events import Progress
from ..jobs.record import Entry
from ..jobs.summary import format_duration, summary
from .options import CliContext
from .streams import shows_bars

_SECONDS_BETWEEN_LINES = 10.0
_VERBOSE_SECONDS_BETWEEN_LINES = 1.0


@contextlib.contextmanager
def reporter(context: CliContext, *, with_json: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a listener that shows progress on stderr and, with ``--json``, prints the lines of the record."""
    statuses: Counter[str] = Counter()
    total = 0
    try:
        with _progress_listener(context) as show:

            def listener(progress: Progress) -> None:
                nonlocal total
                if progress.entry is not None:
                    total = progress.total
                    statuses[progress.entry.status] += 1
                show(progress)
                if with_json and progress.entry is not None:
                    context.print_result(progress.entry.json())

            yield listener
    except KeyboardInterrupt:
        if total > 1:
            text = f"{statuses.total()} of {total} pictures: {_counted(statuses)}"
            context.print(text, event="summary", total=total, **statuses)
        raise


@contextlib.contextmanager
def _progress_listener(context: CliContext) -> Iterator[Callable[[Progress], None]]:
    if context.log_json:
        yield lambda progress: None  # the events are logged
    elif context.quiet:
        yield _print_error
    elif shows_bars():
        with _progress_bars(context.verbose) as listener:
            yield listener
    else:
        lines = _LinePrinter(context.verbose)
        yield lines
        lines.end()


def print_summary(context: CliContext, entries: Sequence[Entry], seconds: float) -> int:
    """Print the totals of a run and return its exit code."""
    totals = summary(entries, seconds)
    if len(entries) > 1 and not context.log_json:
        for line in totals.lines():
            context.print(line)
    counts = {"done": totals.done, "failed": totals.failed, "skipped": totals.skipped}
    context.print(
        _counted(counts) or "no pictures", event="summary", total=len(entries), **counts, seconds=round(seconds, 3)
    )
    return 1 if totals.failed else 0


def _counted(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in statuses.items() if count) or "nothing to do"


@contextlib.contextmanager
def scale_reporter(
    context: CliContext, image: str, number: int, total: int
) -> Iterator[Callable[[int, int, int], None]]:
    """Yield a listener that shows which scale is measured, on a terminal or with ``--verbose``."""
    name = printable(Path(image).name)

    def line(scale: int, done: int, scales: int) -> str:
        return f"[{number}/{total}] {name}: measuring at {scale}, {done} of {scales}"

    if context.quiet or not (context.verbose or context.log_json or shows_bars()):
        yield lambda scale, done, scales: None
    elif context.log_json or not shows_bars():
        yield lambda scale, done, scales: context.print(
            line(scale, done, scales), event="measure", subject=image, number=number, total=total
        )
    else:
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True).status(escape(f"[{number}/{total}] {name}: setting up")) as status:
            yield lambda scale, done, scales: status.update(escape(line(scale, done, scales)))


def _print_error(progress: Progress) -> None:
    if progress.entry is not None and progress.entry.status == "failed":
        click.echo(f"Error: {progress.entry.error}", err=True)


class _Counts:
    """Counts of a run's pictures, and its throughput."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._done = 0
        self._failed = 0
        self._finished = 0
        self._workers: Counter[str] = Counter()

    def count(self, entry: Entry) -> None:
        self._finished += 1
        self._done += entry.status == "done"
        self._failed += entry.status == "failed"
        if entry.worker and entry.status == "done":
            self._workers[entry.worker] += 1

    def line(self, progress: Progress) -> str:
        """Return total, throughput, time left and the count of each worker."""
        parts = [f"{self._finished} of {progress.total}"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        seconds = time.monotonic() - self._start
        if self._done and seconds > 1:
            parts.append(f"{3600 * self._done / seconds:,.0f} an hour")
        if progress.seconds_left is not None and self._finished < progress.total:
            parts.append(f"{format_duration(progress.seconds_left)} left")
        if len(self._workers) > 1:
            parts.append(", ".join(f"{printable(name)}: {count}" for name, count in sorted(self._workers.items())))
        return "; ".join(parts)


class _EventLines:
    """Lines to print for each event; skipped pictures are counted, and reported in one line."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._skipped = 0
        self._left = 0
        self._last = ""

    def lines(self, progress: Progress) -> list[str]:
        entry = progress.entry
        line = _event_text(progress, self._verbose)
        if entry is not None and entry.status == "skipped" and not self._verbose:
            self._skipped += 1
            self._left += entry.error is not None
            self._last = line
            return []
        starts_work = progress.kind in {"step", "detail"} or (entry is not None and entry.status == "done")
        return [*(self.skipped_lines() if starts_work else []), *([line] if line else [])]

    def skipped_lines(self) -> list[str]:
        """Return the line for the skipped pictures since the last call."""
        count, left = self._skipped, self._left
        self._skipped = self._left = 0
        if count <= 1:
            return [self._last] if count else []
        lines = [f"{count - left:,} already finished, skipped"] if count > left else []
        return [*lines, *([f"{left:,} other pictures or of other runs, not computed; -v names each"] if left else [])]


class _LinePrinter:
    def __init__(self, verbose: bool) -> None:
        self._events = _EventLines(verbose)
        self._seconds_between = _VERBOSE_SECONDS_BETWEEN_LINES if verbose else _SECONDS_BETWEEN_LINES
        self._last_print = time.monotonic()
        self._last_counts = time.monotonic()
        self._tally = _Counts()

    def __call__(self, progress: Progress) -> None:
        for line in self._events.lines(progress):
            self._print(line)
        if progress.kind == "step":
            if time.monotonic() - self._last_print >= self._seconds_between:
                self._print(f"{_image_text(progress)}: {_step_text(progress)}")
            return
        if progress.entry is not None:
            self._tally.count(progress.entry)
            # a single picture has its own line
            if progress.total > 1 and time.monotonic() - self._last_counts >= self._seconds_between:
                self._print(self._tally.line(progress))
                self._last_counts = time.monotonic()

    def end(self) -> None:
        """Print the lines that are held back."""
        for line in self._events.skipped_lines():
            self._print(line)

    def _print(self, line: str) -> None:
        click.echo(line, err=True)
        self._last_print = time.monotonic()


@contextlib.contextmanager
def _progress_bars(verbose: bool) -> Iterator[Callable[[Progress], None]]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(bar_width=24),
        rich_progress.TextColumn("{task.fields[state]}", markup=False),
    )
    tally, events = _Counts(), _EventLines(verbose)
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("setting up", total=None, state="")
        total_bar = bars.add_task("all", total=None, state="", visible=False)

        def print_line(line: str) -> None:
            bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

        def listener(progress: Progress) -> None:
            for line in events.lines(progress):
                print_line(line)
            if progress.kind == "step":
                bars.update(bar, total=progress.steps, completed=progress.step, state=_step_text(progress))
                return
            if progress.kind == "begin":
                bars.update(bar, description=_image_text(progress), total=None, completed=0, state="")
                return
            if progress.entry is not None and progress.total > 1:
                tally.count(progress.entry)
                bars.update(total_bar, total=progress.total, advance=1, state=tally.line(progress), visible=True)

        yield listener
        for line in events.skipped_lines():
            print_line(line)


def _image_text(progress: Progress) -> str:
    assert progress.subject is not None
    more = f" and {progress.together - 1} more" if progress.together > 1 else ""
    return f"[{progress.number}/{progress.total}] {printable(progress.subject.name)}{more}"


def _step_text(progress: Progress) -> str:
    left = f", {format_duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"step {progress.step}/{progress.steps}, loss {progress.loss:.4g}{left}"


def _event_text(progress: Progress, verbose: bool) -> str:
    if progress.kind in {"note", "detail"}:
        return f"{progress.kind}: {progress.text}" if verbose or progress.kind == "note" else ""
    entry = progress.entry
    if entry is None:
        return ""
    if entry.status == "failed":
        return f"{_image_text(progress)}: failed: {entry.error}"
    if entry.status == "skipped":
        reason = entry.error or f"{printable(entry.output)} is already finished"
        return f"{_image_text(progress)}: skipped: {reason}"
    return (
        f"{_image_text(progress)}: {printable(entry.output)}, {entry.width} x {entry.height}, "
        f"loss {entry.start_loss:.4g} -> {entry.final_loss:.4g} in {entry.seconds:.0f} s"
        f"{f' on {printable(entry.worker)}' if entry.worker else ''}"
    )
