"""The pictures of a contact sheet before they are computed: one run for each style and combination of settings."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from stylebank.bank import Bank
from stylebank.bank.ordering import by_tags_and_similarity
from stylebank.errors import StylebankError, StyleFileError, UsageError, printable

from .apply import prepare
from .record import Entry
from .run import Run
from .varied import option_name, value_text

#: The pictures on the way to the sheet.
_FILES = {"format": "png", "metadata": False}
_UNFINISHED = "the run ended before this picture was finished"


@dataclass(eq=False)
class Trial:
    """One picture: a style with the values of the varied settings.

    Attributes
    ----------
    label : str
        Text below the picture.
    run : Run or None
        None for a style that cannot be tried; `failure` is the reason.
    entry : Entry or None
        Outcome of the run.
    """

    label: str
    style: str
    varied: Mapping[str, Any]
    run: Run | None = None
    image: Image.Image | None = None
    failure: StylebankError | None = None
    entry: Entry | None = None

    @property
    def error(self) -> str:
        """Reason for a missing picture."""
        if self.failure is not None:
            return str(self.failure)
        return str(self.entry.error) if self.entry is not None else _UNFINISHED


def find_trials(
    bank: Bank, styles: Sequence[str], tags: Sequence[str], combinations: Sequence[Mapping[str, Any]]
) -> list[Trial]:
    """Return a trial for each style and combination of values, in the order of the sheet.

    Raises
    ------
    UsageError
        For an unknown style, if no style is left, or for several with values.
    """
    entries, damaged = bank.entries()
    if styles:
        known = {header.name for header, _path in entries}
        damaged = [error for name in dict.fromkeys(styles) if name not in known for error in _damage(bank, name)]
        entries = [entry for entry in entries if entry[0].name in styles]
    entries = [entry for entry in entries if set(tags) <= set(entry[0].tags)]
    failures = [
        Trial(error.path.name if error.path is not None else "a style", "", {}, failure=error) for error in damaged
    ]
    if not entries:
        if damaged:
            raise damaged[0]
        which = "has no such style with these tags" if tags else "is empty"
        advice = "'stylebank list' shows all." if tags else "'stylebank add IMAGE' adds a style."
        raise UsageError(f"{printable(bank.folder)}: no style to try, the bank {which}. {advice}")
    if combinations != [{}] and len(entries) + len(failures) > 1:
        raise UsageError(
            f"vary: settings are varied for one style, and {len(entries) + len(failures)} are chosen. "
            "Name one with --style."
        )
    names = [header.name for header, _path in by_tags_and_similarity(entries)]
    return [
        *(Trial(label_of(varied) or name, name, varied) for name in names for varied in combinations),
        *(dataclasses.replace(trial, style=trial.label) for trial in failures),
    ]


def prepare_trials(
    trials: Sequence[Trial],
    bank: Bank,
    photo: str | os.PathLike[str],
    size: tuple[int, int],
    folder: Path,
    common: Mapping[str, Any],
) -> None:
    """Plan a run for each picture, and read each style once, so that a damaged one fails alone.

    Parameters
    ----------
    size
        Width and height of the photograph.
    folder
        Folder of the pictures.
    common
        Keywords of `prepare` for all pictures.

    Raises
    ------
    StylebankError
        For a wrong value of a varied setting.
    """
    readable: set[str] = set()
    for number, trial in enumerate(trials):
        if trial.failure is not None:
            continue
        try:
            options = {**common, **trial.varied, **_FILES}
            run = prepare(bank, trial.style, [photo], folder / f"{number:05d}.png", **options)
            try:
                run.size_of(size)
            except UsageError as error:
                raise UsageError(f"{printable(photo)}: {error}") from error
            if trial.style not in readable:
                run.context(remote=False)
                run.release()
                readable.add(trial.style)
            trial.run = run
        except StylebankError as error:
            if trial.varied:  # a wrong value
                raise
            trial.failure = error


def label_of(varied: Mapping[str, Any]) -> str:
    """Return settings as a label, such as ``strength 0.3, seed 1``."""
    return ", ".join(f"{option_name(name)} {value_text(value)}" for name, value in varied.items())


def _damage(bank: Bank, name: str) -> list[StyleFileError]:
    """Return why a style of the bank cannot be read; raise for an unknown one."""
    try:
        bank.header(name)
    except StyleFileError as error:
        return [error]
    return []
