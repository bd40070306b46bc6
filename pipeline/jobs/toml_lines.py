"""Line numbers of tables and keys in a TOML text, which the TOML parser does not report."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes can stand before the closing three
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[{]|[\]}]|\n"
    r"|[^\"'\#\[\]{}\n]+",
    re.DOTALL,
)


@dataclass(frozen=True)
class _Statement:
    """A table's header, or a key with its value over all its lines."""

    line: int
    text: str

    @property
    def is_header(self) -> bool:
        return self.text.startswith("[")

    @functools.cached_property
    def path(self) -> tuple[str, ...]:
        """The keys named, outermost first: those before ``=``, then the first key of each inline table."""
        value: Any = tomllib.loads(self.text)
        keys = []
        while isinstance(value, dict) and value:
            key, value = next(iter(value.items()))
            keys.append(key)
            if self.is_header and isinstance(value, list):  # [[job]] reads as {"job": [{}]}
                value = value[0]
        return tuple(keys)


class TomlLines:
    """The lines of a valid TOML text.

    Parsing stays linear: the headers are parsed once, and other statements only in the table that is asked for.

    Parameters
    ----------
    text
        TOML that `tomllib.loads` accepts.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._table_indices: dict[str, list[int]] = {}

    def line(self, place: Sequence[str | int]) -> int:
        """Return the line, from 1, of a table or key.

        A key that has no line of its own, in an inline table, has that of the table.

        Parameters
        ----------
        place
            Keys from the top, with the number of a table after the key of an array of tables:
            ``("defaults", "size")``, ``("job", 2)``, ``("job", 2, "steps")``.
        """
        names = tuple(key for key in place if isinstance(key, str))
        start, stop = 0, len(self._statements)
        if len(place) > 1 and isinstance(place[1], int):
            starts = [*self._tables(str(place[0])), stop]
            if place[1] + 1 < len(starts):
                start, stop = starts[place[1] : place[1] + 2]
        table: tuple[str, ...] = ()
        nearest, most = self._statements[start], 0
        for statement in self._statements[start:stop]:
            path = statement.path if statement.is_header else table + statement.path
            common = len(os.path.commonprefix([path, names]))  # noqa: RUF071 - of keys
            if common > most:
                nearest, most = statement, common
            if common == len(names):
                break
            if statement.is_header:
                table = path
        return nearest.line

    def _tables(self, key: str) -> list[int]:
        """Return the index of each statement ``[[key]]``."""
        if key not in self._table_indices:
            headers = ((index, statement) for index, statement in enumerate(self._statements) if statement.is_header)
            self._table_indices[key] = [
                index for index, header in headers if header.text.startswith("[[") and header.path == (key,)
            ]
        return self._table_indices[key]

    @functools.cached_property
    def _statements(self) -> list[_Statement]:
        return list(self._split())

    def _split(self) -> Iterator[_Statement]:
        """Split the text at the line ends that stand in no string, array or inline table."""
        line = first_line = 1
        depth = 0
        parts: list[str] = []
        for match in _TOKEN.finditer(self._text + "\n"):
            token = match[0]
            line += token.count("\n")
            depth += (token in "[{") - (token in "]}")
            if token == "\n" and depth == 0:
                statement = "".join(parts).strip()
                if statement:
                    yield _Statement(first_line, statement)
                parts, first_line = [], line
            elif not token.startswith("#"):
                parts.append(token)
