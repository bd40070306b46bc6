"""The exit code and the one line of every error that reaches the command line."""

from __future__ import annotations

import os
import sys
import traceback

import click

from stylebank.errors import StylebankError, printable

from .signals import Terminated

_INTERRUPTED = 130


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
    if isinstance(error, click.ClickException):
        error.show()
        return int(error.exit_code)
    if isinstance(error, StylebankError):
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    if isinstance(error, Terminated):
        click.echo(f"Ended by {error.signal.name}. What was finished is kept.", err=True)
        return 128 + error.signal
    if isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("Interrupted. What was finished is kept.", err=True)
        return _INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader of our output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return _report_unexpected(error)


def _report_unexpected(error: BaseException) -> int:
    """Print an unexpected error as one line, and with ``--verbose`` its traceback."""
    if {"-v", "--verbose"} & set(sys.argv):
        traceback.print_exception(error)
    if isinstance(error, OSError):
        where = f"{printable(error.filename)}: " if isinstance(error.filename, str | os.PathLike) else ""
        click.echo(f"Error: {where}{error.strerror or error}. Check the path and the permissions.", err=True)
    else:
        reason = printable(str(error).strip().split("\n")[0]) or "no reason given"
        click.echo(
            f"Error: {type(error).__name__}: {reason}. Run it again with -v and report what it prints.", err=True
        )
    return 1
