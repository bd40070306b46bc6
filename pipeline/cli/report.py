"""``stylebank report``."""

from __future__ import annotations

import click

from stylebank.errors import printable

from . import options
from .path_types import PathName
from .streams import shows_bars


@click.command("report")
@click.argument("folder", metavar="DIR", type=PathName())
@click.option(
    "-o", "--output", type=PathName(), metavar="FILE", help="File of the page.  [default: report.html in DIR]"
)
@click.pass_obj
def command(context: options.CliContext, folder: str, output: str | None) -> None:
    """Write a page that shows the pictures of an output folder.

    The page is one HTML file that needs no server and no network. It shows each picture before and
    after, with its style, settings, losses, time and error. Cards can be filtered and sorted.

    \b
      $ stylebank report out
      $ stylebank report out --output page.html
    """
    from ..jobs import report

    def on_card(number: int, total: int) -> None:
        if number % 50 == 0 and number < total and (context.verbose or shows_bars()):
            context.print(f"{number} of {total} pictures read")

    page = report.write(folder, output, on_card=on_card)
    click.echo(f"{printable(page)}: {options.file_size(page)}")
