"""``stylebank show``."""

from __future__ import annotations

import click

from stylebank.errors import printable

from . import options


@click.command("show")
@click.argument("name", type=options.StyleName())
@options.json_flag
@click.pass_obj
def command(shared: options.Shared, name: str, json: bool) -> None:
    """Show what the bank knows of a style.

    \b
      $ stylebank show starry_night
      $ stylebank show starry_night --json
    """
    path = shared.bank.path(name)
    content = shared.bank.header(name).plain()
    content.update(file=str(path), bytes=path.stat().st_size)
    if json:
        options.print_json(content)
        return
    content["bytes"] = options.megabytes(path)
    width = max(map(len, content))
    for key, value in content.items():
        shown = value if key == "name" else printable(_shown(value))  # a name has been checked, emoji and all
        click.echo(f"{key:<{width}}  {shown}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(" x ".join(map(str, size)) for size in value.values())
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            return " x ".join(map(str, value))
        return " ".join(map(str, value)) or "-"
    return str(value)
