"""``stylebank list``."""

from __future__ import annotations

import click

from stylebank.errors import printable

from . import options


@click.command("list")
@options.json_flag
@click.pass_obj
def command(shared: options.Shared, json: bool) -> int:
    """List the styles in the bank.

    \b
      $ stylebank list
      $ stylebank list --json | jq '.[].name'
    """
    headers, damaged = shared.bank.headers()
    if json:
        options.print_json([header.plain() for header in headers])
    else:
        width = max((len(header.name) for header in headers), default=0)
        for header in headers:
            scales = ",".join(map(str, header.sizes))
            tags = f"  [{printable(' '.join(header.tags))}]" if header.tags else ""
            click.echo(f"{header.name:<{width}}  {scales}  {header.source.width} x {header.source.height}{tags}")
        if not headers:
            shared.note(f"The bank {printable(shared.bank.folder)} is empty. 'stylebank add IMAGE' puts a painting in.")
    return options.warn_damaged(damaged)
