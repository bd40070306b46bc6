"""The output folders of a command: its place among other runs, and the leases of its pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from stylebank.errors import BankBusy, OutputRefused, StylebankError, plural, printable
from stylebank.files import make_folder, remove_temporaries, shared_lock

from .leases import FolderRuns, joined
from .record import Entry, deciding
from .resume import PendingImage, existing_entry, failed, settle_output
from .run import Run
from .run_files import RunInfo, remove_dead

_COMPACT_SECONDS = 60.0
_POLL_SECONDS = 0.2


class OutputFolders:
    """Output folders of some runs, entered for the time that pictures are computed.

    Parameters
    ----------
    runs
    note
        Called with messages, such as that another run writes into a folder.
    """

    def __init__(self, runs: Sequence[Run], note: Callable[[str], None]) -> None:
        self._runs = runs
        self._note = note
        self._stack = contextlib.ExitStack()
        #: By the identity of a run: its place, or why it has none.
        self._places: dict[int, FolderRuns] = {}
        self._refused: dict[int, StylebankError] = {}

    def __enter__(self) -> OutputFolders:
        by_folder: dict[str, list[Run]] = {}
        for run in self._runs:
            by_folder.setdefault(os.path.realpath(run.planned.folder), []).append(run)
        with contextlib.ExitStack() as stack:
            for runs in by_folder.values():
                folder = runs[0].planned.folder
                make_folder(folder)
                try:
                    place = stack.enter_context(joined(folder))
                except OutputRefused as error:  # pictures that are finished need no lease
                    self._refused |= {id(run): error for run in runs}
                    for run in runs:
                        run.refused = True
                    continue
                self._places |= {id(run): place for run in runs}
                place.count(total=sum(len(run.planned.tasks) for run in runs), done=0, skipped=0, failed=0)
                others = self._without_compaction(place)
                for other in others:
                    self._note(f"{printable(folder)}: another run writes here too ({other}); each computes a part")
                remove_dead(folder)
                tidy = functools.partial(_tidy, folder, runs, others)
                stack.enter_context(shared_lock(folder, on_exclusive=tidy))
                for run in runs:
                    run.outputs.may_write = place.holds
                    if run.outputs.animation is not None:
                        make_folder(run.outputs.animation.parent)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @staticmethod
    def _without_compaction(runs: FolderRuns) -> list[RunInfo]:
        """Wait until no other process shortens the record, and return the other runs."""
        deadline = time.monotonic() + _COMPACT_SECONDS
        others = runs.others()
        while any(other.command == "compact" for other in others):
            if time.monotonic() > deadline:
                raise BankBusy(f"{printable(runs.folder)}: its record is being compacted. Run this again later.")
            time.sleep(_POLL_SECONDS)
            others = runs.others()
        return others

    def claimed(
        self, groups: Iterable[list[PendingImage]], settle: Callable[[PendingImage, Entry], None]
    ) -> Iterator[list[PendingImage]]:
        """Yield the images that this run computes, with their leases.

        Images that another run computes are looked at once more at the end.

        Parameters
        ----------
        groups
            Consumed as late as possible.
        settle
            Called with an image that is not computed here, and its line.
        """
        held: list[PendingImage] = []
        for group in groups:
            claimed = [image for image in group if self._claim(image, settle, held.append)]
            if claimed:
                yield claimed
        left: list[PendingImage] = []
        for image in held:
            if self._claim(image, settle, left.append):
                yield [image]
        for image in left:
            reason = f"{printable(image.task.output)}: another run computes it"
            settle(image, dataclasses.replace(image.entry, status="skipped", error=reason))
        if left:
            are = "is" if len(left) == 1 else "are"
            self._note(f"{plural(len(left), 'picture')} {are} still computed by another run. Run this again to check.")

    def _claim(
        self,
        image: PendingImage,
        settle: Callable[[PendingImage, Entry], None],
        on_held: Callable[[PendingImage], object],
    ) -> bool:
        """Take the lease of an image, and examine it once more: another run may have written it meanwhile."""
        refused = self._refused.get(id(image.run))
        if refused is not None:
            settle(image, failed(image.task, image.entry, str(refused)))
            return False
        place = self._places[id(image.run)]
        try:
            while not (claim := place.claim(image.task.output, _work(image))).granted:
                if claim.same_work or claim.holder is None or image.run.overwrite:
                    on_held(image)
                    return False
                if image.run.on_existing != "number":
                    reason = f"{printable(image.task.output)}: another run writes it with other settings."
                    settle(image, existing_entry(image, reason))
                    return False
                image.set_copy(image.copy + 1)
                entry = settle_output(image)
                if entry is not None:
                    settle(image, entry)
                    return False
            output = image.task.output
            image.run.index.refresh()
            entry = settle_output(image, again=True)
            if entry is None and image.task.output != output:
                place.release(output)
                return self._claim(image, settle, on_held)
        except StylebankError as error:
            entry = failed(image.task, image.entry, str(error))
        if entry is not None:
            self.release(image)
            settle(image, entry)
        return entry is None

    def release(self, image: PendingImage) -> None:
        """Give back the lease of an image that is finished."""
        place = self._places.get(id(image.run))
        if place is not None:
            place.release(image.task.output)

    def count(self, image: PendingImage, entry: Entry) -> None:
        """Count a finished image, for ``stylebank status``."""
        place = self._places.get(id(image.run))
        if place is not None:
            place.count(**{entry.status: 1})


def _tidy(folder: Path, runs: Sequence[Run], others: Sequence[RunInfo]) -> None:
    """Remove the temporary files of killed runs, if no other run is alive."""
    if others:
        return
    outputs = [task.output.parent for run in runs for task in run.planned.tasks if task.problem is None]
    for parent in {folder, *outputs}:
        remove_temporaries(parent)


def _work(image: PendingImage) -> str:
    """Return a text that is equal for runs that compute the same picture, on any machine."""
    entry = image.entry
    work = [entry.style_sha256, entry.weights_sha256, deciding(entry.settings), Path(entry.subject).name]
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
