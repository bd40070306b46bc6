"""Resuming: which images of a run are complete by the record, and which are pending."""

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
    """One image on its way through decoding, synthesis and writing."""

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
        """Cost of the synthesis, in pixels times steps."""
        width, height = self.size or (1, 1)
        return float(width * height * self.run.settings.steps)


def find_pending(runs: Sequence[Run]) -> Iterator[tuple[PendingImage, Entry | None]]:
    """Examine every subject and output; decode only a subject with an unreadable header, to report why.

    Yields
    ------
    PendingImage
    Entry or None
        None for an image to compute; for one that is complete or has failed, its line of the record.
    """
    tasks = [(run, task) for run in runs for task in run.planned.tasks]

    def examine(pair: tuple[int, tuple[Run, Task]]) -> tuple[PendingImage, Entry | None]:
        number, (run, task) = pair
        image = PendingImage(run, task, number, new_entry(run, task))
        if task.problem is not None:
            return image, failed(task, image.entry, task.problem)
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
    """Return the line of a complete image; None for an image to compute.

    Raises
    ------
    OutputRefused
        If the output exists and the record does not show it as this image.
    """
    if run.overwrite:
        return None
    entry = _matching_entry(run, task)
    animation = run.outputs.animation
    if entry is None and animation and animation.exists():
        raise OutputRefused(f"{printable(animation)}: exists already. Add --overwrite to replace it.")
    return entry


def _matching_entry(run: Run, task: Task) -> Entry | None:
    """Return the line whose subject, style, settings and output digest match; an existing file is no proof."""
    if not os.path.lexists(task.output):
        return None
    wanted = new_entry(run, task)
    digest = _digest_regular(task.subject)
    if digest is None or None in wanted.settings.get("masks", {}).values():  # reading it reports why
        return None
    wanted = dataclasses.replace(wanted, subject_sha256=digest)
    matches = {entry.output_sha256: entry for entry in run.earlier.get(wanted.output, ()) if entry.same_work(wanted)}
    entry = matches.get(_digest_regular(task.output) or "") if matches else None
    if entry is not None:
        if run.outputs.lacks_snapshots(task):
            return None
        return dataclasses.replace(entry, subject=wanted.subject, status="skipped", losses=None, timings=None)
    raise OutputRefused(
        f"{printable(task.output)}: exists already, and by the record it is not this subject in this style "
        "with these settings. Add --overwrite to replace it, or give another --output."
    )


def _digest_regular(path: Path) -> str | None:
    """Return the digest of a regular file, else None: reading a FIFO would block."""
    try:
        return digest_file(path) if stat.S_ISREG(path.stat().st_mode) else None
    except OSError:
        return None


def new_entry(run: Run, task: Task) -> Entry:
    """Return the line of an image before it is computed."""
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
    """Return the line of a failed image."""
    if printable(task.subject) not in reason and printable(task.output) not in reason:
        reason = f"{printable(task.subject)}: {reason}"
    return dataclasses.replace(entry, status="failed", error=reason)
