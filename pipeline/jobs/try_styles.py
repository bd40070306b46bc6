"""Try styles, or the settings of one style, on a photograph: draft pictures side by side on one sheet."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import StyleFileError, UsageError, plural, printable
from stylebank.pages import sheet as pages
from stylebank.pages.panels import Panel, Sheet

from ..execution import batching
from ..execution.executors import make_executor
from ..execution.temporary import temporary_folder
from .apply import ImagesFailed, execute
from .events import Listener, Notice, Progress
from .naming import numbered
from .shell_command import apply_command
from .trials import Trial, find_trials, label_of, prepare_trials
from .varied import checked, option_name

PRESET = "draft"
#: Settings of a draft, which the command of the large picture leaves out unless they are varied.
_DRAFT = {"preset", "size", "steps"}


def try_styles(
    bank: Bank,
    photo: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    styles: Sequence[str] = (),
    tags: Sequence[str] = (),
    vary: Mapping[str, Sequence[Any]] | None = None,
    preset: str | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    devices: Sequence[str | int] = (),
    cluster: str | None = None,
    device: str | None = None,
    deterministic: bool = False,
    batch_size: str | int = batching.AUTO,
    fail_fast: bool = False,
    listener: Listener = lambda progress: None,
    on_refused: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> Sheet:
    """Put a photograph into many styles, or into one style with several settings, on one contact sheet.

    Parameters
    ----------
    bank
    photo
        A picture file.
    output
        The sheet, a ``.jpg``, ``.png`` or ``.html`` file; None writes none. If the run ends early, by Ctrl-C too,
        it is written with the pictures that are finished.
    styles
        Names of styles; by default all of the bank. They stand in the order of
        `stylebank.bank.ordering.by_tags_and_similarity`.
    tags
        Only styles that have all of them.
    vary : mapping of str to sequence, optional
        Values of one or two settings, for a single style. Those of the first are columns, those of the second rows.
    preset
        As for `prepare`; ``draft`` by default.
    overwrite
        Overwrite an existing sheet.
    jobs, devices, cluster, device, deterministic, batch_size, fail_fast, listener
        As for `apply.apply`. In events, the output of an entry is the label of its picture.
    on_refused
        Called with the reason for each style that cannot be tried, before the first picture.
    **options
        Keywords of `prepare`: ``mask``, ``weights``, ``allow_unknown_weights``, ``max_pixels``, and the fields of
        `SynthesisSettings`.

    Returns
    -------
    Sheet
        Its `failed` are the pictures that are missing.

    Raises
    ------
    StylebankError
        Before any picture is computed: for an unknown style or setting, a photograph that cannot be read, an
        existing sheet, or if no style can be tried.
    ImagesFailed
        If all pictures failed. Then there is no sheet.
    """
    target = None if output is None else pages.require_output(output, overwrite=overwrite)
    values = checked(vary or {}, {**options, "preset": preset})
    common = {**options, "preset": None if "preset" in values else preset or PRESET}
    combinations = [
        dict(zip(values, reversed(each), strict=True)) for each in itertools.product(*reversed(values.values()))
    ]
    picture = images.load(photo, max_pixels=options.get("max_pixels") or images.MAX_PIXELS)
    trials = find_trials(bank, styles, tags, combinations)
    with temporary_folder() as folder:
        prepare_trials(trials, bank, photo, picture.size, folder, common)
        ready = [trial for trial in trials if trial.run is not None]
        if not ready:
            raise trials[0].failure or UsageError("no style to try.")
        for trial in trials:
            if isinstance(trial.failure, StyleFileError):
                on_refused(str(trial.failure))
            elif trial.failure is not None:
                on_refused(f"{printable(trial.style)}: {trial.failure}")
        executor = make_executor(jobs, devices, cluster, device, deterministic)
        result: Sheet | None = None
        ended = False
        try:
            execute(
                [trial.run for trial in ready if trial.run is not None],
                executor,
                batch_size=batch_size,
                fail_fast=fail_fast,
                listener=_labelled(listener, ready),
            )
            ended = True
        finally:  # what is finished is kept, whatever ends the run
            _read_pictures(ready, folder)
            if any(trial.image for trial in ready):
                result = _sheet(bank, photo, picture, trials, values, {**options, "preset": preset})
                if target is not None:
                    result = _write(result, target, overwrite, listener)
                    if not ended:
                        count = plural(len(result.panels) - len(result.failed), "picture")
                        listener(Notice(text=f"{printable(target)}: {count} of {len(result.panels)}"))
    if result is None:
        raise ImagesFailed([trial.entry for trial in ready if trial.entry is not None])
    return result


def default_output(photo: str | os.PathLike[str]) -> Path:
    """Return the first free name of ``NAME.sheet.jpg``, ``NAME.sheet-2.jpg``, ... in the working folder."""
    first = Path(f"{Path(photo).stem}.sheet.jpg")
    return _free(first)


def _free(path: Path) -> Path:
    names = itertools.chain([path], (numbered(path, number) for number in itertools.count(2)))
    return next(name for name in names if not os.path.lexists(name))


def _labelled(listener: Listener, trials: Sequence[Trial]) -> Listener:
    """Return a listener that keeps the entries, names pictures by their labels, and drops notes that repeat."""
    said: set[str] = set()

    def listen(progress: Progress) -> None:
        if isinstance(progress, Notice):
            if progress.text in said:
                return
            said.add(progress.text)
        elif progress.entry is not None:
            trial = trials[progress.number - 1]
            trial.entry = progress.entry
            progress = dataclasses.replace(progress, entry=dataclasses.replace(progress.entry, output=trial.label))
        listener(progress)

    return listen


def _read_pictures(trials: Sequence[Trial], folder: Path) -> None:
    for trial in trials:
        if trial.entry is not None and trial.entry.status == "done":
            trial.image = _image(images.load(folder / trial.entry.output))


def _image(picture: images.Picture, size: tuple[int, int] | None = None) -> Image.Image:
    pixels = images.composite_on_white(picture.pixels, picture.alpha)
    return Image.fromarray(images.to_uint8(pixels if size is None else images.resize(pixels, size)))


def _sheet(
    bank: Bank,
    photo: str | os.PathLike[str],
    picture: images.Picture,
    trials: Sequence[Trial],
    values: Mapping[str, Sequence[Any]],
    options: Mapping[str, Any],
) -> Sheet:
    name = Path(photo).name
    size = max((trial.image.size for trial in trials if trial.image is not None), key=max)
    kept = {key: value for key, value in options.items() if key not in _DRAFT}
    if options.get("preset") not in {None, PRESET}:
        kept["preset"] = options["preset"]
    panels = tuple(
        Panel(
            trial.label,
            trial.image,
            "" if trial.image is not None else trial.error,
            apply_command(bank, trial.style, photo, {**kept, **trial.varied}) if trial.run is not None else "",
        )
        for trial in trials
    )
    labels = [tuple(label_of({name: value}) for value in values[name]) for name in values]
    columns, rows = labels if len(labels) == 2 else ((), ())
    return Sheet(_title(name, trials, values), Panel(name, _image(picture, size)), panels, columns, rows)


def _title(name: str, trials: Sequence[Trial], values: Mapping[str, Any]) -> str:
    count = len({trial.style for trial in trials})
    chosen = trials[0].style if count == 1 else plural(count, "style")
    varied = f" by {' and '.join(map(option_name, values))}" if values else ""
    settings = [trial.run.settings for trial in trials if trial.run is not None]
    sizes, steps = ({getattr(each, key) for each in settings} for key in ("size", "steps"))
    parts = [f"{size} pixels" for size in sizes if size and len(sizes) == 1]
    parts += [plural(step, "step") for step in steps if len(steps) == 1]
    return f"{name} in {chosen}{varied}" + (f": {', '.join(parts)}" if parts else "")


def _write(sheet: Sheet, target: Path, overwrite: bool, listener: Listener) -> Sheet:
    """Write the sheet, beside a file that has taken its name meanwhile."""
    path = target if overwrite else _free(target)
    pages.write(sheet, path, overwrite=overwrite, note=lambda text: listener(Notice(text=text)))
    return dataclasses.replace(sheet, path=path)
