"""``stylebank remove``."""

from __future__ import annotations

import click

from . import options


@click.command("remove")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=options.StyleName())
@click.pass_obj
def command(context: options.CliContext, names: tuple[str, ...]) -> None:
    """Remove styles from the bank. No style is removed unless all names are in the bank.

    \b
      $ stylebank remove starry_night great_wave
    """
    context.bank.remove(*names)
    for name in names:
        context.print(f"{name}: removed")
