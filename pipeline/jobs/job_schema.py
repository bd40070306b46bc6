"""Keys and types of a job file, derived from the types of the settings and of `prepare.prepare`."""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta

from stylebank.errors import UsageError, printable

from ..settings import SynthesisSettings
from ..validation import LAYER_WEIGHTS, Flag, Integer, Number, Weight, description, field_types, shown
from .prepare import prepare
from .toml_lines import TomlLines

#: Options of the command that have another name in Python.
_OPTIONS = {"layer_weight": "layer_weights", "from_file": "subjects_from"}
#: Options of `stylebank batch` for the whole run.
_RUN_OPTIONS = {
    "jobs",
    "device",
    "devices",
    "deterministic",
    "cluster",
    "batch_size",
    "fail_fast",
    "keep_going",
    "retry_failed",
}
#: Keywords of `prepare.prepare` that a job cannot have.
_NOT_KEYS = {"records", "output_folders", "retry_failed", "preset_name"}

_LONGEST_KEY = 60
QuotedText = Annotated[str, Meta(description="a text in quotes")]
_NonEmpty = Annotated[str, Meta(min_length=1)]
_TextList = Annotated[list[_NonEmpty], Meta(description="a list of texts in quotes")]
_OneOrMore = Annotated[list[_NonEmpty], Meta(min_length=1)]
_Styles = Annotated[list[_NonEmpty | _OneOrMore], Meta(min_length=1)]
_Weights = Annotated[dict[str, Weight], Meta(min_length=1)]
_KEY_TYPES: Mapping[str, Any] = {
    "style": Annotated[_NonEmpty | _OneOrMore, Meta(description="a text in quotes, or a list of such")],
    "styles": Annotated[
        _Styles | _Weights,
        Meta(description="a list of texts in quotes or of lists of them, or a table of names and weights of 0 or more"),
    ],
    "subjects": _TextList,
    "subjects_from": Annotated[_NonEmpty | list[_NonEmpty], Meta(description="a text in quotes, or a list of such")],
    "output": QuotedText,
    "mask": Annotated[_NonEmpty | list[_NonEmpty], Meta(description="a text in quotes, or a list of such")],
    "layer_weights": Annotated[_OneOrMore | _Weights, LAYER_WEIGHTS],
}


@functools.cache
def key_types() -> dict[str, Any]:
    """Return the type of each key of a job: its own keys, and every keyword of `prepare.prepare` and the settings."""
    keywords = inspect.signature(prepare).parameters.values()
    hints = typing.get_type_hints(prepare, include_extras=True)
    options = {
        keyword.name: hints[keyword.name]
        for keyword in keywords
        if keyword.kind is keyword.KEYWORD_ONLY and keyword.name not in _NOT_KEYS
    }
    options |= field_types(SynthesisSettings)
    return {**{key: _toml_type(hint) for key, hint in options.items()}, **_KEY_TYPES}


def key_of(name: str) -> str:
    """Return the keyword in Python for a key as it is written: with hyphens, or with the name of the option."""
    key = name.replace("-", "_")
    return _OPTIONS.get(key, key)


def _toml_type(hint: Any) -> Any:
    """Return the TOML counterpart of a type: the first of a union, a text for a path, a list for a tuple."""
    if get_origin(hint) in {typing.Union, types.UnionType}:
        return _toml_type(get_args(hint)[0])
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(base) is tuple:
        return _TextList
    if hint is not base and base is not str:
        return hint
    return {str: QuotedText, bool: Flag, int: Integer, float: Number}[base]


def checked(
    table: Mapping[str, Any], place: tuple[str | int, ...], where: Where, known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Check every key and value of a table; return it with underscores for hyphens.

    Parameters
    ----------
    table, place, where
        The table, its keys from the top of the file, and the file.
    known
        The type of each key; by default `key_types`.

    Raises
    ------
    UsageError
        For an unknown or repeated key, and for a value of another type.
    """
    known = key_types() if known is None else known
    values: dict[str, Any] = {}
    for name, value in table.items():
        key = key_of(name)
        key_place = (*place, name)
        if key in _RUN_OPTIONS:
            option = "--" + key.replace("_", "-")
            raise where.error(key_place, f"{name}: an option of the whole run. Give {option} to the command.")
        if key == "each":
            raise where.error(key_place, 'each: not a key of a job. Write styles = ["NAME", ...], which does that.')
        if key not in known:
            raise where.error(key_place, unknown(name, known, "the options of 'stylebank apply'"))
        if key in values:
            raise where.error(key_place, f"{printable(name)}: repeats the key {key}. Remove one of them.")
        if key == "subjects" and isinstance(value, str):
            value = [value]
        try:
            values[key] = msgspec.convert(value, known[key])
        except msgspec.ValidationError:
            raise where.error(key_place, f"{name} = {shown(value)}: expected {description(known[key])}.") from None
    return values


def unknown(key: str, known: typing.Collection[str], alternatives: str) -> str:
    """Return the message for an unknown key: the most similar known key, or what the known keys are."""
    near = difflib.get_close_matches(key.replace("-", "_"), sorted(known), n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {alternatives}."
    shown = printable(key) if len(key) <= _LONGEST_KEY else f"{printable(key[:_LONGEST_KEY])}..."
    return f"{shown}: unknown key. {hint}"


class Where:
    """Builds errors that name the file and the line of a key."""

    def __init__(self, path: str | os.PathLike[str], text: str) -> None:
        self._path = path
        self._lines = TomlLines(text)

    def error(self, place: Sequence[str | int], message: str) -> UsageError:
        """Return an error that names file and line."""
        return UsageError(f"{printable(Path(self._path))}, line {self.line(place)}: {message}")

    def line(self, place: Sequence[str | int]) -> int:
        """Return the line of a place, as `TomlLines.line` does."""
        return self._lines.line(place)
