"""``stylebank report``."""

from __future__ import annotations

import sys

import click

from stylebank.errors import printable

from . import options


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="The page.  [default: report.html in DIR]")
@click.pass_obj
def command(context: options.CliContext, folder: str, output: str | None) -> None:
    """Write a page to look over the pictures of an output folder.

    One HTML file that needs no server and no network: each picture before and after with a slider, its
    style, settings, losses and time, what failed and why, to filter and sort.

    \b
      $ stylebank report out
      $ stylebank report out --output look.html
    """
    from ..jobs import report

    def on_card(number: int, total: int) -> None:
        if number % 50 == 0 and number < total and (context.verbose or sys.stderr.isatty()):
            context.print(f"{number} of {total} pictures read")

    page = report.write(folder, output, on_card=on_card)
    click.echo(f"{printable(page)}: {options.file_size(page)}")
