"""``stylebank apply``."""

from __future__ import annotations

import time
from typing import Any

import click

import pipeline
from stylebank.images import WRITE_FORMATS

from ..jobs.naming import DEFAULT_TEMPLATE, FIELDS
from ..settings import LEARNING_RATES, OPTIMIZERS, PRECISIONS, SynthesisSettings
from . import options
from .console import print_summary, reporter
from .style_options import controls

_DEFAULT = SynthesisSettings()


@click.command("apply")
@click.argument("subjects", metavar="SUBJECT...", nargs=-1, required=True, type=click.Path())
@controls
@click.option("-o", "--output", type=click.Path(), help="A folder, or a file for one SUBJECT.  [default: .]")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help=f"[default: {_DEFAULT.optimizer}]")
@click.option(
    "--learning-rate",
    type=float,
    help="Grey levels a step.  "
    f"[default: {', '.join(f'{rate:g} for {name}' for name, rate in LEARNING_RATES.items())}]",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help=f"Of the convolutions; auto takes what a short timing finds faster.  [default: {_DEFAULT.precision}]",
)
@click.option(
    "--tolerance",
    type=float,
    help="Share of a style's largest eigenvalue below which its tail is left out of a step.  "
    f"[default: {_DEFAULT.tolerance:g}]",
)
@click.option("--init", metavar="subject|noise|FILE", help=f"What to begin with.  [default: {_DEFAULT.init}]")
@click.option("--seed", type=int, help=f"Of the noise.  [default: {_DEFAULT.seed}]")
@click.option("--save-every", type=click.IntRange(1), metavar="N", help="Keep a picture every N steps, too.")
@click.option("--animation", type=click.Path(), metavar="FILE", help="A .gif or .webp of the way, for one SUBJECT.")
@click.option("--overwrite", is_flag=True, help="Make pictures again that are there already.")
@click.option("--recursive", is_flag=True, help="Look in the folders below a SUBJECT folder, too.")
@click.option(
    "--format",
    type=click.Choice(list(WRITE_FORMATS)),
    help=f"Of the outputs.  [default: by the name of an --output file, else {_DEFAULT.format}]",
)
@click.option("--quality", type=int, help=f"1 to 100, for jpg and webp.  [default: {_DEFAULT.quality}]")
@click.option(
    "--depth", type=int, metavar="8|16", help=f"Bits a channel; 16 for png and tiff.  [default: {_DEFAULT.depth}]"
)
@click.option(
    "--metadata/--no-metadata",
    default=None,
    help="Copy the SUBJECT's EXIF and XMP: date, camera, place, author.  "
    f"[default: {'metadata' if _DEFAULT.metadata else 'no-metadata'}]",
)
@click.option(
    "--name-template",
    metavar="TEXT",
    help=f"Names of outputs, without suffix, of {', '.join(f'{{{field}}}' for field in FIELDS)}.  "
    f"[default: {DEFAULT_TEMPLATE}]",
)
@options.weights
@options.allow_unknown_weights
@options.max_pixels
@options.memory_limit
@options.execution_options
@click.option("--json", is_flag=True, help="Print the record's lines.")
@click.pass_obj
def command(
    context: options.CliContext,
    /,
    subjects: tuple[str, ...],
    style: tuple[str, ...],
    json: bool,
    keep_going: bool,
    **settings: Any,
) -> int:
    """Make pictures of the SUBJECTs in a style, or several.

    SUBJECTs are files, folders, and quoted patterns. Outputs are named
    {subject}.{style}.jpg, or by --name-template; stylebank.jsonl beside them says how each was
    made. What is there already, made the same way, is not made again.

    \b
      $ stylebank apply --style starry_night photo.jpg
      $ stylebank apply --style great_wave in/ "more/*.png" --output out --size 1024
      $ stylebank apply --style poppies scan.tif --format tiff --depth 16 --no-metadata
      $ stylebank apply --style poppies in/ --output out --name-template "{style}/{subject}-{size}"
      $ stylebank apply --style starry_night:0.6 --style great_wave:0.4 photo.jpg --keep-color luma
      $ stylebank apply --style sky=starry_night --style rest=poppies --mask sky=sky.png photo.jpg
      $ stylebank apply --style great_wave photo.jpg --strength 0.5 --style-scale 1.5 --preset draft
      $ stylebank apply --style great_wave in/ --output out --devices 0,1
      $ stylebank apply --style starry_night photo.jpg --size 2048 --memory-limit 8GB
    """
    start = time.monotonic()
    with reporter(context, with_json=json) as listener:
        entries = pipeline.apply(context.bank, style, subjects, listener=listener, fail_fast=not keep_going, **settings)
    return print_summary(context, entries, time.monotonic() - start)
