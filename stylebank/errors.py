"""One root error. A message says what was received, what was expected, and what to do."""

from __future__ import annotations

import os
from pathlib import Path


class StylebankError(Exception):
    """Root of every error this project raises on purpose.

    ``exit_code`` is what the command line ends with when the error reaches it.
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
    """The bank holds a style of that name already."""


class NameRefused(UsageError):
    """A style name that the naming rule does not allow."""


class PipelineShadowed(UsageError, ImportError):
    """Another module named ``pipeline`` comes before stylebank's own on the import path."""


class FingerprintMismatch(UsageError):
    """A style was measured otherwise than the run would use it."""


class ImageRefused(StylebankError):
    """A picture that cannot be read, or not safely."""


class OutputRefused(StylebankError):
    """An output that cannot be written, or would overwrite something."""


class WeightsRefused(StylebankError):
    """Network weights that are missing, of another layout, or not known."""


class StyleDamaged(StylebankError):
    """A style file that is not what FORMAT.md says, or whose bytes have changed.

    Attributes
    ----------
    path : Path or None
        The file, where the error has left the reader that found it.
    reason : str
        What is wrong, without path and advice.
    """

    exit_code = 3
    path: Path | None = None
    reason: str = ""

    def located(self, path: Path, reason: str) -> StyleDamaged:
        """Return itself, knowing where and why."""
        self.path, self.reason = path, reason
        return self


class ImportRefused(StylebankError):
    """A style file from elsewhere that is damaged, or not the one that was expected."""


class BankBusy(StylebankError):
    """Another process has been writing to the bank for longer than we wait."""

    exit_code = 4


def printable(text: str | os.PathLike[str]) -> str:
    """Return `text` fit for a terminal: no control characters, no undecodable bytes.

    File names are bytes on POSIX; one that is not UTF-8, or holds an escape
    sequence, is shown escaped rather than crashing the message that names it.
    """
    valid = os.fspath(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in valid)


def plural(count: int, noun: str) -> str:
    """Return `count` with `noun`, in the plural unless there is one: ``1 style``, ``1,200 styles``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
