"""``stylebank export``."""

from __future__ import annotations

import click

from stylebank.bank import transfer
from stylebank.errors import printable
from stylebank.names import check_name

from . import options
from .path_types import PathName


@click.command("export")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=options.StyleName())
@click.option("-o", "--output", required=True, type=PathName(), help="Folder, or FILE.stylebank.h5 for a single NAME.")
@options.no_thumbnail
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.pass_obj
def command(
    context: options.CliContext, names: tuple[str, ...], output: str, no_thumbnail: bool, overwrite: bool
) -> None:
    """Write styles to files, to share them. The digest of each is printed.

    --no-thumbnail leaves the pictures out. The style still does not keep the painting secret:
    its statistics can be inverted into a likeness of the painting's texture, and the file name
    and digest of the painting stay.

    \b
      $ stylebank export starry_night -o starry_night.stylebank.h5
      $ stylebank export starry_night great_wave -o shared/ --no-thumbnail
    """
    paths = transfer.export(context.bank, names, output, no_thumbnail=no_thumbnail, overwrite=overwrite)
    for name, path in zip(dict.fromkeys(map(check_name, names)), paths, strict=True):
        digest = context.bank.header(name).content_sha256
        context.print_result(f"{name}: {printable(path)} ({options.file_size(path)}), {digest}")
