"""What may stand in a job file: its keys, their types, and where in the file one is."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylebank.errors import UsageError, printable

from ..settings import SynthesisSettings
from . import apply as batch

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Options of the command that are called otherwise in Python.
_OPTIONS = {"layer_weight": "layer_weights"}
_OWN_KEYS = {"style", "styles", "subjects", "output"}
#: How a run is shared out belongs to the command, not to a job.
_FOR_THE_COMMAND = {"jobs", "device", "devices", "deterministic", "cluster", "batch_size", "fail_fast", "keep_going"}


def known_keys() -> set[str]:
    """Return the keys of a job: its own, and every option of `apply` that is about pictures."""
    parameters = inspect.signature(batch.prepare).parameters.values()
    options = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return _OWN_KEYS | options | {field.name for field in dataclasses.fields(SynthesisSettings)}


def checked(table: Mapping[str, Any], place: tuple[str | int, ...], where: Where) -> dict[str, Any]:
    """Return a table with underscores for hyphens, every key known and every value of its type."""
    known = known_keys()
    found: dict[str, Any] = {}
    for given, value in table.items():
        key = given.replace("-", "_")
        key = _OPTIONS.get(key, key)
        here = (*place, given)
        if key in _FOR_THE_COMMAND:
            option = "--" + key.replace("_", "-")
            raise where.error(here, f"{given}: not a job's to say. Give {option} to 'stylebank batch'.")
        if key not in known:
            raise where.error(here, unknown(given, known, "the options of 'stylebank apply'"))
        if key in found:
            raise where.error(here, f"{given}: given twice, with a hyphen and with an underscore. Leave one out.")
        if key == "subjects" and isinstance(value, str):
            value = [value]
        expected = _EXPECTED.get(key) or _type_of(key)
        if not _fits(key, value, expected):
            raise where.error(here, f"{given} = {printable(repr(value))[:80]}: expected {expected}.")
        found[key] = value
    return found


def unknown(key: str, known: set[str], whole: str) -> str:
    """Return what to say of a key that is not `known`: the nearest, or what they are as a `whole`."""
    near = difflib.get_close_matches(key.replace("-", "_"), sorted(known), n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {whole}."
    return f"{printable(key)}: unknown key. {hint}"


_TYPES = {
    "str": ("a text in quotes", (str,)),
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "bool": ("true or false", (bool,)),
    "list": ("a list of texts in quotes", (list,)),
}


def _type_of(key: str) -> str:
    """Return what a key's value has to be, in words, from the annotations that Python code goes by."""
    if key in {"styles", "subjects"}:
        return _TYPES["list"][0]
    annotations = {field.name: str(field.type) for field in dataclasses.fields(SynthesisSettings)}
    for name, parameter in inspect.signature(batch.prepare).parameters.items():
        annotations.setdefault(name, str(parameter.annotation))
    annotation = annotations.get(key, "str")
    for sign, kind in (("tuple", "list"), ("bool", "bool"), ("float", "float"), ("int", "int")):
        if annotation.startswith(sign):
            return _TYPES[kind][0]
    return _TYPES["str"][0]


_EXPECTED = {
    "style": "a text in quotes, or a list of such",
    "styles": "a list of texts in quotes or of lists of them, or a table of names and weights",
    "mask": "a text in quotes, or a list of such",
    "layer_weights": 'a list of texts such as "conv4=0.5", or a table of layers and weights',
}


def _fits(key: str, value: Any, expected: str) -> bool:
    if key in _EXPECTED:
        return _fits_many(key, value)
    kinds = next(kinds for words, kinds in _TYPES.values() if words == expected)
    if isinstance(value, bool) and bool not in kinds:
        return False
    if isinstance(value, list) and not all(isinstance(part, str) and part for part in value):
        return False
    return isinstance(value, kinds)


def _fits_many(key: str, value: Any) -> bool:
    """Whether a value has one of the forms in `_EXPECTED`."""

    def texts(given: Any) -> bool:
        return isinstance(given, list) and bool(given) and all(isinstance(part, str) and part for part in given)

    if isinstance(value, dict):
        numbers = all(isinstance(part, int | float) and not isinstance(part, bool) for part in value.values())
        return key in {"styles", "layer_weights"} and bool(value) and numbers
    if key == "styles":
        return isinstance(value, list) and bool(value) and all(texts([part]) or texts(part) for part in value)
    if key == "mask" and value == []:  # none of the defaults'
        return True
    return texts(value) or (key in {"style", "mask"} and isinstance(value, str) and bool(value))


class Where:
    """Finds the line of a key, by the parser itself: the first line with which the key is there."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines(keepends=True)

    def error(self, place: Sequence[str | int], message: str) -> UsageError:
        """Return an error that names file and line."""
        return UsageError(f"{printable(self._path)}, line {self.line(place)}: {message}")

    def line(self, place: Sequence[str | int]) -> int:
        """Return the line, from 1, of what stands at `place`: keys and numbers from the top."""
        begun = 0  # a value of several lines begins after the last line that made sense without it
        for count in range(1, len(self._lines) + 1):
            try:
                content: Any = tomllib.loads("".join(self._lines[:count]))
                for step in place:
                    content = content[step]
                break
            except tomllib.TOMLDecodeError:
                continue
            except (KeyError, IndexError, TypeError):
                begun = count
        rest = enumerate(self._lines[begun:], start=begun + 1)
        return next((number for number, line in rest if line.strip() and not line.lstrip().startswith("#")), begun + 1)
