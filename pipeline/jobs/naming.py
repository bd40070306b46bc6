"""Names of outputs: a template with fields, always below the output folder."""

from __future__ import annotations

import os
import string
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePath

from stylebank.errors import UsageError, printable

from ..settings import SynthesisSettings

#: Default name of an output, without suffix.
DEFAULT_TEMPLATE = "{subject}.{style}"
#: Settings that a template can name, so that pictures with other settings have other names.
SETTING_FIELDS = (
    "size",
    "steps",
    "strength",
    "content_weight",
    "content_detail",
    "tv_weight",
    "style_scale",
    "keep_color",
    "optimizer",
    "seed",
)
FIELDS = ("subject", "style", "preset", "suffix", *SETTING_FIELDS)
_LONGEST_NAME = 255
STEPS_SUFFIX = ".steps"


def check_template(template: str) -> str:
    """Return `template` if it is valid.

    A template is the output's path below its folder, without suffix: text with the fields of
    `FIELDS` in braces, ``{{`` and ``}}`` for braces themselves, ``/`` for folders.

    Raises
    ------
    UsageError
        For an unknown field, a field with a format, unbalanced braces, a control character, or a path that
        leads out of the folder.
    """
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    shown = f"name template {printable(template)!r}"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"{shown}: {error}. Use {known}, and {{{{ or }}}} for a brace.") from error
    for _text, field, layout, conversion in parts:
        if field is not None and (field not in FIELDS or layout or conversion):
            name = field + (f"!{conversion}" if conversion else "") + (f":{layout}" if layout else "")
            raise UsageError(f"{shown}: unknown field {{{printable(name)}}}. Use {known}.")
    if not template.isprintable():
        raise UsageError(f"{shown}: contains a control character. Leave it out.")
    _below(template.format(**dict.fromkeys(FIELDS, "x")), shown)
    return template


def output_path(template: str, suffix: str, fields: Mapping[str, str]) -> Path:
    """Return the path of an output, relative to its folder.

    Raises
    ------
    UsageError
        As for `check_template`, and for a field's value that leads out of the folder.
    """
    check_template(template)
    # with_suffix would replace what follows a dot in a style's name
    return Path(f"{_below(template.format(**fields), f'name template {printable(template)!r}')}{suffix}")


def setting_fields(settings: SynthesisSettings, preset: str | None = None) -> dict[str, str]:
    """Return the values of the template's fields that settings decide; a size of 0 is ``own``."""
    values = {name: getattr(settings, name) for name in SETTING_FIELDS}
    fields = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in values.items()}
    return {**fields, "size": str(settings.size or "own"), "preset": preset or "standard"}


def numbered(output: Path, number: int) -> Path:
    """Return the name of a second, third, ... picture beside an output: ``photo.monet-2.jpg``."""
    return output.with_name(f"{output.name.removesuffix(output.suffix)}-{number}{output.suffix}")


def proof_path(output: Path) -> Path:
    """Return the name of a proof of an output: ``photo.monet.proof.jpg``."""
    return output.with_name(f"{output.name.removesuffix(output.suffix)}.proof{output.suffix}")


def _below(path: str, shown: str) -> str:
    parts = path.replace(os.sep, "/").split("/")
    if PurePath(path).is_absolute() or PurePath(path).drive or ".." in parts:
        raise UsageError(f"{shown}: leads out of the output folder. Leave out '..' and a leading '/'.")
    if not all(part.strip(". ") for part in parts):
        raise UsageError(f"{shown}: a folder or file has an empty name. Give each part a name.")
    return path


def output_key(path: str | os.PathLike[str]) -> str:
    """Return a key that is equal for paths that some file system takes for one: by case, or by composed accents.

    ``Straße`` and ``Strasse`` have two keys.
    """
    lower = unicodedata.normalize("NFC", os.fspath(path)).lower()
    return unicodedata.normalize("NFC", lower)


def too_long(path: Path) -> str | None:
    """Return the reason if a name in `path` has more bytes than file systems allow; else None."""
    name = max(path.parts, key=lambda part: len(os.fsencode(part)), default="")
    count = len(os.fsencode(name))
    if count <= _LONGEST_NAME:
        return None
    return f"{printable(path)}: a file name of {count} bytes; at most {_LONGEST_NAME} are possible."


def steps_folder(output: Path) -> Path:
    """Return the folder of the snapshots of `output`."""
    return output.with_suffix(STEPS_SUFFIX)
