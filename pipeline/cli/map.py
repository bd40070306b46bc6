"""``stylebank map``."""

from __future__ import annotations

import click

from stylebank.bank import similarity
from stylebank.errors import printable
from stylebank.pages import map as atlas

from . import options
from .path_types import PathName


@click.command("map")
@click.option("-o", "--output", required=True, type=PathName(), help="File: a .html page or a .png picture.")
@click.option(
    "--tag",
    type=options.TagName(),
    multiple=True,
    help="Draw only styles with this tag; repeatable, and styles need all tags given.",
)
@click.option(
    "--scale",
    type=click.IntRange(32),
    default=similarity.SCALE,
    show_default=True,
    help="Longest side at which to compare.",
)
@click.option(
    "--layers",
    type=options.Layers(),
    help="Layers to compare; 'pixels' is the palette.  [default: those most styles have]",
)
@click.option(
    "--exact",
    type=click.IntRange(0),
    default=atlas.EXACT,
    show_default=True,
    help="Up to this many styles, compute every distance exactly; above it, estimate them.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.pass_obj
def command(
    context: options.CliContext,
    output: str,
    tag: tuple[str, ...],
    scale: int,
    layers: tuple[str, ...],
    exact: int,
    overwrite: bool,
) -> int:
    """Draw the bank as a map on which similar styles lie together.

    Styles are placed by classical multidimensional scaling of the distances that 'stylebank similar' gives. The
    page needs no network: names on hover, zoom by wheel, drag to move.

    \b
      $ stylebank map -o map.html
      $ stylebank map -o colours.png --layers pixels --tag hokusai
    """
    atlas.require_output(output, overwrite=overwrite)  # before the distances are computed
    layout, damaged = atlas.atlas(
        context.bank,
        tags=tag,
        scale=scale,
        layers=layers or (),
        exact=exact,
        note=context.note,
    )
    path = atlas.write(layout, output, overwrite=overwrite)
    click.echo(f"{printable(path)}: {layout.note}")
    return options.print_damaged(damaged)
