"""``stylebank show``."""

from __future__ import annotations

from typing import Any

import click

from stylebank.errors import printable

from ..ingest.outdated import outdated_note
from . import options


@click.command("show")
@click.argument("name", type=options.StyleName())
@options.json_flag
@click.pass_obj
def command(context: options.CliContext, name: str, json: bool) -> None:
    """Print the header of a style: source, scales, layers, digests and recipe.

    \b
      $ stylebank show starry_night
      $ stylebank show starry_night --json
    """
    path = context.bank.path(name)
    header = context.bank.header(name)
    content = header.to_dict()
    content.update(file=str(path), bytes=path.stat().st_size)
    if json:
        options.print_json(content)
        return
    content["bytes"] = options.file_size(path)
    content["recipe"] = _recipe_text(content["recipe"])
    width = max(map(len, content))
    for key, value in content.items():
        text = value if key == "name" else printable(_value_text(value))  # a name has been checked, emoji and all
        click.echo(f"{key:<{width}}  {text}")
    outdated = outdated_note([header])
    if outdated:
        context.note(outdated)


def _recipe_text(recipe: dict[str, Any] | None) -> str:
    """Return a recipe in words. It is untrusted text of the file's author."""
    if recipe is None:
        return "-"
    parts = recipe.get("parts")
    entries = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    sources = ", ".join(
        f"{part.get('name')} {part.get('weight')} ({str(part.get('content_sha256'))[:12]})" for part in entries
    )
    return f"{recipe.get('kind')} of {sources or '-'}"


def _value_text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(" x ".join(map(str, size)) for size in value.values())
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            return " x ".join(map(str, value))
        return " ".join(map(str, value)) or "-"
    return str(value)
