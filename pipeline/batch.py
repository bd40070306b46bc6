"""Many subjects in one style: planned, made one after another, recorded, skipped when done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import UsageError, printable
from stylebank.files import make_folder

from .plan import plan
from .record import Entry
from .run import Listener, Progress, Run
from .settings import synthesis_settings

__all__ = ["Listener", "Progress", "apply"]


def apply(
    bank: Bank,
    style: str,
    subjects: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    preset: str | None = None,
    name_template: str | None = None,
    overwrite: bool = False,
    recursive: bool = False,
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    max_pixels: int = images.MAX_PIXELS,
    save_every: int | None = None,
    animation: str | os.PathLike[str] | None = None,
    listener: Listener = lambda progress: None,
    **settings: Any,
) -> list[Entry]:
    """Stylise pictures; one that fails stops nothing.

    Parameters
    ----------
    bank, style
        Where the style is, and its name.
    subjects, output, recursive
        As for `plan.plan`.
    preset : {"original"}, optional
        Settings of the original program; those given beside it win.
    name_template
        What outputs are called, as for `plan.plan`.
    overwrite
        Make pictures again that are there already.
    weights, allow_unknown_weights
        Where to find the weights the style was measured with, as for `weights.matching`.
    max_pixels
        Refuse subjects larger than this.
    save_every
        Keep a picture every so many steps, beside the output.
    animation
        A ``.gif`` or ``.webp`` of the way, for one subject.
    listener
        Called with `Progress`.
    **settings
        Fields of `SynthesisSettings`.

    Returns
    -------
    list of Entry
        One a subject, as written to the record in the output folder.

    Raises
    ------
    StylebankError
        Before any work: for an unknown style, one that does not fit, or a plan that
        would overwrite something.
    """
    planned = plan(
        subjects,
        style,
        output,
        format=settings.pop("format", None),
        recursive=recursive,
        name_template=name_template,
        size=synthesis_settings(preset, size=settings.get("size")).size,
        preset=preset,
    )
    chosen = synthesis_settings(preset, format=planned.format, **settings)
    if save_every is not None and save_every < 1:
        raise UsageError(f"save_every {save_every}: expected 1 or more.")
    run = Run(bank, style, planned, chosen, max_pixels, save_every, listener)
    run.check_style(preset, weights, allow_unknown_weights)
    run.check_animation(animation)
    for path in planned.ignored:
        listener(Progress("note", text=f"{printable(path)}: {_why_left_out(path)}; left out"))
    make_folder(planned.folder)
    return [run.one(number, task, overwrite) for number, task in enumerate(planned.tasks, start=1)]


def _why_left_out(path: Path) -> str:
    return "made in this style before" if path.suffix.lower() in images.READ_SUFFIXES else "not a picture by its name"
