"""The command line: ``stylebank``, a thin layer over `stylebank` and `pipeline`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from . import logs, streams
from .commands import group
from .errors import report_error
from .signals import terminated_like_interrupted

__all__ = ["group", "main"]

_TRUE = {"1", "true", "t", "yes", "y", "on"}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code; every expected error is one line.

    Parameters
    ----------
    arguments
        Words after the command's name; by default those of the process.
    """
    streams.prepare()
    if "_STYLEBANK_COMPLETE" in os.environ:
        from . import completion

        completion.register()
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--log-json" in words or os.environ.get("STYLEBANK_LOG_JSON", "").lower() in _TRUE
    with logs.handled(as_json=as_json):  # errors in the options themselves are JSON, too
        try:
            with terminated_like_interrupted():
                result: Any = group.main(args=arguments, prog_name="stylebank", standalone_mode=False)
            code = result if isinstance(result, int) else 0
        except (Exception, KeyboardInterrupt, click.Abort) as error:
            code = report_error(error)
    sys.exit(code)
