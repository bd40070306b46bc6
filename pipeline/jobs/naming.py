"""How outputs are named: a template of fields, strict, and never out of the output folder."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path, PurePath

from stylebank.errors import UsageError, printable

#: What an output is called, before its suffix.
DEFAULT_TEMPLATE = "{subject}.{style}"
FIELDS = ("subject", "style", "size", "preset")


def check_template(template: str) -> str:
    """Return `template`, or refuse it.

    A template is the output's path below its folder, without suffix: text with the fields of
    `FIELDS` in braces, ``{{`` and ``}}`` for braces themselves, ``/`` for folders.

    Raises
    ------
    UsageError
        For a field that is not known or has a format of its own, braces that do not match, a
        control character, or a path that leads out of the folder.
    """
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    shown = f"name template {printable(template)!r}"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"{shown}: {error}. Use {known}, and {{{{ or }}}} for a brace itself.") from error
    for _text, field, layout, conversion in parts:
        if field is not None and (field not in FIELDS or layout or conversion):
            name = field + (f"!{conversion}" if conversion else "") + (f":{layout}" if layout else "")
            raise UsageError(f"{shown}: unknown field {{{printable(name)}}}. Use {known}.")
    if not template.isprintable():
        raise UsageError(f"{shown}: holds a control character. Leave it out.")
    _below(template.format(**dict.fromkeys(FIELDS, "x")), shown)
    return template


def output_path(template: str, suffix: str, fields: Mapping[str, str]) -> Path:
    """Return an output's path below its folder.

    Raises
    ------
    UsageError
        As `check_template` does, and where a field's value leads out of the folder.
    """
    check_template(template)
    # not with_suffix, which would take a style's own dots for one
    return Path(f"{_below(template.format(**fields), f'name template {printable(template)!r}')}{suffix}")


def _below(path: str, shown: str) -> str:
    parts = path.replace(os.sep, "/").split("/")
    if PurePath(path).is_absolute() or PurePath(path).drive or ".." in parts:
        raise UsageError(f"{shown}: leads out of the output folder. Leave out '..' and what makes it absolute.")
    if not all(part.strip(". ") for part in parts):
        raise UsageError(f"{shown}: names a folder or a file with nothing. Give each part a name.")
    return path


def steps_folder(output: Path) -> Path:
    """Return where the pictures on the way to `output` are kept."""
    return output.with_suffix(".steps")
