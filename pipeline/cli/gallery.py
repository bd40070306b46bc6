"""``stylebank gallery``."""

from __future__ import annotations

import click

from stylebank.errors import plural, printable
from stylebank.pages import gallery as pages
from stylebank.pages import html
from stylebank.style import Header

from ..synthesis.swatches import SIDE, add_swatches
from . import options


@click.command("gallery")
@click.option("-o", "--output", required=True, type=click.Path(), help="A .html page, or a folder for index.html.")
@click.option("--tag", multiple=True, help="Only styles with this tag; repeatable, they need all.")
@click.option(
    "--swatches",
    is_flag=True,
    help=f"Make the textures that are missing first, {SIDE} x {SIDE} from noise, and keep them in the styles.",
)
@options.weights
@options.allow_unknown_weights
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.pass_obj
def command(
    context: options.CliContext,
    output: str,
    tag: tuple[str, ...],
    swatches: bool,
    weights: str | None,
    allow_unknown_weights: bool,
    overwrite: bool,
) -> int:
    """Make a page of the bank to look at: pictures, palettes, tags to filter by.

    It is one file that needs no network. A palette is the mean of the painting's pixels and
    its principal axes.

    \b
      $ stylebank gallery -o gallery.html
      $ stylebank gallery -o public/ --tag hokusai --swatches
    """
    html.page_path(output, overwrite=overwrite)  # before minutes of work
    if swatches:
        names = [header.name for header in context.bank.headers()[0] if set(tag) <= set(header.tags)]

        def on_swatch(header: Header, number: int, total: int) -> None:
            context.print(f"[{number}/{total}] {header.name}: making its swatch")

        add_swatches(
            context.bank,
            names,
            weights=weights,
            allow_unknown_weights=allow_unknown_weights,
            on_swatch=on_swatch,
            note=context.note,
        )
    shown, damaged = pages.read_cards(context.bank, tags=tag, note=context.note)
    path = html.write_page(output, pages.gallery(shown), overwrite=overwrite)
    if not shown:
        which = "holds none with these tags" if tag else "is empty"
        context.print(f"No style is shown: the bank {which}. 'stylebank list' shows all.")
    click.echo(f"{printable(path)}: {plural(len(shown), 'style')}, {options.file_size(path)}")
    return options.print_damaged(damaged)
