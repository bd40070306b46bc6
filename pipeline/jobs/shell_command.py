"""Command lines, as text to paste into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from stylebank.bank import Bank
from stylebank.bank.location import user_folder
from stylebank.bank.recipes import recipe_of
from stylebank.errors import UsageError
from stylebank.images import MAX_PIXELS
from stylebank.style import Header

from .varied import option_name, value_text

#: Output folder of the command; pictures with other settings get a number there.
LARGE_FOLDER = "large"
_LISTS = {
    "layers": ("--layers", True),
    "content_layers": ("--content-layers", True),
    "layer_weights": ("--layer-weight", False),
    "mask": ("--mask", False),
}


def apply_command(
    bank: Bank,
    style: str | Sequence[str],
    photo: str | os.PathLike[str],
    options: Mapping[str, Any],
    *,
    output: str = LARGE_FOLDER,
) -> str:
    """Return the line of ``stylebank apply`` for a style, a photograph and options.

    Parameters
    ----------
    style
        Value of ``--style``, or several.
    options
        Keywords of `prepare`; None counts as not set. Paths become absolute, so that the line works in any folder.
    output
        Value of ``--output``, which stays as it is.
    """
    words = ["stylebank", *_bank_words(bank), "apply"]
    for name in [style] if isinstance(style, str) else style:
        words += ["--style", name]
    for name, value in options.items():
        words += _option_words(name, value)
    words += [os.path.abspath(photo), "--output", output]
    return shlex.join(words)


def combine_command(bank: Bank, header: Header) -> str:
    """Return the line of ``stylebank mix`` or ``pool`` that computes a style again; empty without a recipe.

    A part that was renamed since has its name of today.
    """
    recipe = recipe_of(header)
    if recipe is None:
        return ""
    names = {each.content_sha256: each.name for each in bank.headers()[0]}
    parts = [(names.get(part.content_sha256, part.name), part.weight) for part in recipe.parts]
    tags = [word for tag in header.tags for word in ("--tag", tag)]
    words = ["stylebank", *_bank_words(bank), recipe.kind, *tags, "--replace"]
    if recipe.kind == "mix":
        words += [header.name, *(word for name, weight in parts for word in ("--from", f"{name}:{weight:.6g}"))]
    else:
        equal = len({weight for _name, weight in parts}) == 1
        words += [*(["--weights", "equal"] if equal else []), header.name, *(name for name, _weight in parts)]
    return shlex.join(words)


def _bank_words(bank: Bank) -> list[str]:
    folder = os.path.abspath(bank.folder)
    try:
        default = os.path.abspath(user_folder())
    except UsageError:
        default = ""
    return [] if folder == default else ["--bank", folder]


def _option_words(name: str, value: Any) -> list[str]:
    if value is None or (value is False and name != "match_color") or (name == "max_pixels" and value == MAX_PIXELS):
        return []
    option = f"--{option_name(name)}"
    if name == "match_color":
        return [option if value else "--no-match-color"]
    if value is True:
        return [option]
    if name in _LISTS:
        option, together = _LISTS[name]
        if isinstance(value, str | os.PathLike):
            texts = [os.fspath(value)]
        else:
            pairs = value.items() if isinstance(value, Mapping) else value
            texts = [
                f"{each[0]}={value_text(each[1])}" if isinstance(each, tuple) else os.fspath(each) for each in pairs
            ]
        if name == "mask":
            texts = [os.path.abspath(text) for text in texts]
        texts = [",".join(texts)] if together and texts else texts
        return [word for text in texts for word in (option, text)]
    if (name == "init" and value not in {"subject", "noise"}) or (name == "weights" and value != "keras"):
        return [option, os.path.abspath(value)]
    return [option, value_text(value)]
