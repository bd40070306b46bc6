"""The command line that makes a picture, as text to paste into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from stylebank.bank import Bank
from stylebank.bank.location import user_folder
from stylebank.errors import UsageError
from stylebank.images import MAX_PIXELS

from .varied import option_name, value_text

#: Output folder of the command; pictures with other settings get a number there.
LARGE_FOLDER = "large"
_LISTS = {"layers": ("--layers", True), "layer_weights": ("--layer-weight", False), "mask": ("--mask", False)}


def apply_command(bank: Bank, style: str, photo: str | os.PathLike[str], options: Mapping[str, Any]) -> str:
    """Return the line of ``stylebank apply`` for a style, a photograph and options.

    Parameters
    ----------
    options
        Keywords of `prepare`; None counts as not set. Paths become absolute, so that the line works in any folder.
    """
    words = ["stylebank", *_bank_words(bank), "apply", "--style", style]
    for name, value in options.items():
        words += _option_words(name, value)
    words += [os.path.abspath(photo), "--output", LARGE_FOLDER]
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
