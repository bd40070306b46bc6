"""Paths as users write them: with ``~`` that no shell expands, after ``REGION=``, in place of a style's name."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylebank.errors import UsageError, printable
from stylebank.images import READ_SUFFIXES

REGION = re.compile(r"(\w[\w-]*)=(.+)", re.DOTALL)


def expand_user(path: str) -> str:
    """Replace ``~`` by the user's home folder, and ``~NAME`` by that of the user NAME, as a shell does.

    A path that begins with ``~`` and names no user stays as it is. ``./~`` is never expanded.

    Parameters
    ----------
    path
        Path or pattern.

    Returns
    -------
    str

    Raises
    ------
    UsageError
        If the user has no home folder.
    """
    if not path.startswith("~"):
        return path
    expanded = os.path.expanduser(path)  # noqa: PTH111 - a text stays a text, with its last slash
    if expanded.startswith("~") and path[1:2] in {"", "/", os.sep}:
        raise UsageError(
            f"{printable(path)}: no home folder is known for this user. Set HOME, or write the path in full."
        )
    return expanded


def region_and_path(mask: str) -> tuple[str, str]:
    """Split the text of a mask, ``FILE`` or ``REGION=FILE``, before FILE."""
    match = REGION.fullmatch(mask)
    return (f"{match[1]}=", match[2]) if match else ("", mask)


def expand_mask(mask: str) -> str:
    """Return the text of a mask with ``~`` at the start of FILE replaced, as `expand_user` does."""
    region, path = region_and_path(mask)
    return region + expand_user(path)


def put_files_below(values: dict[str, Any], folder: Path) -> None:
    """Let the paths of the start picture and of the weights start from `folder`, unless they are words."""
    for key, words in (("weights", {"keras", "packaged"}), ("init", {"subject", "noise"})):
        if key in values and values[key] not in words:
            values[key] = str(folder / expand_user(values[key]))


def refuse_picture(name: str, exists: Callable[[str], bool]) -> None:
    """Refuse the path of a picture as the name of a style, with a region or without.

    Raises
    ------
    UsageError
    """
    if not exists(name):
        name = region_and_path(name)[1]
    path = Path(name)
    if path.suffix.lower() in READ_SUFFIXES and ("/" in name or os.sep in name or not exists(name)):
        raise UsageError(
            f"style {printable(name)}: a picture, not a style of the bank. "
            f"To add it, run: stylebank add {shlex.quote(printable(name))}; its name is then {printable(path.stem)}."
        )
