"""``stylebank tag``."""

from __future__ import annotations

import click

from stylebank.bank import library
from stylebank.errors import UsageError, printable

from . import options


@click.command("tag")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=options.StyleName())
@click.option("--add", type=options.TagName(), metavar="TAG", multiple=True, help="Tag to add; repeatable.")
@click.option("--remove", type=options.TagName(), metavar="TAG", multiple=True, help="Tag to remove; repeatable.")
@click.pass_obj
def command(context: options.CliContext, names: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Add tags to styles, or remove them. Their content_sha256 stays the same.

    \b
      $ stylebank tag starry_night village_street_in_auvers --add "van gogh"
      $ stylebank tag starry_night --remove blue --add night
    """
    if not add and not remove:
        raise UsageError("no tag: expected --add TAG or --remove TAG. 'stylebank list' shows the tags of each style.")
    for name in names:
        context.bank.path(name)
    for name in names:
        header = library.tag(context.bank, name, add=add, remove=remove)
        context.print_result(f"{header.name}: {printable(' '.join(header.tags)) or 'no tags'}")
