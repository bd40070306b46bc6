"""``stylebank apply``."""

from __future__ import annotations

import time
from typing import Any

import click

import pipeline
from stylebank.images import WRITE_FORMATS

from ..jobs.naming import DEFAULT_TEMPLATE, FIELDS
from ..print_sizes import FITS, FORMATS, PRINT_DPI
from ..settings import SynthesisSettings
from . import options, subject_options
from .console import print_summary, reporter
from .path_types import PathName
from .style_options import controls, optimisation

_DEFAULT = SynthesisSettings()


@click.command("apply")
@subject_options.subjects
@controls
@click.option("--each", is_flag=True, help="Make pictures of each --style, in place of a blend.")
@click.option("-o", "--output", type=PathName(), help="Folder, or file for a single SUBJECT.  [default: .]")
@optimisation
@click.option("--save-every", type=click.IntRange(1), metavar="N", help="Also save a snapshot every N steps.")
@click.option(
    "--animation",
    type=PathName(),
    metavar="FILE",
    help="Write a .gif or .webp of the optimisation, for a single SUBJECT.",
)
@options.resuming
@click.option("--recursive", is_flag=True, help="Also search the folders below a SUBJECT folder, linked ones too.")
@click.option(
    "--format",
    type=click.Choice(list(WRITE_FORMATS)),
    help=f"Format of the outputs.  [default: by the suffix of an --output file, else {_DEFAULT.format}]",
)
@click.option("--quality", type=int, help=f"Quality from 1 to 100, for jpg and webp.  [default: {_DEFAULT.quality}]")
@click.option(
    "--depth", type=int, metavar="8|16", help=f"Bits per channel; 16 for png and tiff.  [default: {_DEFAULT.depth}]"
)
@click.option(
    "--metadata/--no-metadata",
    default=None,
    help="Copy the EXIF and XMP of the SUBJECT: date, camera, place, author.  "
    f"[default: {'metadata' if _DEFAULT.metadata else 'no-metadata'}]",
)
@click.option(
    "--print",
    metavar="SIZE",
    help="Size of the print, in place of --size: 30x20cm, 300x200mm, 12x8in (width x height), or "
    f"{', '.join(FORMATS)}, which are landscape or portrait as the SUBJECT is.",
)
@click.option(
    "--fit",
    type=click.Choice(FITS),
    help="A SUBJECT of another shape than the print: 'crop' cuts its edges off, 'border' adds white paper.  "
    f"[default: {_DEFAULT.fit}]",
)
@click.option(
    "--proof",
    type=int,
    metavar="N",
    help="Make one tile of N pixels a side out of the final picture, with its strokes, for a look before hours of "
    "work. The name ends in .proof, and it never counts as the picture.",
)
@click.option(
    "--proof-at",
    metavar="X,Y",
    help="Centre of the tile in percent of width and height, such as 50,30.  [default: where most detail is]",
)
@click.option(
    "--dpi",
    type=float,
    metavar="N",
    help="Dots per inch that the output states, and has on a --print.  "
    f"[default: what keeps the print size of the SUBJECT; {PRINT_DPI:g} with --print]",
)
@click.option(
    "--name-template",
    metavar="TEXT",
    help=f"Template of the outputs' names, without suffix, of {', '.join(f'{{{field}}}' for field in FIELDS)}.  "
    f"[default: {DEFAULT_TEMPLATE}]",
)
@options.weights
@options.allow_unknown_weights
@options.max_pixels
@options.memory_limit
@options.execution_options
@click.option(
    "--dry-run", is_flag=True, help="Print what would run, with sizes, memory, time and disk space. Nothing is written."
)
@click.option("--json", is_flag=True, help="Print the lines of the record; with --dry-run, print the plan.")
@click.pass_obj
def command(
    context: options.CliContext,
    /,
    subjects: tuple[str, ...],
    style: tuple[str, ...],
    json: bool,
    keep_going: bool,
    dry_run: bool,
    **settings: Any,
) -> int:
    """Put photographs into a style, or into several.

    SUBJECTs are files, folders, and patterns in quotes. Outputs are named
    {subject}.{style}.jpg, or by --name-template. The record stylebank.jsonl beside them keeps
    style and settings of each. Finished outputs with the same settings are skipped; with other
    settings a second one gets a number. Several runs can share a folder, also from several machines.

    \b
      $ stylebank apply --style starry_night photo.jpg
      $ stylebank apply --style great_wave in/ "more/*.png" --output out --size 1024
      $ stylebank apply --style poppies scan.tif --format tiff --depth 16 --no-metadata
      $ stylebank apply --style poppies in/ --output out --name-template "{style}/{subject}-{size}"
      $ stylebank apply --style starry_night:0.6 --style great_wave:0.4 photo.jpg --keep-color luma
      $ stylebank apply --style starry_night --style great_wave --each photo.jpg --output out
      $ stylebank apply --style sky=starry_night --style rest=poppies --mask sky=sky.png photo.jpg
      $ stylebank apply --style great_wave photo.jpg --strength 0.5 --style-scale 1.5 --preset draft
      $ stylebank apply --style great_wave in/ --output out --devices 0,1
      $ stylebank apply --style starry_night photo.jpg --size 2048 --memory-limit 8GB
      $ stylebank apply --style starry_night photo.jpg --print A4 --fit border --dry-run
      $ stylebank apply --style starry_night photo.jpg --print A4 --proof 512
    """
    if dry_run:
        return _print_plan(context, style, subjects, json=json, **settings)
    start = time.monotonic()
    with reporter(context, with_json=json) as listener:
        entries = pipeline.apply(
            context.bank,
            style,
            subjects,
            listener=listener,
            fail_fast=not keep_going,
            on_error="return",
            **settings,
        )
    return print_summary(context, entries, time.monotonic() - start)


def _print_plan(
    context: options.CliContext, style: tuple[str, ...], subjects: tuple[str, ...], *, json: bool, **settings: Any
) -> int:
    from ..execution.executors import make_executor
    from ..jobs.apply import prepare_runs
    from .dry_run import print_plan

    executor = make_executor(
        **{key: settings.pop(key) for key in ("jobs", "devices", "cluster", "device", "deterministic")}
    )
    settings.pop("batch_size")
    runs, notes = prepare_runs(context.bank, style, subjects, **settings)
    for note in notes:
        context.note(note)
    return print_plan(context, runs, executor, with_json=json)
