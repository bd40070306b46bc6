"""``stylebank pool``."""

from __future__ import annotations

import click

from stylebank.bank.combine import pool

from . import options


@click.command("pool")
@click.argument("new")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=options.StyleName())
@click.option(
    "--weights",
    type=click.Choice(["pixels", "equal"]),
    default="pixels",
    show_default=True,
    help="Count every painting by its pixels, or all the same.",
)
@options.tags
@options.replace
@click.pass_obj
def command(
    context: options.CliContext, new: str, names: tuple[str, ...], weights: str, tag: tuple[str, ...], replace: bool
) -> None:
    """Make style NEW from many paintings taken as one, such as all of an artist's.

    Means and covariances are pooled exactly, as if all paintings had been measured together.
    What differs between the paintings adds to the spread; a mix has none of that.

    \b
      $ stylebank pool van_gogh starry_night village_street_in_auvers
      $ stylebank pool blue a b c --weights equal --tag blue
    """
    new = context.bank.ensure_available(new, replace=replace)
    styles = [context.bank.get(name) for name in dict.fromkeys(names)]
    style = pool(styles, new, weights=weights, tags=tag)  # type: ignore[arg-type]
    header = context.bank.add(style, replace=replace)
    click.echo(f"{header.name}: {header.source.filename}, at {', '.join(map(str, header.sizes))}")
