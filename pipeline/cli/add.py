"""``stylebank add``."""

from __future__ import annotations

import time
from typing import Any

import click

import pipeline
from stylebank.errors import StylebankError, UsageError
from stylebank.style import CONVOLUTIONS

from ..settings import MeasureSettings
from . import options

_DEFAULT = MeasureSettings()


@click.command("add")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path())
@click.option("--name", help="Name in the bank, for one IMAGE.  [default: the file's name without its suffix]")
@click.option(
    "--scales",
    type=options.Integers(),
    help=f"Longest sides to measure at; never above the painting's own.  [default: {options.listed(_DEFAULT.scales)}]",
)
@click.option(
    "--layers",
    type=options.Layers(),
    help=f"convN_M before the ReLU, reluN_M after it.  [default: all {len(CONVOLUTIONS)} convolutions]",
)
@click.option("--pooling", type=click.Choice(["avg", "max"]), help=f"[default: {_DEFAULT.pooling}]")
@click.option("--padding", type=click.Choice(["reflect", "replicate", "zero"]), help=f"[default: {_DEFAULT.padding}]")
@options.weights
@options.allow_unknown_weights
@options.preset
@click.option("--tag", "tags", multiple=True, help="A word to find the style by; may be given several times.")
@click.option("--replace", is_flag=True, help="Replace a style of the same name.")
@options.max_pixels
@click.pass_obj
def command(shared: options.Shared, /, images: tuple[str, ...], name: str | None, **settings: Any) -> int:
    """Measure paintings and keep them in the bank.

    \b
      $ stylebank add starry_night.jpg
      $ stylebank add scan.tiff --name "The Great Wave" --scales 512,1024,2048 --tag hokusai
    """
    if name is not None and len(images) > 1:
        raise UsageError(f"--name {name!r} is for one IMAGE, and there are {len(images)}. Add them one by one.")
    code = 0
    for image in images:
        began = time.perf_counter()
        try:
            header = pipeline.add(shared.bank, image, name=name, note=shared.note, **settings)
        except StylebankError as error:
            if len(images) == 1:
                raise
            click.echo(f"Error: {error}", err=True)
            code = 1
        else:
            scales = ", ".join(map(str, header.sizes))
            size = options.megabytes(shared.bank.path(header.name))
            click.echo(f"{header.name}: measured at {scales} ({size}) in {time.perf_counter() - began:.1f} s")
    return code
