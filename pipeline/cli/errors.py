"""The exit code and the one line of every error that reaches the command line."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from typing import Any

import click

from stylebank.errors import OutOfMemory, StylebankError, printable

from . import logs, streams
from .signals import Terminated

_INTERRUPTED = 130
#: Parts of the messages of the dynamic loader and of threads that find no memory.
_OUT_OF_MEMORY_TEXTS = ("Cannot allocate memory", "failed to map segment", "can't start new thread")


def report_error(error: BaseException) -> int:
    """Print an error as one line on stderr.

    Parameters
    ----------
    error
        Exception raised by a command.

    Returns
    -------
    int
        The exit code.
    """
    if isinstance(error, click.Abort) and isinstance(error.__cause__, Terminated):  # click wraps a KeyboardInterrupt
        error = error.__cause__
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, Terminated):
        return _log_interrupted(f"Ended by {error.signal.name}. What was finished is kept.", 128 + error.signal)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _log_interrupted("Interrupted. What was finished is kept.", _INTERRUPTED)
    if isinstance(error, click.ClickException):
        if isinstance(error, click.UsageError) and not logs.is_json():
            error.show()  # with the usage of the command
            return int(error.exit_code)
        return _log(error.format_message(), int(error.exit_code))
    if isinstance(error, StylebankError) and not _names_memory(error):
        return _log(str(error), error.exit_code)
    if isinstance(error, BrokenPipeError):  # the reader of our output, such as head, has ended
        streams.silence_stdout()
        return 1
    return _report_unexpected(error)


def report_refused_results(error: OSError, **fields: Any) -> int:
    """Print that stdout refused results of a command, and return the exit code."""
    text = f"stdout: {error.strerror}; results are missing there. Send them elsewhere, or free some space."
    return _log(text, 1, **fields)


def _report_unexpected(error: BaseException) -> int:
    """Print an unexpected error as one line, and with ``--verbose`` its traceback."""
    fields: dict[str, Any] = {}
    if {"-v", "--verbose"} & set(sys.argv):
        if logs.is_json():
            fields["traceback"] = "".join(traceback.format_exception(error))
        else:
            traceback.print_exception(error)
    if _lacks_memory(error):
        return _log(
            "the memory of this machine, or its limit for this process, is used up. "
            "Close other programs, raise the limit (ulimit -v), or use smaller pictures and fewer --jobs.",
            OutOfMemory.exit_code,
            **fields,
        )
    if isinstance(error, OSError):
        if error.filename == streams.STDOUT:
            streams.silence_stdout()
            return report_refused_results(error, **fields)
        where = f"{printable(error.filename)}: " if isinstance(error.filename, str | os.PathLike) else ""
        return _log(f"{where}{error.strerror or error}. Check the path and the permissions.", 1, **fields)
    reason = printable(str(error).strip().split("\n")[0]) or "no reason given"
    return _log(f"{type(error).__name__}: {reason}. Run it again with -v and report what it prints.", 1, **fields)


def _lacks_memory(error: BaseException) -> bool:
    """Return whether an error, or one that it comes from, says that memory is used up."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            return True
        if _names_memory(cause):
            return True
        cause = cause.__cause__
    return False


def _names_memory(error: BaseException) -> bool:
    return any(text in str(error) for text in _OUT_OF_MEMORY_TEXTS)


def _log(text: str, code: int, **fields: Any) -> int:
    logs.log(logging.ERROR, "error", text, exit_code=code, **fields)
    return code


def _log_interrupted(text: str, code: int) -> int:
    logs.log(logging.WARNING, "interrupted", text, exit_code=code)
    return code
