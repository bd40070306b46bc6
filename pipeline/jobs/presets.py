"""Presets: the built-in ones, and those of the user in `stylebank.toml`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from stylebank.errors import StylebankError, UsageError, printable
from stylebank.images import READ_SUFFIXES

from ..print_sizes import overridden
from ..settings import SYNTHESIS_PRESETS
from ..validation import shown
from . import prepare as preparation
from .preset_files import PresetFile, preset_files
from .run import Run
from .subjects import is_folder

BUILT_IN = "built-in"


@dataclass(frozen=True)
class Preset:
    """A set of values for `apply`.

    Attributes
    ----------
    name : str
    source : {"built-in", "working folder", "user", "bank"}
    path : Path or None
        The file of the preset; None for a built-in one.
    extends : str or None
        The preset below it; None for a built-in one.
    base : str
        The built-in preset at the bottom.
    own : mapping
        The values of this preset alone.
    values : mapping
        Keywords of `prepare.prepare`: its own values, over those of the presets below it. The settings of `base`
        are not among them.
    overridden_by : Path or None
        A file of higher precedence that has a preset of the same name.
    """

    name: str
    source: str = BUILT_IN
    path: Path | None = None
    extends: str | None = None
    base: str = "standard"
    own: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    overridden_by: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the preset for JSON; `settings` has all that it sets, those of the presets below it included."""
        return {
            "name": self.name,
            "source": self.source,
            "path": None if self.path is None else os.fspath(self.path),
            "extends": self.extends,
            "settings": {**SYNTHESIS_PRESETS[self.base], **self.values},
            "overridden_by": None if self.overridden_by is None else os.fspath(self.overridden_by),
        }


def presets(bank: Bank) -> tuple[list[Preset], list[UsageError]]:
    """List the built-in presets and those of the user.

    Parameters
    ----------
    bank
        Bank whose folder may have a file of presets.

    Returns
    -------
    presets : list of Preset
        The built-in ones, then those of the working folder, the user and the bank.
    errors : list of UsageError
        One for each file or preset that is broken.
    """
    found = [Preset(name, base=name, own=values) for name, values in SYNTHESIS_PRESETS.items()]
    errors: dict[str, UsageError] = {}
    files = preset_files(bank.folder)
    owners: dict[str, PresetFile] = {}
    for file in files:
        try:
            names = list(file.tables)
        except UsageError as error:
            errors.setdefault(str(error), error)
            continue
        for name in names:
            owner = owners.setdefault(name, file)
            try:
                preset = _resolve(name, files, file)
            except UsageError as error:
                errors.setdefault(str(error), error)
            else:
                found.append(preset if owner is file else replace(preset, overridden_by=owner.path))
    return found, list(errors.values())


def preset_names(bank: Bank) -> list[str]:
    """Return the names of all presets; a file that is broken has none."""
    names = dict.fromkeys(SYNTHESIS_PRESETS)
    for file in preset_files(bank.folder):
        try:
            names |= dict.fromkeys(file.tables)
        except StylebankError:
            continue
    return list(names)


def find(bank: Bank, preset: str | Preset | None) -> Preset:
    """Return a preset by its name; for None, ``standard``.

    No file is read for a built-in preset. For another one, the files are read in order of precedence until one
    has it, and only this preset is checked, with those below it.

    Parameters
    ----------
    bank
        Bank whose folder may have a file of presets.
    preset
        A name, or a preset, which is returned as it is.

    Raises
    ------
    UsageError
        For an unknown preset, and for a file or preset that is broken.
    """
    if isinstance(preset, Preset):
        return preset
    if preset is None:
        return Preset("standard")
    if not isinstance(preset, str):
        raise UsageError(f"preset {shown(preset)}: expected a text. Give the name of a preset.")
    if preset in SYNTHESIS_PRESETS:
        return Preset(preset, base=preset)
    files = preset_files(bank.folder)
    file = _file_with(preset, files)
    if file is None:
        raise UsageError(f"preset {shown(preset)}: unknown. {_suggestion(preset, files)}")
    return _resolve(preset, files, file)


def _file_with(name: str, files: Sequence[PresetFile]) -> PresetFile | None:
    return next((file for file in files if name in file.tables), None)


def _resolve(name: str, files: Sequence[PresetFile], file: PresetFile) -> Preset:
    parts: list[tuple[dict[str, Any], str]] = []
    seen: set[tuple[Path, str]] = set()
    current, holder = name, file
    while True:
        seen.add((holder.path, current))
        values, extends = holder.read(current)
        parts.append((values, extends))
        if extends in SYNTHESIS_PRESETS:
            break
        place = ("presets", current, "extends")
        below = _file_with(extends, files)
        if below is None:
            text = f"extends = {shown(extends)}: no such preset. {_suggestion(extends, files)}"
            raise holder.where.error(place, text)
        if (below.path, extends) in seen:
            text = f"extends = {shown(extends)}: a circle of presets that extend each other. Leave out one extends."
            raise holder.where.error(place, text)
        current, holder = extends, below
    merged: dict[str, Any] = {}
    for values, _extends in reversed(parts):
        merged = overridden(merged, values)
    own, extends = parts[0]
    return Preset(name, file.source, file.path, extends, parts[-1][1], own, merged)


def _suggestion(name: str, files: Sequence[PresetFile]) -> str:
    names = [*SYNTHESIS_PRESETS, *(each for file in files for each in file.tables)]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Built in are {', '.join(SYNTHESIS_PRESETS)}; 'stylebank presets' lists all, with their files."


def prepare(
    bank: Bank,
    style: str | Sequence[str],
    subjects: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    preset: str | Preset | None = None,
    **options: Any,
) -> Run:
    """Plan a run as `prepare.prepare` does, with any preset.

    Parameters
    ----------
    bank, style, subjects, output
        As for `prepare.prepare`.
    preset
        As for `find`.
    **options
        Keywords of `prepare.prepare`. They override the preset, unless they are None. An `output` that is a file
        overrides the names and the format of a preset.

    Raises
    ------
    StylebankError
    """
    chosen = find(bank, preset)
    values = dict(chosen.values)
    if output is not None and Path(output).suffix.lower() in READ_SUFFIXES and not is_folder(Path(output)):
        for key in ("format", "name_template"):
            values.pop(key, None)
    values = overridden(values, {key: value for key, value in options.items() if value is not None})
    run = preparation.prepare(bank, style, subjects, output, preset=chosen.base, preset_name=chosen.name, **values)
    if chosen.path is not None:
        run.remarks.append(f"preset {chosen.name}: {printable(chosen.path)}")
    return run
