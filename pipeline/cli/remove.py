"""``stylebank remove``."""

from __future__ import annotations

import click

from . import options


@click.command("remove")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=options.StyleName())
@click.option("--forever", is_flag=True, help="Delete the styles, and their versions in the trash, to free the space.")
@click.pass_obj
def command(context: options.CliContext, names: tuple[str, ...], forever: bool) -> None:
    """Remove styles from the bank. No style is removed unless all names are in the bank.

    The trash of the bank keeps them for 30 days, and 'stylebank restore' brings them back.

    \b
      $ stylebank remove starry_night great_wave
      $ stylebank remove starry_night --forever
    """
    context.bank.remove(*names, forever=forever)
    for name in names:
        context.print(f"{name}: removed{' for ever' if forever else '; restore brings it back'}")
