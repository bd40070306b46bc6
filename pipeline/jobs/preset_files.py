"""The files of presets, `stylebank.toml`: where they are, and what may stand in them."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from stylebank.errors import UsageError, printable
from stylebank.files import describe_os_error

from ..settings import ON_EXISTING, SYNTHESIS_PRESETS, SynthesisSettings
from ..validation import field_types, shown
from .job_schema import QuotedText, Where, checked, key_of, key_types, unknown
from .naming import check_template
from .style_spec import below
from .toml_file import read_toml
from .user_paths import put_files_below

FILE_NAME = "stylebank.toml"
MAX_BYTES = 1 << 16
MAX_PRESETS = 100
#: Sources of presets, in order of precedence.
WORKING_FOLDER, USER, BANK = "working folder", "user", "bank"

_NAME = re.compile(r"[^\W_][\w-]{0,63}")
#: Keys of a job that say what to put into which style, and where.
_OF_ONE_RUN = ("style", "styles", "subjects", "subjects_from", "output", "animation")
#: Settings that are valid only beside another one.
_COMPANIONS: Mapping[str, dict[str, Any]] = {
    "learning_rate": {"optimizer": "adam"},
    "depth": {"format": "tiff"},
    "fit": {"print": "A4"},
    "proof_at": {"proof": 512},
}


@dataclass(frozen=True)
class PresetFile:
    """A file of presets, which is read when it is asked for.

    Attributes
    ----------
    path : Path
    source : {"working folder", "user", "bank"}
    """

    path: Path
    source: str

    @functools.cached_property
    def tables(self) -> Mapping[str, Any]:
        """The values below ``[presets]`` by name, unchecked.

        Raises
        ------
        UsageError
            If the file cannot be read, is too large or no TOML, or has other tables.
        """
        content = self._content[1]
        for key in content:
            if key != "presets":
                raise self.where.error((key,), unknown(key, {"presets"}, "tables [presets.NAME]"))
        tables = content.get("presets", {})
        if not isinstance(tables, dict):
            raise self.where.error(("presets",), "presets: expected tables. Write [presets.NAME].")
        if len(tables) > MAX_PRESETS:
            text = f"presets: {len(tables):,} presets; a file has at most {MAX_PRESETS}. Remove some."
            raise self.where.error(("presets",), text)
        return tables

    @functools.cached_property
    def where(self) -> Where:
        """Builds errors that name the file and a line."""
        return Where(self.path, self._content[0])

    @functools.cached_property
    def _content(self) -> tuple[str, dict[str, Any]]:
        try:
            if not self.path.is_file():
                raise UsageError(f"{printable(self.path)}: not a regular file. Rename or remove it.")
        except OSError as error:
            raise UsageError(f"{printable(self.path)}: {describe_os_error(error)}") from error
        return read_toml(self.path, "file of presets", MAX_BYTES)

    def read(self, name: str) -> tuple[dict[str, Any], str]:
        """Check a preset of the file, and no other one.

        Parameters
        ----------
        name
            A key of `tables`.

        Returns
        -------
        values : dict
            Keywords of `prepare.prepare`. Paths start from the folder of the file.
        extends : str
            The preset below it.

        Raises
        ------
        UsageError
            ``FILE, line N: reason. What to do.``
        """
        place = ("presets", name)
        if not _NAME.fullmatch(name):
            text = "Use letters, digits, - and _, at most 64, and a letter or digit first"
            raise self.where.error(place, f"{printable(shown(name))}: not a name for a preset. {text}.")
        if name.casefold() in SYNTHESIS_PRESETS:
            raise self.where.error(place, f"{name}: the name of a built-in preset. Choose another name.")
        table = self.tables[name]
        if not isinstance(table, dict):
            raise self.where.error(place, f"{name} = {shown(table)}: expected a table. Write [presets.{name}].")
        for key in table:
            reason = self._refusal(key_of(key), table[key])
            if reason is not None:
                raise self.where.error((*place, key), f"{printable(key)}: {reason}")
        values = checked(table, place, self.where, _key_types())
        for key in table:
            try:
                _check_range(key_of(key), values[key_of(key)])
            except UsageError as error:
                raise self.where.error((*place, key), str(error)) from None
        extends = values.pop("extends", "standard")
        put_files_below(values, self.path.parent)
        if "mask" in values:
            masks = [values["mask"]] if isinstance(values["mask"], str) else values["mask"]
            values["mask"] = [below(mask, self.path.parent, regions=True) for mask in masks]
        return values, extends

    def _refusal(self, key: str, value: Any) -> str | None:
        if key in _OF_ONE_RUN:
            return "a preset says how a picture looks, not what it is of. Give this in the command or the job."
        if key == "preset":
            return 'a preset builds on another one by extends, such as extends = "draft". Write extends.'
        setting = key in field_types(SynthesisSettings) and key != "memory_limit"
        is_path = key == "init" and value not in ("subject", "noise")
        if self.source != BANK or key not in _key_types() or key == "extends" or (setting and not is_path):
            return None
        return (
            f"not allowed in a bank, whose file may come from somebody else and holds only the settings of a picture. "
            f"Move the preset to {FILE_NAME} in the working folder"
            f"{'' if (folder := user_folder()) is None else f' or in {printable(folder)}'}."
        )


def preset_keys() -> frozenset[str]:
    """Return the keywords of `prepare.prepare` that a preset can have."""
    return frozenset(_key_types()) - {"extends"}


@functools.cache
def _key_types() -> dict[str, Any]:
    without = {*_OF_ONE_RUN, "preset"}
    return {**{key: hint for key, hint in key_types().items() if key not in without}, "extends": QuotedText}


def _check_range(key: str, value: Any) -> None:
    """Check a value alone.

    Raises
    ------
    UsageError
    """
    if key in field_types(SynthesisSettings):
        SynthesisSettings(**{**_COMPANIONS.get(key, {}), key: value})
    elif key == "on_existing" and value not in ON_EXISTING:
        raise UsageError(f"on_existing {shown(value)}: expected one of {', '.join(ON_EXISTING)}.")
    elif key == "name_template":
        check_template(value)


def user_folder() -> Path | None:
    """Return the folder of the user's file, or None for a user without a home folder."""
    try:
        folder = platformdirs.user_config_path("stylebank")
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None


def preset_files(bank_folder: Path) -> list[PresetFile]:
    """Return the files that exist, in order of precedence.

    A file that has two of the places counts as the last of them: the file of a bank stays one in its own folder.

    Parameters
    ----------
    bank_folder
        Folder of the bank, which need not exist.
    """
    folders: list[tuple[str, Path | None]] = [(WORKING_FOLDER, Path()), (USER, user_folder()), (BANK, bank_folder)]
    files: dict[str, PresetFile] = {}
    for source, folder in reversed(folders):
        if folder is None:
            continue
        path = Path(os.path.abspath(folder / FILE_NAME))
        if os.path.lexists(path):
            files.setdefault(os.path.realpath(path), PresetFile(path, source))
    return list(reversed(files.values()))
