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
def command(shared: options.CliContext, names: tuple[str, ...], json: bool) -> int:
    """Check style files in full; all of the bank by default. Nothing is ever written.

    Structure, types and shapes, every digest, numbers finite, covariances symmetric and
    positive, roots that squared give them. It ends with 3 where anything is damaged. Not
    proven is who wrote a style, nor that its numbers are those of the painting it names.

    \b
      $ stylebank verify
      $ stylebank verify starry_night --json
    """
    damaged, looked_at = 0, 0
    found = []
    for verdict in library.verify(shared.bank, names):
        looked_at += 1
        damaged += not verdict.whole
        if json:
            found.append(verdict.to_dict())
        elif verdict.whole:
            click.echo(f"{verdict.name}: whole")
        else:
            known = f"{verdict.name}: " if verdict.name else ""
            click.echo(f"Error: {known}{printable(verdict.file)}: {verdict.reason}", err=True)
    if json:
        options.print_json(found)
    if damaged:
        shared.note("Restore damaged files from a copy, or remove them and add the paintings again.")
    shared.note(library.NOT_PROVEN if looked_at else f"The bank {printable(shared.bank.folder)} is empty.")
    return StyleDamaged.exit_code if damaged else 0
