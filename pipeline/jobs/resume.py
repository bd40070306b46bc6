"""A look at every subject and output before any is decoded: what is made, and what is to be."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import stylebank
from stylebank.errors import OutputRefused, StylebankError, printable
from stylebank.files import digest_file
from stylebank.images import Picture, shown_size

from ..synthesis.masks import RegionMasks
from .plan import Task
from .record import Entry
from .run import Run

_THREADS = 8


@dataclass(eq=False)
class PendingImage:
    """One picture on its way through the stages."""

    run: Run
    task: Task
    number: int
    entry: Entry
    size: tuple[int, int] | None = None
    picture: Picture | None = None
    regions: RegionMasks | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """What it takes, in pixels times steps."""
        width, height = self.size or (1, 1)
        return float(width * height * self.run.settings.steps)


def find_pending(runs: Sequence[Run]) -> Iterator[tuple[PendingImage, Entry | None]]:
    """Look at every subject and output; decode only a subject whose header is unreadable, to say why.

    Yields
    ------
    item, entry
        A picture to make with None, or one that is made or cannot be with its line.
    """
    tasks = [(run, task) for run in runs for task in run.planned.tasks]

    def examine(pair: tuple[int, tuple[Run, Task]]) -> tuple[PendingImage, Entry | None]:
        number, (run, task) = pair
        image = PendingImage(run, task, number, new_entry(run, task))
        try:
            entry = completed_entry(run, task)
        except StylebankError as error:
            return image, failed(task, image.entry, str(error))
        if entry is None:
            subject_size = shown_size(task.subject)
            try:
                image.size = run.size_of(subject_size if subject_size is not None else run.load(task).size)
                if subject_size is not None:
                    run.mask_files.check(task.subject, subject_size, image.size)
            except StylebankError as error:
                return image, failed(task, image.entry, str(error))
        return image, entry

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(examine, enumerate(tasks, start=1))


def completed_entry(run: Run, task: Task) -> Entry | None:
    """Return the line of a picture that need not be made, None for one to make.

    Raises
    ------
    OutputRefused
        If something else stands where the output goes.
    """
    if run.overwrite:
        return None
    entry = _matching_entry(run, task)
    animation = run.outputs.animation
    if entry is None and animation and animation.exists():
        raise OutputRefused(f"{printable(animation)}: exists already. Add --overwrite to replace it.")
    return entry


def _matching_entry(run: Run, task: Task) -> Entry | None:
    """Return the line that shows the output to be this work's; that a file exists proves nothing."""
    if not os.path.lexists(task.output):
        return None
    wanted = new_entry(run, task)
    digest = _digest_regular(task.subject)
    if digest is None or None in wanted.settings.get("masks", {}).values():  # reading it will say why
        return None
    wanted = dataclasses.replace(wanted, subject_sha256=digest)
    matches = {entry.output_sha256: entry for entry in run.earlier.get(wanted.output, ()) if entry.same_work(wanted)}
    entry = matches.get(_digest_regular(task.output) or "") if matches else None
    if entry is not None:
        if run.outputs.lacks_snapshots(task):
            return None
        return dataclasses.replace(entry, subject=wanted.subject, status="skipped", losses=None, timings=None)
    raise OutputRefused(
        f"{printable(task.output)}: exists already, and the record does not show it as this subject in this "
        "style with these settings. Add --overwrite to replace it, or give another --output."
    )


def _digest_regular(path: Path) -> str | None:
    """Digest of a file, None where there is none to read; a FIFO would hang."""
    try:
        return digest_file(path) if stat.S_ISREG(path.stat().st_mode) else None
    except OSError:
        return None


def new_entry(run: Run, task: Task) -> Entry:
    """Return a line that says what is wanted, and nothing yet of what came of it."""
    return Entry(
        subject=os.fspath(task.subject),
        subject_sha256=None,
        style=run.style_spec.text,
        style_sha256=run.style_sha256,
        settings={**run.recorded, **run.mask_files.recorded(task.subject)},
        output=os.path.relpath(task.output, run.planned.folder),
        output_sha256=None,
        width=None,
        height=None,
        status="failed",
        error=None,
        start_loss=None,
        final_loss=None,
        steps=None,
        seconds=None,
        backend="none",
        device="none",
        precision="none",
        version=stylebank.__version__,
        weights_sha256=run.fingerprint.weights_sha256,
    )


def failed(task: Task, entry: Entry, reason: str) -> Entry:
    """Return the line of a picture that could not be made."""
    if printable(task.subject) not in reason and printable(task.output) not in reason:
        reason = f"{printable(task.subject)}: {reason}"
    return dataclasses.replace(entry, status="failed", error=reason)
