"""``stylebank rename``."""

from __future__ import annotations

import click

from . import options


@click.command("rename")
@click.argument("old", type=options.StyleName())
@click.argument("new")
@click.pass_obj
def command(context: options.CliContext, old: str, new: str) -> None:
    """Rename a style. Its content_sha256 stays the same.

    \b
      $ stylebank rename starry_night "The Starry Night"
    """
    header = context.bank.rename(old, new)
    context.print(f"{old}: now {header.name}")
