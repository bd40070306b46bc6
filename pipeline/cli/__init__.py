"""The command line: ``stylebank``, a thin layer over `stylebank` and `pipeline`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .commands import group
from .errors import report_error
from .signals import terminated_like_interrupted

__all__ = ["group", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code; every expected error is one line.

    Parameters
    ----------
    arguments
        Words after the command's name; by default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file name that the terminal's encoding lacks must not crash it
            stream.reconfigure(errors="backslashreplace")
    try:
        with terminated_like_interrupted():
            result: Any = group.main(args=arguments, prog_name="stylebank", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except (Exception, KeyboardInterrupt, click.Abort) as error:
        code = report_error(error)
    sys.exit(code)
