"""``stylebank show``."""

from __future__ import annotations

from typing import Any

import click

from stylebank.errors import printable

from . import options


@click.command("show")
@click.argument("name", type=options.StyleName())
@options.json_flag
@click.pass_obj
def command(shared: options.CliContext, name: str, json: bool) -> None:
    """Show what the bank knows of a style.

    \b
      $ stylebank show starry_night
      $ stylebank show starry_night --json
    """
    path = shared.bank.path(name)
    content = shared.bank.header(name).to_dict()
    content.update(file=str(path), bytes=path.stat().st_size)
    if json:
        options.print_json(content)
        return
    content["bytes"] = options.megabytes(path)
    content["recipe"] = _recipe(content["recipe"])
    width = max(map(len, content))
    for key, value in content.items():
        shown = value if key == "name" else printable(_shown(value))  # a name has been checked, emoji and all
        click.echo(f"{key:<{width}}  {shown}")


def _recipe(recipe: dict[str, Any] | None) -> str:
    """Recipes come with the file: whoever made it may have put anything there."""
    if recipe is None:
        return "-"
    parts = recipe.get("parts")
    each = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    named = ", ".join(
        f"{part.get('name')} {part.get('weight')} ({str(part.get('content_sha256'))[:12]})" for part in each
    )
    return f"{recipe.get('kind')} of {named or '-'}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(" x ".join(map(str, size)) for size in value.values())
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            return " x ".join(map(str, value))
        return " ".join(map(str, value)) or "-"
    return str(value)
