"""``stylebank list``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stylebank.errors import printable
from stylebank.style import Header

from . import options

#: What --sort can go by; the order of names decides where it is the same.
_ORDERS: dict[str, Callable[[Header], Any]] = {
    "name": lambda header: 0,
    "created": lambda header: header.created,
    "size": lambda header: -header.source.width * header.source.height,
    "source": lambda header: header.source.filename.casefold(),
}


@click.command("list")
@click.option("--tag", multiple=True, help="Only styles with this tag; repeatable, they need all.")
@click.option(
    "--sort", type=click.Choice(list(_ORDERS)), default="name", show_default=True, help="Largest painting first."
)
@options.json_flag
@click.pass_obj
def command(shared: options.CliContext, tag: tuple[str, ...], sort: str, json: bool) -> int:
    """List the styles in the bank.

    \b
      $ stylebank list
      $ stylebank list --tag hokusai --sort created
      $ stylebank list --json | jq '.[].name'
    """
    every, damaged = shared.bank.headers()
    headers = sorted((header for header in every if set(tag) <= set(header.tags)), key=_ORDERS[sort])
    if json:
        options.print_json([header.to_dict() for header in headers])
    else:
        width = max((len(header.name) for header in headers), default=0)
        for header in headers:
            scales = ",".join(map(str, header.sizes))
            tags = f"  [{printable(' '.join(header.tags))}]" if header.tags else ""
            click.echo(f"{header.name:<{width}}  {scales}  {header.source.width} x {header.source.height}{tags}")
        if every and not headers:
            known = sorted({text for header in every for text in header.tags})
            shared.note(f"No style has {' and '.join(map(repr, tag))}. Tags: {printable(', '.join(known)) or 'none'}.")
        if not every:
            shared.note(f"The bank {printable(shared.bank.folder)} is empty. 'stylebank add IMAGE' puts a painting in.")
    return options.warn_damaged(damaged)
