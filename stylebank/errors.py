"""Errors with one root class.

Every message has the form ``path: reason. What to do.``
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class StylebankError(Exception):
    """Root of every error this project raises on purpose.

    Attributes
    ----------
    exit_code : int
        Exit code of the command that ends with this error.
    """

    exit_code = 1


class UsageError(StylebankError):
    """The request itself is wrong: a bad value, an unknown name, a clash of options."""

    exit_code = 2


class StyleNotFound(UsageError, KeyError):
    """The bank has no style of that name. It is a `KeyError` too, because a bank is a mapping."""

    def __str__(self) -> str:
        """Return the message as it is; a `KeyError` alone would quote it."""
        return Exception.__str__(self)


class StyleExists(UsageError):
    """The bank already has a style of that name."""


class NameRefused(UsageError):
    """A name that the rules for names do not allow."""


class PipelineShadowed(UsageError, ImportError):
    """Another module named ``pipeline`` comes before stylebank's own on the import path."""


class FingerprintMismatch(UsageError):
    """A style was measured in another way than the run measures."""


class ImageRefused(StylebankError):
    """An image that cannot be read, or cannot be read safely."""


class OutputRefused(StylebankError):
    """An output that cannot be written, or would overwrite something."""


class WeightsRefused(StylebankError):
    """Network weights that are missing, unknown, or in another layout."""


class StyleFileError(StylebankError):
    """A style file of the bank that cannot be used.

    Attributes
    ----------
    path : Path or None
        The file; None inside the reader.
    reason : str
        The reason, without path and advice.
    """

    path: Path | None = None
    reason: str = ""

    def located(self, path: Path, reason: str) -> Self:
        """Set `path` and `reason`, and return the error itself."""
        self.path, self.reason = path, reason
        return self


class StyleDamaged(StyleFileError):
    """A style file that breaks the rules of FORMAT.md, or that has changed since it was written."""

    exit_code = 3


class StyleUnreadable(StyleFileError):
    """A style file, or a bank's folder, that the system does not let this process read. It may be whole."""

    exit_code = 5


class ImportRefused(StylebankError):
    """A style file to import that is damaged, or has another digest than expected."""


class BankBusy(StylebankError):
    """Another process has held the bank's lock for longer than `Bank.lock_timeout`."""

    exit_code = 4


class LockTimeout(StylebankError):
    """Another process holds a lock.

    Attributes
    ----------
    holder : str
        The process, in words.
    """

    exit_code = 4

    def __init__(self, message: str, holder: str = "another process") -> None:
        super().__init__(message)
        self.holder = holder


class OutOfMemory(StylebankError):
    """The memory of the machine, of the process or of the device is used up."""

    exit_code = 6


def printable(text: str | os.PathLike[str]) -> str:
    """Return `text` with control characters and undecodable bytes escaped, so that a terminal can show it.

    File names on POSIX are bytes. They may hold escape sequences, or may not be UTF-8.
    """
    valid = os.fspath(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in valid)


def plural(count: int, noun: str) -> str:
    """Return `count` with `noun`, in the plural unless there is one: ``1 style``, ``1,200 styles``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
