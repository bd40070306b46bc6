"""Check and tag the styles of a bank; export and import come from `transfer`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StyleDamaged, StyleUnreadable, UsageError, printable
from ..storage import reader
from ..style import Header, Style
from .bank import Bank
from .index import read_name
from .transfer import export, import_style, without_pictures

__all__ = ["NOT_PROVEN", "CheckResult", "export", "import_style", "tag", "verify", "without_pictures"]

#: Limits of `verify`, for its users.
NOT_PROVEN = (
    "Not proven: who wrote a style, and that its numbers come from the painting it names. "
    "Anyone who changes a file can compute new digests. Compare content_sha256 with one that you trust."
)


@dataclass(frozen=True)
class CheckResult:
    """Result of `verify` for one file.

    Attributes
    ----------
    file : Path
    name : str
        Name of the style; empty if it cannot be read.
    reason : str
        Damage, or why the file cannot be read; empty for a whole style.
    content_sha256 : str
        Digest of a whole style, else empty.
    readable : bool
        False if the system does not let this process read the file; it may be whole.
    """

    file: Path
    name: str
    reason: str = ""
    content_sha256: str = ""
    readable: bool = True

    @property
    def whole(self) -> bool:
        """Whether the file was read and has no damage."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values for JSON."""
        return {
            "file": printable(self.file),
            "name": self.name or None,
            "whole": self.whole,
            "readable": self.readable,
            "reason": self.reason or None,
            "content_sha256": self.content_sha256 or None,
        }


def verify(bank: Bank, names: Sequence[str] = ()) -> Iterator[CheckResult]:
    """Check complete style files against FORMAT.md. Nothing is written.

    The check covers structure, types, shapes and all digests. All numbers must be finite, covariances symmetric and
    positive, and each root squared equal to its covariance.

    Parameters
    ----------
    names
        Styles to check; all files of the bank by default.

    Yields
    ------
    CheckResult
        One per file.

    Raises
    ------
    StyleNotFound
        Before the first file is read.
    """
    if names:
        return (_check(path) for path in [bank.path(name) for name in dict.fromkeys(names)])
    conflict = {error.path: error.reason for error in bank.headers(fresh=True)[1]}
    return (_check(path, conflict.get(path, "")) for path in bank.paths())


def _check(path: Path, conflict: str = "") -> CheckResult:
    try:
        style = reader.read(path)
    except StyleDamaged as error:
        return CheckResult(path, read_name(path) or "", error.reason)
    except StyleUnreadable as error:
        return CheckResult(path, read_name(path) or "", error.reason, readable=False)
    if conflict:  # the file is whole, but another one has the same name
        return CheckResult(path, style.name, conflict)
    return CheckResult(path, style.name, content_sha256=style.header.content_sha256)


def tag(bank: Bank, name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Header:
    """Add and remove tags of a style. Its content digest stays the same.

    Returns
    -------
    Header
        As written.

    Raises
    ------
    UsageError
        If the style does not have a tag to remove, or a tag is in both lists.
    StyleNotFound, StyleDamaged, BankBusy, OutputRefused
    """
    both = set(add) & set(remove)
    if both:
        raise UsageError(f"tag {min(both)!r} is in both --add and --remove. Choose one.")
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
