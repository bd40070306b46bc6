"""Resuming: which images of a run are complete by the record, and which are pending."""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import stylebank
from stylebank.errors import OutputRefused, StylebankError, printable
from stylebank.files import digest_file
from stylebank.images import Picture, shown_size

from ..synthesis.masks import RegionMasks
from .existing import Difference, describe
from .naming import numbered, too_long
from .plan import Task
from .record import Entry
from .run import Run

_THREADS = 8
_MOST_COPIES = 10_000
_refreshing = threading.Lock()  # images are examined in several threads
Stat = list[int] | None


@dataclass(eq=False)
class PendingImage:
    """One image on its way through decoding, synthesis and writing.

    Attributes
    ----------
    task : Task
        With the output that is written, which can have a number.
    copy : int
        Number in the name of the output; 1 for none.
    difference : Difference or None
        Existing output that is another picture.
    output_stat
        State of the output when it was examined; None if there was none.
    """

    run: Run
    task: Task
    number: int
    entry: Entry
    copy: int = 1
    difference: Difference | None = None
    output_stat: Stat = None
    size: tuple[int, int] | None = None
    picture: Picture | None = None
    regions: RegionMasks | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    planned: Task = field(init=False)

    def __post_init__(self) -> None:
        self.planned = self.task

    def set_copy(self, copy: int) -> None:
        """Set the number in the name of the output.

        Raises
        ------
        OutputRefused
            If the name is too long.
        """
        self.copy = copy
        output = self.planned.output if copy == 1 else numbered(self.planned.output, copy)
        reason = too_long(output)
        if reason is not None:
            raise OutputRefused(f"{reason} Give the subject or the style a shorter name.")
        self.task = Task(self.planned.subject, output)
        number = None if copy == 1 else copy
        self.entry = dataclasses.replace(self.entry, output=_relative(self.run, self.task), copy=number)

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
        None for an image to compute; for one that is complete, stays, or has failed, its line.
    """
    tasks = [(run, task) for run in runs for task in run.planned.tasks]

    def examine(pair: tuple[int, tuple[Run, Task]]) -> tuple[PendingImage, Entry | None]:
        number, (run, task) = pair
        image = PendingImage(run, task, number, new_entry(run, task))
        if task.problem is not None:
            return image, failed(task, image.entry, task.problem)
        try:
            entry = settle_output(image)
            if entry is None:
                subject_size = shown_size(task.subject)
                image.size = run.size_of(subject_size if subject_size is not None else run.load(task).size)
                if subject_size is not None:
                    run.check_masks(task, subject_size, image.size)
        except StylebankError as error:
            return image, failed(image.task, image.entry, str(error))
        return image, entry

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(examine, enumerate(tasks, start=1))


def settle_output(image: PendingImage, *, again: bool = False) -> Entry | None:
    """Compare an image with what has its output's name, and apply the run's policy to another picture.

    With the policy ``number``, `image.task` gets the first free or finished numbered output. ``skip`` and ``fail``
    look for a finished one, too.

    Parameters
    ----------
    again
        Whether the image was examined before. Then even `Run.overwrite` does not replace the same picture, if
        another run has written it meanwhile.

    Returns
    -------
    Entry or None
        None for an image to compute; a line for one that is complete, and for an output that stays.

    Raises
    ------
    OutputRefused
        If the animation exists and gets no number, or no numbered output is possible.
    """
    run = image.run
    for copy in range(image.copy, _MOST_COPIES):
        if copy != image.copy:
            image.set_copy(copy)
        if copy > 1 and run.outputs.is_taken(image.task.output):
            continue
        before, image.output_stat = image.output_stat, file_stat(image.task.output, follow=False)
        if image.output_stat is None and image.difference is not None and run.on_existing in {"skip", "fail"}:
            difference = image.difference
            image.set_copy(1)
            return existing_entry(
                image, f"{printable(difference.task.output)}: exists already, and {difference.reason}."
            )
        if image.output_stat is None or (run.overwrite and (not again or image.output_stat == before)):
            break
        known = len(run.index.done(image.entry.output))
        entry, reason = _compare(image)
        if reason is not None and _lines(image) > known:
            entry, reason = _compare(image)
        if entry is not None:
            return entry
        if reason is None or run.overwrite:
            break
        image.difference = image.difference or Difference(image.task, reason)
        if run.on_existing == "overwrite":
            break
    else:
        raise OutputRefused(f"{printable(image.planned.output)}: {_MOST_COPIES:,} copies exist. Move some away.")
    _settle_animation(run)
    return None


def _lines(image: PendingImage) -> int:
    """Return the number of lines of an output, with those of a run that has written it since the record was read.

    A line is written before its picture appears, so the picture of another run has its line here.
    """
    with _refreshing:
        image.run.index.refresh()
    return len(image.run.index.done(image.entry.output))


def existing_entry(image: PendingImage, reason: str) -> Entry:
    """Return the line of an image in whose place another picture stays."""
    if image.run.on_existing == "fail":
        advice = "Add --overwrite to replace it, or choose with --on-existing."
        return failed(image.task, image.entry, f"{reason} {advice}")
    return dataclasses.replace(image.entry, status="skipped", error=reason)


def _settle_animation(run: Run) -> None:
    """Apply the policy of the pictures to an animation that exists: number it, replace it, or refuse it."""
    animation = run.outputs.animation
    if animation is None or run.overwrite or run.on_existing == "overwrite" or not animation.exists():
        return
    if run.on_existing != "number":
        raise OutputRefused(f"{printable(animation)}: exists already. Give another --animation, or --on-existing.")
    copies = (numbered(animation, copy) for copy in range(2, _MOST_COPIES))
    run.outputs.animation = next((path for path in copies if not path.exists()), animation)


def may_replace(image: PendingImage) -> bool:
    """Return whether the output is as it was when the image was examined, or may be replaced in any state."""
    unchanged = file_stat(image.task.output, follow=False) == image.output_stat
    return unchanged or image.run.overwrite or image.run.on_existing == "overwrite"


def _compare(image: PendingImage) -> tuple[Entry | None, str | None]:
    """Return the line of a complete image, or in what the output is another picture, or neither.

    Subject, style, settings and digest of the output must match; an existing file alone is no proof.
    """
    run, task = image.run, image.task
    entries = run.index.done(image.entry.output)
    subject_stat = file_stat(task.subject)
    digest = _subject_digest(run, task, subject_stat, entries)
    if digest is None or None in image.entry.settings.get("masks", {}).values():  # reading it reports why
        return None, None
    wanted = dataclasses.replace(image.entry, subject_sha256=digest)
    for entry in _whole(run, task, image.output_stat, [entry for entry in entries if entry.same_work(wanted)]):
        if run.outputs.lacks_snapshots(task):
            return None, None
        return dataclasses.replace(entry, subject=wanted.subject, status="skipped"), None
    return None, describe(wanted, entries)


def _subject_digest(run: Run, task: Task, status: Stat, entries: Sequence[Entry]) -> str | None:
    """Return the digest of a subject, from the record if size and time are unchanged; None if it is no file."""
    if status is None:
        return None
    for entry in () if run.checksum else reversed(entries):
        if entry.subject_stat == status and Path(entry.subject).name == task.subject.name:
            return entry.subject_sha256
    return digest_regular(task.subject)


def _whole(run: Run, task: Task, status: Stat, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose picture the output is, by size and time or by its digest."""
    if not run.checksum:
        unchanged = [entry for entry in entries if entry.output_stat is not None and entry.output_stat == status]
        if unchanged:
            return unchanged[-1:]
    digest = digest_regular(task.output) if entries else None
    return [entry for entry in entries if digest is not None and entry.output_sha256 == digest][-1:]


def file_stat(path: Path, *, follow: bool = True) -> Stat:
    """Return size and time of change of a file; None if there is none, or no regular one if links are followed."""
    try:
        status = path.stat() if follow else path.lstat()
    except OSError:
        return None
    if follow and not stat.S_ISREG(status.st_mode):
        return None
    return [status.st_size, status.st_mtime_ns]


def digest_regular(path: Path) -> str | None:
    """Return the digest of a regular file, else None: reading a FIFO would block."""
    try:
        return digest_file(path) if stat.S_ISREG(path.stat().st_mode) else None
    except OSError:
        return None


def _relative(run: Run, task: Task) -> str:
    return os.path.relpath(task.output, run.planned.folder)


def new_entry(run: Run, task: Task) -> Entry:
    """Return the line of an image before it is computed."""
    return Entry(
        subject=os.fspath(task.subject),
        subject_sha256=None,
        style=run.style_spec.text,
        style_sha256=run.style_sha256,
        settings={**run.recorded, **run.mask_files.recorded(task.subject)},
        output=_relative(run, task),
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
