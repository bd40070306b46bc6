"""``stylebank presets``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stylebank.errors import printable

from . import options

if TYPE_CHECKING:
    from ..jobs.presets import Preset

_LONGEST_VALUE = 60


@click.command("presets")
@options.json_flag
@click.pass_obj
def command(context: options.CliContext, json: bool) -> int:
    """List the presets, built-in ones and those of stylebank.toml.

    Each line has name, settings and file. stylebank.toml is read in the working folder, in the
    user's configuration folder and in the bank; of presets with one name, the first of these
    counts. Options of the command line and environment variables override a preset.

    \b
      [presets.mine]
      extends = "fine"
      strength = 0.7
      keep_color = "luma"

    \b
      $ stylebank presets
      $ stylebank apply --style great_wave photo.jpg --preset mine
    """
    from ..jobs.preset_files import FILE_NAME, user_folder
    from ..jobs.presets import presets

    found, errors = presets(context.bank)
    if json:
        options.print_json([preset.to_dict() for preset in found])
    else:
        width = max(len(preset.name) for preset in found)
        for preset in found:
            click.echo(f"{preset.name:<{width}}  {_settings(preset)}  {_source(preset)}")
        folder = user_folder()
        if all(preset.path is None for preset in found) and not errors and folder is not None:
            context.print(f"No {FILE_NAME} with a preset. One in {printable(folder)} serves every folder and bank.")
    for error in errors:
        context.error(error)
    return 1 if errors else 0


def _settings(preset: Preset) -> str:
    parts = [f"extends {preset.extends}"] if preset.extends not in (None, "standard") else []
    parts += [f"{key} {_value(value)}" for key, value in preset.own.items()]
    return ", ".join(parts) or "the defaults"


def _value(value: Any) -> str:
    """Return a value in one line, the length of a long list in its place."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = [f"{key}={weight:g}" for key, weight in value.items()]
    if isinstance(value, float):
        return f"{value:g}"
    text = printable(" ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
    if len(text) <= _LONGEST_VALUE:
        return text or "none"
    return f"({len(value)})" if isinstance(value, list | tuple) else f"{text[: _LONGEST_VALUE - 3]}..."


def _source(preset: Preset) -> str:
    if preset.path is None:
        return f"[{preset.source}]"
    hidden = f", not used because of {printable(preset.overridden_by)}" if preset.overridden_by is not None else ""
    return f"[{preset.source}: {printable(preset.path)}{hidden}]"
