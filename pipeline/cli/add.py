"""``stylebank add``."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

import pipeline
from stylebank.errors import BankBusy, StylebankError, StyleFileError, UsageError, WeightsRefused, plural, printable

from ..settings import ingest_settings
from . import options
from .console import scale_reporter
from .measure_options import SETTINGS, measuring
from .path_types import PathName

#: Errors that every following painting would meet, too.
_STOPPING_ERRORS = (BankBusy, StyleFileError, WeightsRefused)


@click.command("add")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=PathName())
@click.option("--name", help="Name in the bank, for a single IMAGE.  [default: the file's name without its suffix]")
@measuring()
@click.option("--tag", multiple=True, type=options.TagName(), help="Tag to find the style by; repeatable.")
@click.option("--replace", is_flag=True, help="Replace a style of the same name.")
@options.no_thumbnail
@options.max_pixels
@click.pass_obj
def command(
    context: options.CliContext, /, images: tuple[str, ...], name: str | None, tag: tuple[str, ...], **settings: Any
) -> int:
    """Measure paintings and keep them in the bank.

    \b
      $ stylebank add starry_night.jpg
      $ stylebank add scan.tiff --name "The Great Wave" --scales 512,1024,2048 --tag hokusai
    """
    if name is not None and len(images) > 1:
        raise UsageError(f"--name {name!r} names a single IMAGE, not {len(images)}. Add them one by one.")
    stems = Counter(Path(image).stem for image in images)
    for stem, times in stems.items():
        if times > 1:
            raise UsageError(f"{times} images would be named {printable(stem)}. Add them one by one with --name.")
    ingest_settings(**{key: settings[key] for key in SETTINGS})
    code = 0
    for number, image in enumerate(images, start=1):
        start = time.perf_counter()
        try:
            with scale_reporter(context, image, number, len(images)) as on_scale:
                header = pipeline.add(
                    context.bank, image, name=name, tags=tag, note=context.print, on_scale=on_scale, **settings
                )
        except _STOPPING_ERRORS:
            raise
        except StylebankError as error:
            if len(images) == 1:
                raise
            context.error(error, subject=image)
            code = 1
        else:
            scales = ", ".join(map(str, header.sizes))
            size = options.file_size(context.bank.path(header.name))
            fingerprint = header.fingerprint
            context.detail(
                f"{plural(len(fingerprint.layers), 'layer')}, {fingerprint.pooling} pooling, "
                f"{fingerprint.padding} padding, weights {fingerprint.weights_sha256[:12]}, "
                f"digest {header.content_sha256[:12]}"
            )
            context.print_result(f"{header.name}: measured at {scales} ({size}) in {time.perf_counter() - start:.1f} s")
    return code
