"""``stylebank list``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stylebank.errors import plural, printable
from stylebank.style import Header

from ..ingest.outdated import outdated_note
from . import options

#: Keys of --sort; styles with equal keys stay in the order of their names.
_SORT_KEYS: dict[str, Callable[[Header], Any]] = {
    "name": lambda header: 0,
    "created": lambda header: header.created,
    "size": lambda header: -header.source.width * header.source.height,
    "source": lambda header: header.source.filename.casefold(),
}


@click.command("list")
@click.option(
    "--tag",
    type=options.TagName(),
    multiple=True,
    help="List only styles with this tag; repeatable, and styles need all tags given.",
)
@click.option(
    "--sort",
    type=click.Choice(list(_SORT_KEYS)),
    default="name",
    show_default=True,
    help="Order of the list; 'size' puts the largest painting first, 'created' the oldest style.",
)
@options.json_flag
@click.pass_obj
def command(context: options.CliContext, tag: tuple[str, ...], sort: str, json: bool) -> int:
    """List the styles in the bank.

    \b
      $ stylebank list
      $ stylebank list --tag hokusai --sort created
      $ stylebank list --json | jq '.[].name'
    """
    all_headers, damaged = context.bank.headers()
    headers = sorted((header for header in all_headers if set(tag) <= set(header.tags)), key=_SORT_KEYS[sort])
    if json:
        options.print_json([header.to_dict() for header in headers])
    else:
        width = max((len(header.name) for header in headers), default=0)
        for header in headers:
            scales = ",".join(map(str, header.sizes))
            tags = f"  [{printable(' '.join(header.tags))}]" if header.tags else ""
            click.echo(f"{header.name:<{width}}  {scales}  {header.source.width} x {header.source.height}{tags}")
        if all_headers and not headers:
            known_tags = sorted({text for header in all_headers for text in header.tags})
            context.print(
                f"No style has {' and '.join(map(repr, tag))}. Tags: {printable(', '.join(known_tags)) or 'none'}."
            )
        if damaged and not all_headers:
            context.print(f"The bank {printable(context.bank.folder)} has {plural(len(damaged), 'file')}, none usable.")
        elif not all_headers:
            context.print(f"The bank {printable(context.bank.folder)} is empty. 'stylebank add IMAGE' adds a style.")
    outdated = outdated_note(headers)
    if outdated:
        context.detail(outdated)
    return options.print_damaged(damaged)
