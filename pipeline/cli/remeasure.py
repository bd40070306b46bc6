"""``stylebank remeasure``."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

import pipeline
from stylebank.bank.fingerprints import describe, differing
from stylebank.bank.recipes import outdated_combinations
from stylebank.errors import BankBusy, OutputRefused, StylebankError, WeightsRefused

from ..jobs.shell_command import combine_command
from ..settings import ingest_settings
from . import options
from .console import scale_reporter
from .measure_options import SETTINGS, measuring
from .path_types import PathName

if TYPE_CHECKING:
    from ..ingest.remeasure import Remeasurement

#: Errors that every following painting would meet, too.
_STOPPING_ERRORS = (BankBusy, OutputRefused, WeightsRefused)


@click.command("remeasure")
@click.argument("paintings", metavar="PAINTING...", nargs=-1, required=True, type=PathName())
@measuring(scales_default="those of each style")
@click.option("--dry-run", is_flag=True, help="Print which styles would be measured, and how. Nothing is written.")
@options.max_pixels
@click.pass_obj
def command(context: options.CliContext, /, paintings: tuple[str, ...], dry_run: bool, **settings: Any) -> int:
    """Measure paintings again and update the styles made from them.

    A style is of a painting if it was measured from the same bytes, whatever its name. It keeps its
    name, tags and scales, and gets the layers, pooling and padding of today's defaults or of the
    options. The trash keeps the style as it was. Styles that have these settings are left as they are.
    Styles measured with --preset original change only if an option other than --scales is given.

    \b
      $ stylebank remeasure paintings/*.jpg --dry-run
      $ stylebank remeasure paintings/*.jpg
      $ stylebank remeasure starry_night.jpg --pooling avg
    """
    ingest_settings(**{key: settings[key] for key in SETTINGS})
    finished: list[Remeasurement] = []
    code = 0
    try:
        for number, painting in enumerate(paintings, start=1):
            start = time.perf_counter()
            try:
                with scale_reporter(context, painting, number, len(paintings)) as on_scale:
                    results = pipeline.remeasure(
                        context.bank, painting, dry_run=dry_run, note=context.print, on_scale=on_scale, **settings
                    )
            except _STOPPING_ERRORS:
                raise
            except StylebankError as error:
                if len(paintings) == 1:
                    raise
                context.error(error, subject=painting)
                code = 1
                continue
            for result in results:
                context.print_result(_line(context, result, time.perf_counter() - start))
            finished += results
    finally:  # what is finished stays, whatever ends the command
        _print_consequences(context, finished)
    return code


def _line(context: options.CliContext, result: Remeasurement, seconds: float) -> str:
    if result.status == "unchanged":
        return f"{result.name}: unchanged, {result.reason}"
    before, after = result.before, result.after
    scales = ", ".join(map(str, after.sizes))
    keys = differing([before.fingerprint, after.fingerprint])
    now = f": {describe(after.fingerprint, keys)}, before {describe(before.fingerprint, keys)}" if keys else ""
    if result.status == "planned":
        return f"{result.name}: would be measured at {scales}{now}"
    size = options.file_size(context.bank.path(result.name))
    return f"{result.name}: measured at {scales} ({size}) in {seconds:.1f} s{now}"


def _print_consequences(context: options.CliContext, results: list[Remeasurement]) -> None:
    """Say where the replaced styles are, and which mixes and pools were computed from them."""
    if any(result.status == "measured" for result in results):
        context.print("The trash keeps what was replaced; 'stylebank restore --replace NAME' brings it back.")
    replaced = {result.before.content_sha256 for result in results if result.status != "unchanged"}
    with contextlib.suppress(StylebankError):  # the styles are written
        headers, _damaged = context.bank.headers()
        for header in outdated_combinations(headers, replaced, {result.name for result in results}):
            line = combine_command(context.bank, header)
            context.note(f"{header.name}: computed from styles as they were before. To compute it again: {line}")
