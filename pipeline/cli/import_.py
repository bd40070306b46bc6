"""``stylebank import``."""

from __future__ import annotations

import click

from stylebank.bank import transfer
from stylebank.errors import BankBusy, OutputRefused, StylebankError, UsageError

from . import options


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--rename", metavar="NAME", help="The name it is to have here, for one FILE.  [default: its own]")
@click.option(
    "--expect-sha256", metavar="DIGEST", help="Refuse another FILE than this: its bytes' sha256 or its content_sha256."
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
    """Take style files from elsewhere into the bank.

    Each is checked in full first: structure, digests, and that its numbers are Gaussians. A
    digest from whoever made the file, given with --expect-sha256, tells that it is that file;
    without one nothing does.

    \b
      $ stylebank import shared/*.stylebank.h5
      $ stylebank import wave.stylebank.h5 --rename "The Great Wave" --expect-sha256 8c5a...
    """
    if len(files) > 1:
        for option, value in (("--rename", rename), ("--expect-sha256", expect_sha256)):
            if value is not None:
                raise UsageError(f"{option} {value!r} is for one FILE, and there are {len(files)}. Import one by one.")
    code = 0
    for file in files:
        try:
            header = transfer.import_style(
                context.bank,
                file,
                rename=rename,
                expect_sha256=expect_sha256,
                replace=replace,
                no_thumbnail=no_thumbnail,
            )
        except (BankBusy, OutputRefused):
            raise
        except StylebankError as error:
            if len(files) == 1:
                raise
            click.echo(f"Error: {error}", err=True)
            code = 1
        else:
            click.echo(f"{header.name}: imported, {header.content_sha256}")
    return code
