"""``stylebank similar``."""

from __future__ import annotations

import click

from stylebank.bank import similarity
from stylebank.errors import plural

from ..ingest.similar import similar
from . import options


@click.command("similar")
@click.argument("query", metavar="NAME|IMAGE", type=options.StyleName(or_picture=True))
@click.option("-n", "--number", type=click.IntRange(1), default=5, show_default=True, help="Number of styles to list.")
@click.option(
    "--scale",
    type=click.IntRange(32),
    default=similarity.SCALE,
    show_default=True,
    help="Longest side at which to compare, where a style has it.",
)
@click.option(
    "--layers", type=options.Layers(), help="Layers to compare; 'pixels' is the palette.  [default: all of the query]"
)
@options.weights
@options.allow_unknown_weights
@options.max_pixels
@options.json_flag
@click.pass_obj
def command(
    context: options.CliContext,
    query: str,
    number: int,
    scale: int,
    layers: tuple[str, ...],
    weights: str | None,
    allow_unknown_weights: bool,
    max_pixels: int,
    json: bool,
) -> int:
    """List the styles nearest to a style of the bank or to a picture.

    The distance is 0 for the same style and 2 at most. It averages over the layers the squared
    Wasserstein-2 distance of the Gaussians, divided by the variance of both styles pooled.
    Each line also has the block of layers that contributes most.

    \b
      $ stylebank similar starry_night
      $ stylebank similar photo.jpg -n 3 --layers pixels
      $ stylebank similar starry_night --json | jq '.[0].shares'
    """
    search = similar(
        context.bank,
        query,
        number=number,
        scale=scale,
        layers=layers or (),
        weights=weights,
        allow_unknown_weights=allow_unknown_weights,
        max_pixels=max_pixels,
        note=context.note,
    )
    if json:
        options.print_json([neighbour.to_dict() for neighbour in search.neighbours])
    else:
        width = max((len(neighbour.name) for neighbour in search.neighbours), default=0)
        for neighbour in search.neighbours:
            click.echo(f"{neighbour.name:<{width}}  {neighbour.distance:.3f}  {_largest_block(neighbour)}")
        if not search.neighbours:
            context.print("The bank has no other style to compare with.")
    context.detail(f"{plural(search.compared, 'style')} compared in full")
    return options.print_damaged(list(search.damaged))


def _largest_block(neighbour: similarity.Neighbour) -> str:
    blocks: dict[str, float] = {}
    for layer, fraction in neighbour.shares.items():
        block = layer.split("_")[0]
        blocks[block] = blocks.get(block, 0.0) + fraction
    block, fraction = max(blocks.items(), key=lambda pair: pair[1])
    return f"{block} {fraction:.0%}"
