"""``stylebank verify``."""

from __future__ import annotations

import click

from stylebank.bank import library
from stylebank.errors import StyleDamaged, printable

from . import options


@click.command("verify")
@click.argument("names", metavar="[NAME...]", nargs=-1, type=options.StyleName())
@options.json_flag
@click.pass_obj
def command(context: options.CliContext, names: tuple[str, ...], json: bool) -> int:
    """Check style files in full; all of the bank by default. Nothing is ever written.

    Structure, types and shapes, every digest, numbers finite, covariances symmetric and
    positive, roots that squared give them. It ends with 3 where anything is damaged. Not
    proven is who wrote a style, nor that its numbers are those of the painting it names.

    \b
      $ stylebank verify
      $ stylebank verify starry_night --json
    """
    damaged, checked = 0, 0
    results = []
    for result in library.verify(context.bank, names):
        checked += 1
        damaged += not result.whole
        if json:
            results.append(result.to_dict())
        elif result.whole:
            click.echo(f"{result.name}: whole")
        else:
            name = f"{result.name}: " if result.name else ""
            click.echo(f"Error: {name}{printable(result.file)}: {result.reason}", err=True)
    if json:
        options.print_json(results)
    if damaged:
        context.print("Restore damaged files from a copy, or remove them and add the paintings again.")
    context.print(library.NOT_PROVEN if checked else f"The bank {printable(context.bank.folder)} is empty.")
    return StyleDamaged.exit_code if damaged else 0
