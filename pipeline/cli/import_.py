"""``stylebank import``."""

from __future__ import annotations

import click

from stylebank.bank import transfer
from stylebank.errors import BankBusy, OutputRefused, StylebankError, UsageError
from stylebank.storage import isolated

from . import options
from .path_types import PathName


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=PathName())
@click.option("--rename", metavar="NAME", help="Name in this bank, for a single FILE.  [default: the style's name]")
@click.option(
    "--expect-sha256",
    metavar="DIGEST",
    help="Accept only a FILE with this digest, either of its bytes or its content_sha256.",
)
@options.no_thumbnail
@options.replace
@click.pass_obj
def command(
    context: options.CliContext,
    files: tuple[str, ...],
    rename: str | None,
    expect_sha256: str | None,
    no_thumbnail: bool,
    replace: bool,
) -> int:
    """Check style files and add them to the bank.

    Each file is checked in full first, in another process with limits of memory and time: structure,
    digests, finite numbers, valid covariances.
    Only a digest from the author of the file proves its origin: give it with --expect-sha256.

    \b
      $ stylebank import shared/*.stylebank.h5
      $ stylebank import wave.stylebank.h5 --rename "The Great Wave" --expect-sha256 8c5a...
    """
    if len(files) > 1:
        for option, value in (("--rename", rename), ("--expect-sha256", expect_sha256)):
            if value is not None:
                raise UsageError(
                    f"{option} {value!r} applies to a single FILE, not {len(files)}. Import them one by one."
                )
    code = 0
    with isolated.Parser() as parser:
        for file in files:
            try:
                header = transfer.import_style(
                    context.bank,
                    file,
                    rename=rename,
                    expect_sha256=expect_sha256,
                    replace=replace,
                    no_thumbnail=no_thumbnail,
                    parse=parser.parse,
                )
            except (BankBusy, OutputRefused):
                raise
            except StylebankError as error:
                if len(files) == 1:
                    raise
                context.error(error)
                code = 1
            else:
                context.print_result(f"{header.name}: imported, {header.content_sha256}")
    return code
