"""``stylebank verify``."""

from __future__ import annotations

import click

from stylebank.bank import library
from stylebank.errors import StyleDamaged, StyleUnreadable, printable

from . import options


@click.command("verify")
@click.argument("names", metavar="[NAME...]", nargs=-1, type=options.StyleName())
@options.json_flag
@click.pass_obj
def command(context: options.CliContext, names: tuple[str, ...], json: bool) -> int:
    """Check style files in full, all of the bank by default. No file is written.

    The check covers structure, types, shapes, digests, finite numbers, symmetric positive
    covariances, and roots that squared give them. The exit code is 3 if a file is damaged, and 5
    if files only cannot be read. The check does not prove who wrote a style, or that it was
    measured on the painting it names.

    \b
      $ stylebank verify
      $ stylebank verify starry_night --json
    """
    damaged, unreadable, checked = 0, 0, 0
    results = []
    for result in library.verify(context.bank, names):
        checked += 1
        damaged += result.readable and not result.whole
        unreadable += not result.readable
        if json:
            results.append(result.to_dict())
        elif result.whole:
            context.print_result(f"{result.name}: whole")
        else:
            name = f"{result.name}: " if result.name else ""
            context.error(f"{name}{printable(result.file)}: {result.reason}")
    if json:
        options.print_json(results)
    if damaged:
        context.print("Restore damaged files from a copy, or remove them and add the paintings again.")
    if unreadable:
        context.print("Files that cannot be read were not checked. They may be whole.")
    context.print(library.NOT_PROVEN if checked else f"The bank {printable(context.bank.folder)} is empty.")
    return StyleDamaged.exit_code if damaged else StyleUnreadable.exit_code if unreadable else 0
