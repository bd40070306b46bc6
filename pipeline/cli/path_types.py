"""Types of parameters that are paths; ``~`` at the start of a path is replaced, also in quotes and after ``=``."""

from __future__ import annotations

import os
from typing import Any

import click

from ..jobs.user_paths import expand_mask, expand_user


class PathName(click.Path):
    """A path or pattern, or a word in its place."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Replace ``~`` by the home folder."""
        return super().convert(expand_user(os.fspath(value)), param, ctx)


class MaskName(click.Path):
    """``FILE`` or ``REGION=FILE``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Replace ``~`` by the home folder."""
        return expand_mask(os.fspath(value))
