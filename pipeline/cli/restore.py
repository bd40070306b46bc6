"""``stylebank restore``."""

from __future__ import annotations

import click

from stylebank.errors import UsageError, printable

from . import options
from .style_types import TrashedName


@click.command("restore")
@click.argument("names", metavar="[NAME...]", nargs=-1, type=TrashedName())
@click.option("--list", "listed", is_flag=True, help="List the versions in the trash, newest first.")
@click.option("--replace", is_flag=True, help="Replace a style of the same name; the trash keeps it.")
@options.json_flag
@click.pass_obj
def command(context: options.CliContext, names: tuple[str, ...], listed: bool, replace: bool, json: bool) -> None:
    """Bring back styles that were removed or replaced. No style comes back unless all can.

    The trash keeps the last 3 versions of a style for 30 days. The newest undamaged one comes back.

    \b
      $ stylebank restore --list
      $ stylebank restore starry_night
      $ stylebank restore starry_night --replace
    """
    if listed == bool(names):
        raise UsageError("no NAME given. Give names of styles, or --list." if not listed else "--list takes no NAME.")
    if listed:
        versions = context.bank.trash()
        if json:
            options.print_json([version.to_dict() for version in versions])
            return
        labels = [version.name or printable(version.path.name) for version in versions]
        width = max(map(len, labels), default=0)
        for label, version in zip(labels, versions, strict=True):
            detail = version.reason or options.file_size(version.path)
            click.echo(f"{label:<{width}}  {version.removed:%Y-%m-%d %H:%M:%S} UTC  {detail}")
        if not versions:
            context.print("The trash is empty.")
        return
    headers = context.bank.restore(*names, replace=replace)
    if json:
        options.print_json([header.to_dict() for header in headers])
    else:
        for header in headers:
            context.print(f"{header.name}: restored")
