"""The subjects of a command: arguments, and lists in files."""

from __future__ import annotations

import functools
from typing import Any

import click

from stylebank.errors import UsageError

from ..jobs.subject_lists import STDIN, read_list
from .options import CliContext
from .path_types import PathName


def subjects(command: Any) -> Any:
    """Add the argument SUBJECT and the options of a list; the command gets the subjects of both as ``subjects``."""

    @functools.wraps(command)
    def with_lists(subjects: tuple[str, ...], from_file: tuple[str, ...], null: bool, **options: Any) -> Any:
        if null and not from_file:
            raise UsageError("--null is about --from-file. Give both, or neither.")
        if from_file.count(STDIN) > 1:
            raise UsageError("--from-file -: twice. stdin holds one list, so give it once.")
        listed = [path for file in from_file for path in read_list(file, null=null)]
        if not subjects and not listed:
            if not from_file:
                raise UsageError("no subjects. Give a SUBJECT, or --from-file FILE with a list of them.")
            click.get_current_context().ensure_object(CliContext).note("the list has no subjects; nothing to do")
            return 0
        return command(subjects=(*subjects, *listed), **options)

    for option in reversed(
        (
            click.argument("subjects", metavar="SUBJECT...", nargs=-1, type=PathName()),
            click.option(
                "--from-file",
                multiple=True,
                type=PathName(allow_dash=True),
                metavar="FILE",
                help="Also take the files and folders that FILE lists, one a line; - reads stdin. Repeatable.",
            ),
            click.option("-0", "--null", is_flag=True, help="A NUL byte ends each path in FILE, as of find -print0."),
        )
    ):
        with_lists = option(with_lists)
    return with_lists
