"""``stylebank mix``."""

from __future__ import annotations

import click

from stylebank.bank.combine import mix
from stylebank.errors import UsageError, plural
from stylebank.math.barycenter import Convergence
from stylebank.names import check_name

from . import options


@click.command("mix")
@click.argument("new")
@click.option(
    "--from",
    "parts",
    type=options.StyleName(),
    metavar="NAME:WEIGHT",
    multiple=True,
    required=True,
    help="A style and how much it counts, 1 if left out; repeatable. Weights are divided by their sum.",
)
@options.tags
@options.replace
@click.pass_obj
def command(shared: options.CliContext, new: str, parts: tuple[str, ...], tag: tuple[str, ...], replace: bool) -> None:
    """Make style NEW from others: their Wasserstein barycentre, at every scale and layer.

    It is kept with its recipe and used like any other. Scales are matched where they are
    within half an octave; a name that ends in a colon and a number is written with its weight.

    \b
      $ stylebank mix stormy --from starry_night:0.6 --from great_wave:0.4
      $ stylebank mix three --from starry_night --from great_wave --from poppies --tag mixed
    """
    pairs = [_part(text) for text in parts]
    new = shared.bank.ensure_available(new, replace=replace)
    styles = [shared.bank.get(name) for name, _weight in pairs]
    unfinished: list[str] = []
    most = 0

    def on_layer(scale: int, layer: str, convergence: Convergence) -> None:
        nonlocal most
        most = max(most, convergence.iterations)
        if not convergence.converged:
            unfinished.append(f"{layer} at {scale} (last step {convergence.residual:.2g} of the spread)")
        if shared.verbose:
            shared.note(
                f"detail: {scale} {layer}: {plural(convergence.iterations, 'iteration')}, {convergence.residual:.2g}"
            )

    made = mix(styles, [weight for _name, weight in pairs], new, tags=tag, on_layer=on_layer)
    header = shared.bank.add(made, replace=replace)
    for text in unfinished:
        shared.note(f"note: {new}: not converged: {text}")
    how = f"in up to {plural(most, 'iteration')}" if most else "in closed form"
    scales = ", ".join(map(str, header.sizes))
    click.echo(f"{header.name}: {header.source.filename}, at {scales}, {how}")


def _part(text: str) -> tuple[str, float]:
    name, colon, weight = text.rpartition(":")
    try:
        value = float(weight)
    except ValueError:
        return check_name(text), 1.0
    if not colon:
        return check_name(text), 1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"--from {text}: weight {weight}; expected a number from 0 up.")
    return check_name(name), value
