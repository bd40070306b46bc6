"""Apply a style to many subjects: plan, compute, record, and skip what is complete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from stylebank.bank import Bank
from stylebank.errors import StylebankError, UsageError, plural, printable

from ..execution import batching
from ..execution.executors import Executor, make_executor
from .each import blend_note, require_folder, single_styles
from .events import Listener, Notice, Progress, logged
from .notes import request_notes
from .plan import require_possible
from .prepare import files_beside_subjects
from .presets import prepare
from .print_plan import print_notes
from .record import Entry
from .record_index import Records
from .run import Run
from .runner import Runner
from .subjects import Ignored, ignored_line
from .together import check_together

__all__ = ["Listener", "Progress", "apply", "execute", "files_beside_subjects", "make_executor", "prepare"]


def apply(
    bank: Bank,
    style: str | Sequence[str],
    subjects: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    each: bool = False,
    jobs: int | None = None,
    devices: Sequence[str | int] = (),
    cluster: str | None = None,
    device: str | None = None,
    deterministic: bool = False,
    batch_size: str | int = batching.AUTO,
    fail_fast: bool = False,
    on_error: str = "raise",
    listener: Listener = lambda progress: None,
    **options: Any,
) -> list[Entry]:
    """Stylize images. An image that fails does not stop the others.

    Parameters
    ----------
    bank, style
        The bank and the name of a style, or several styles as for `prepare`.
    subjects, output
        As for `plan.plan`.
    each
        Compute images of each style, in place of a blend. `output` is then a folder.
    jobs, devices, cluster, device, deterministic
        Where the images are computed, as for `make_executor`.
    batch_size : int or "auto"
        Images of one size in a batch, each with its loss.
    fail_fast
        Stop at the first image that fails.
    on_error : {"raise", "return"}
        Whether images that failed raise `ImagesFailed` after the others are done, or are entries with status
        ``failed``.
    listener
        Called with `Progress`.
    **options
        As for `prepare`, including the fields of `SynthesisSettings`.

    Returns
    -------
    list of Entry
        One per subject, and with `each` per style, as written to the record in the output folder; with `fail_fast`,
        up to the failure.

    Raises
    ------
    StylebankError
        Before any image is computed: for an unknown style, a style that does not fit, or a plan without an
        output that can be written.
    ImagesFailed
        After all images, if some failed and `on_error` is ``raise``; its `entries` are the result.
    """
    check_on_error(on_error)
    runs, notes = prepare_runs(bank, style, subjects, output, each=each, **options)
    executor = make_executor(jobs, devices, cluster, device, deterministic)
    for note in notes:
        logged(listener)(Notice(text=note))
    entries = execute(runs, executor, batch_size=batch_size, fail_fast=fail_fast, listener=listener)
    return raise_failures(entries) if on_error == "raise" else entries


def prepare_runs(
    bank: Bank,
    style: str | Sequence[str],
    subjects: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    each: bool = False,
    **options: Any,
) -> tuple[list[Run], list[str]]:
    """Return the runs of `apply`, checked, and notes on the request; parameters and errors are those of `apply`."""
    styles = [style] if isinstance(style, str) else list(style)
    groups = [[name] for name in single_styles(styles, exists=bank.__contains__)] if each else [styles]
    records = options.pop("records", None) or Records()
    runs = [prepare(bank, group, subjects, output, records=records, **options) for group in groups]
    if len(runs) > 1:
        require_folder(runs)
        check_together(runs)
    require_possible([run.planned for run in runs])
    note = "" if each else blend_note(styles, runs[0])
    return runs, [note] if note else []


class ImagesFailed(StylebankError):
    """Some images of a run failed; the others are done.

    Attributes
    ----------
    entries : list of Entry
        Lines of all images.
    """

    def __init__(self, entries: list[Entry]) -> None:
        errors = [str(entry.error) for entry in entries if entry.status == "failed"]
        count = f"{len(errors):,} of {plural(len(entries), 'image')} failed: " if len(entries) > 1 else ""
        more = f" And {len(errors) - 1:,} more; 'entries' of this error has them all." if len(errors) > 1 else ""
        super().__init__(f"{count}{errors[0]}{more}")
        self.entries = entries


def check_on_error(on_error: str) -> None:
    """Raise `UsageError` for an unknown value."""
    if on_error not in {"raise", "return"}:
        raise UsageError(f"on_error {on_error!r}: expected 'raise' or 'return'.")


def raise_failures(entries: list[Entry]) -> list[Entry]:
    """Return the entries, or raise `ImagesFailed` if one of them is a failure."""
    if any(entry.status == "failed" for entry in entries):
        raise ImagesFailed(entries)
    return entries


def execute(
    runs: Sequence[Run],
    executor: Executor,
    *,
    batch_size: str | int = batching.AUTO,
    fail_fast: bool = False,
    listener: Listener = lambda progress: None,
) -> list[Entry]:
    """Execute prepared runs; parameters, result and errors are those of `apply`."""
    listener = logged(listener)
    size = batching.parse(batch_size)
    ignored = left_out(runs)
    for each in ignored:
        listener(Notice(text=f"{printable(each.path)}: {each.reason}; left out", verbose=True))
    for note in request_notes(runs):
        listener(Notice(text=note))
    if not any(run.planned.tasks for run in runs):
        return []
    for note in print_notes(runs, executor):
        listener(Notice(text=note))
    with executor:
        entries = Runner(runs, executor, batch_size=size, fail_fast=fail_fast, listener=listener).execute()
    if ignored:
        listener(Notice(text=ignored_line(ignored)))
    return entries


def left_out(runs: Sequence[Run]) -> list[Ignored]:
    """Return the files and folders that are not subjects, each once; a mask of one of the runs as a mask."""
    masks = {path for run in runs for path in run.mask_files.paths(task.subject for task in run.planned.tasks)}
    ignored = {each.path: each for run in runs for each in run.planned.ignored}
    return [Ignored(path, "a mask") if os.path.realpath(path) in masks else each for path, each in ignored.items()]
