"""``stylebank gallery``."""

from __future__ import annotations

import click

from stylebank.errors import plural, printable
from stylebank.pages import gallery, html
from stylebank.style import Header

from ..synthesis.swatches import SIDE, add_swatches
from . import options
from .path_types import PathName


@click.command("gallery")
@click.option("-o", "--output", required=True, type=PathName(), help="A .html file, or a folder for index.html.")
@click.option(
    "--tag",
    type=options.TagName(),
    multiple=True,
    help="Show only styles with this tag; repeatable, and styles need all tags given.",
)
@click.option(
    "--swatches",
    is_flag=True,
    help=f"First synthesise the missing swatches, {SIDE} x {SIDE} pixels, and store them in the styles.",
)
@options.weights
@options.allow_unknown_weights
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
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
    """Write a page of the bank: pictures, palettes, and tags to filter by.

    The page is one file that needs no network. A palette shows the mean of the painting's pixels
    and their principal axes.

    \b
      $ stylebank gallery -o gallery.html
      $ stylebank gallery -o public/ --tag hokusai --swatches
    """
    html.page_path(output, overwrite=overwrite)  # before minutes of synthesis
    if swatches:
        names = [header.name for header in context.bank.headers()[0] if set(tag) <= set(header.tags)]

        def on_swatch(header: Header, number: int, total: int) -> None:
            context.print(f"[{number}/{total}] {header.name}: synthesising its swatch")

        add_swatches(
            context.bank,
            names,
            weights=weights,
            allow_unknown_weights=allow_unknown_weights,
            on_swatch=on_swatch,
            note=context.note,
        )
    shown, damaged = gallery.read_cards(context.bank, tags=tag, note=context.note)
    path = html.write_page(output, gallery.gallery(shown), overwrite=overwrite)
    if not shown:
        which = "has no style with these tags" if tag else "is empty"
        context.print(f"The page shows no style: the bank {which}. 'stylebank list' lists all styles.")
    click.echo(f"{printable(path)}: {plural(len(shown), 'style')}, {options.file_size(path)}")
    return options.print_damaged(damaged)
