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
    help="Weight each painting by its number of pixels, or all alike.",
)
@options.tags
@options.replace
@click.pass_obj
def command(
    context: options.CliContext, new: str, names: tuple[str, ...], weights: str, tag: tuple[str, ...], replace: bool
) -> None:
    """Compute style NEW from several paintings, pooled as if they were one.

    Means and covariances are pooled exactly, as if all paintings were measured together.
    Differences between the paintings add to the covariance; in a mix they do not.

    \b
      $ stylebank pool van_gogh starry_night village_street_in_auvers
      $ stylebank pool blue a b c --weights equal --tag blue
    """
    new = context.bank.ensure_available(new, replace=replace)
    styles = [context.bank.get(name) for name in dict.fromkeys(names)]
    style = pool(styles, new, weights=weights, tags=tag)  # type: ignore[arg-type]
    header = context.bank.add(style, replace=replace)
    click.echo(f"{header.name}: {header.source.filename}, at {', '.join(map(str, header.sizes))}")
