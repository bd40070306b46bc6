"""Notes of a run on what was asked for and on its pictures, which a dry run prints as well."""

from __future__ import annotations

from collections.abc import Sequence

from stylebank.errors import StylebankError, printable
from stylebank.images import Picture, shown_size

from . import prints
from .outdated_styles import outdated_styles
from .resume import PendingImage
from .run import Run

#: Pictures that a dry run decodes. Of more, it reads the sizes alone.
_MOST_DECODED = 8


def request_notes(runs: Sequence[Run]) -> list[str]:
    """Return the notes on settings and styles of runs, each once."""
    notes = [*(note for run in runs for note in run.notes()), outdated_styles(runs)]
    if not any(run.planned.tasks for run in runs):
        notes.append("no picture failed before, by the record; nothing is repeated")
    return [note for note in dict.fromkeys(notes) if note]


def picture_notes(image: PendingImage, picture: Picture) -> list[str]:
    """Return the notes on a picture, as `Run.fitted` returns it, and on its masks, each mask once in a run."""
    notes = [f"{printable(image.task.subject)}: {note}" for note in picture.notes]
    notes += image.run.mask_files.take_notes(image.task.subject)
    if image.run.outputs.loses_alpha(picture):
        text = f"{image.run.settings.format} has no transparency; composited over white (--format png keeps it)"
        notes.append(f"{printable(image.task.output)}: {text}")
    return notes


def expected_notes(pending: Sequence[PendingImage]) -> list[str]:
    """Return the notes that runs will print on their pictures, before they are computed.

    Up to 8 pictures are decoded. Of more, only the notes on prints are returned, which need no more than their size.
    """
    notes: list[str] = []
    for image in pending:
        try:
            if len(pending) <= _MOST_DECODED:
                notes += _decoded_notes(image)
            elif (size := shown_size(image.task.subject)) is not None:
                of_print = prints.notes_of(size, image.run.settings)
                notes += [f"{printable(image.task.subject)}: {note}" for note in of_print]
        except StylebankError:  # the run reports why, as a failure of the picture
            continue
    return list(dict.fromkeys(notes))


def _decoded_notes(image: PendingImage) -> list[str]:
    whole = image.run.load(image.task)
    picture = image.run.fitted(whole)
    image.run.regions_of(image.task, whole.size, image.run.size_of(whole.size))
    return picture_notes(image, picture)
