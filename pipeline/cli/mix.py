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
    help="A style and its weight, which is 1 if left out; repeatable. Weights are divided by their sum.",
)
@options.tags
@options.replace
@click.pass_obj
def command(context: options.CliContext, new: str, parts: tuple[str, ...], tag: tuple[str, ...], replace: bool) -> None:
    """Compute style NEW as the Wasserstein barycentre of other styles.

    Every scale and layer is mixed. Scales are matched if they are within half an octave. The new
    style records its recipe. Write a name that ends in a colon and a number with its weight.

    \b
      $ stylebank mix stormy --from starry_night:0.6 --from great_wave:0.4
      $ stylebank mix three --from starry_night --from great_wave --from poppies --tag mixed
    """
    pairs = [_parse_part(text) for text in parts]
    new = context.bank.ensure_available(new, replace=replace)
    styles = [context.bank.get(name) for name, _weight in pairs]
    unconverged: list[str] = []
    max_iterations = 0

    def on_layer(scale: int, layer: str, convergence: Convergence) -> None:
        nonlocal max_iterations
        max_iterations = max(max_iterations, convergence.iterations)
        if not convergence.converged:
            unconverged.append(f"{layer} at {scale} (last step {convergence.residual:.2g} of the spread)")
        context.detail(f"{scale} {layer}: {plural(convergence.iterations, 'iteration')}, {convergence.residual:.2g}")

    style = mix(styles, [weight for _name, weight in pairs], new, tags=tag, on_layer=on_layer)
    header = context.bank.add(style, replace=replace)
    for text in unconverged:
        context.note(f"{new}: not converged: {text}")
    iterations = f"in up to {plural(max_iterations, 'iteration')}" if max_iterations else "in closed form"
    scales = ", ".join(map(str, header.sizes))
    click.echo(f"{header.name}: {header.source.filename}, at {scales}, {iterations}")


def _parse_part(text: str) -> tuple[str, float]:
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
