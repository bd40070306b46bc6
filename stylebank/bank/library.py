"""Sharing, checking and tagging the styles of a bank."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StyleDamaged, UsageError, printable
from ..storage import reader
from ..style import Header, Style
from .bank import Bank
from .index import read_name
from .transfer import export, import_style, without_pictures

__all__ = ["NOT_PROVEN", "CheckResult", "export", "import_style", "tag", "verify", "without_pictures"]

#: What `verify` cannot tell.
NOT_PROVEN = (
    "Not proven: who wrote a style, and that its numbers are those of the painting it names. "
    "Whoever changes a file can compute its digests anew; compare content_sha256 with one you trust."
)


@dataclass(frozen=True)
class CheckResult:
    """What `verify` found of one file.

    Attributes
    ----------
    file : Path
    name : str
        Of the style; empty where the file does not say.
    reason : str
        What is damaged; empty for a whole style.
    content_sha256 : str
        Of a whole style.
    """

    file: Path
    name: str
    reason: str = ""
    content_sha256: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, fit for JSON."""
        return {
            "file": printable(self.file),
            "name": self.name or None,
            "whole": self.whole,
            "reason": self.reason or None,
            "content_sha256": self.content_sha256 or None,
        }


def verify(bank: Bank, names: Sequence[str] = ()) -> Iterator[CheckResult]:
    """Read style files in full and say of each whether it is what FORMAT.md says. Nothing is written.

    Looked at are structure, types, shapes, every digest, and that all numbers are finite,
    covariances symmetric and positive, and their roots squared equal to them.

    Parameters
    ----------
    names
        Of the styles to look at; all files of the bank by default.

    Yields
    ------
    CheckResult
        One a file.

    Raises
    ------
    StyleNotFound
        Before anything is read.
    """
    if names:
        return (_check(path) for path in [bank.path(name) for name in dict.fromkeys(names)])
    conflict = {error.path: error.reason for error in bank.headers()[1]}
    return (_check(path, conflict.get(path, "")) for path in bank.paths())


def _check(path: Path, conflict: str = "") -> CheckResult:
    try:
        style = reader.read(path)
    except StyleDamaged as error:
        return CheckResult(path, read_name(path) or "", error.reason)
    if conflict:  # whole in itself, and another file claims its name
        return CheckResult(path, style.name, conflict)
    return CheckResult(path, style.name, content_sha256=style.header.content_sha256)


def tag(bank: Bank, name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Header:
    """Add and remove tags of a style. Its content digest stays.

    Returns
    -------
    Header
        As it now stands in the bank.

    Raises
    ------
    UsageError
        If a tag to be removed is not there.
    StyleNotFound, StyleDamaged, BankBusy, OutputRefused
    """
    both = set(add) & set(remove)
    if both:
        raise UsageError(f"tag {min(both)!r} is to be added and removed. Choose one.")
    current = bank.header(name).tags
    for text in remove:
        if text not in current:
            tags = f"Its tags are {' '.join(current)}." if current else "It has no tags."
            raise UsageError(f"style {name!r} has no tag {text!r} to remove. {tags}")

    def change(style: Style) -> Style:
        kept = [text for text in style.header.tags if text not in remove]
        tags = tuple(dict.fromkeys([*kept, *add]))
        if tags == style.header.tags:
            return style
        return dataclasses.replace(style, header=dataclasses.replace(style.header, tags=tags))

    return bank.update(name, change)
