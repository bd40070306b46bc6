"""``stylebank map``."""

from __future__ import annotations

import click

from stylebank.bank import similarity
from stylebank.errors import printable
from stylebank.pages import map as atlas

from . import options


@click.command("map")
@click.option("-o", "--output", required=True, type=click.Path(), help="A .html page or a .png picture.")
@click.option("--tag", multiple=True, help="Only styles with this tag; repeatable, they need all.")
@click.option(
    "--scale",
    type=click.IntRange(32),
    default=similarity.SCALE,
    show_default=True,
    help="Longest side at which to compare.",
)
@click.option(
    "--layers", type=options.Layers(), help="Compare by these; 'pixels' is the palette.  [default: all there are]"
)
@click.option(
    "--exact",
    type=click.IntRange(0),
    default=atlas.EXACT,
    show_default=True,
    help="Up to so many styles take all distances in full; above, estimate them.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
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
    """Draw the bank as a map: like styles lie together.

    Styles are placed by classical scaling of the distances that 'stylebank similar' gives. The
    page needs no network: names on hover, zoom by wheel, drag to move.

    \b
      $ stylebank map -o map.html
      $ stylebank map -o colours.png --layers pixels --tag hokusai
    """
    atlas.require_output(output, overwrite=overwrite)  # before the distances
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
