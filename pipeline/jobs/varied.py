"""Settings that `try_styles` varies: their names, and their values as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stylebank.errors import UsageError, printable

from ..settings import KEEP_COLORS, OPTIMIZERS, PRECISIONS

_INTEGERS = ("size", "steps", "seed")
_NUMBERS = ("strength", "content_weight", "content_detail", "tv_weight", "style_scale", "learning_rate", "tolerance")
_CHOICES: Mapping[str, Sequence[str]] = {
    "keep_color": KEEP_COLORS,
    "optimizer": OPTIMIZERS,
    "precision": PRECISIONS,
}
_FLAGS = ("match_color",)
#: Settings with names or files, which are checked later.
_TEXTS = ("preset", "init")
#: Settings that can be varied.
NAMES = (*_NUMBERS, *_INTEGERS, *_CHOICES, *_FLAGS, *_TEXTS)
#: Largest number of settings that are varied together: columns and rows.
MOST = 2
_YES_NO = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def parse(text: str) -> tuple[str, tuple[Any, ...]]:
    """Parse ``NAME=VALUE,VALUE,...``.

    Returns
    -------
    str
        Name of the setting, with underscores.
    tuple
        Its values, of the setting's type.

    Raises
    ------
    UsageError
    """
    name, equals, listed = text.partition("=")
    if not equals:
        raise UsageError(f"vary {printable(text)}: expected NAME=VALUE,VALUE,..., such as strength=0.3,0.6,1.")
    name = _known(name.strip())
    return name, tuple(_value(name, value.strip()) for value in listed.split(","))


def checked(vary: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return the settings to vary, with underscores in their names.

    Parameters
    ----------
    vary
        Values by setting.
    fixed
        Settings that all pictures have; None counts as not set.

    Raises
    ------
    UsageError
        For an unknown setting, one that is also fixed, a value that repeats, or more than two settings.
    """
    if len(vary) > MOST:
        raise UsageError(f"vary: {len(vary)} settings, {', '.join(map(printable, vary))}. Give at most {MOST}.")
    result: dict[str, tuple[Any, ...]] = {}
    for given, values in vary.items():
        name = _known(given)
        if isinstance(values, str) or not values:
            raise UsageError(f"vary {option_name(name)}: expected one value or more. Give a list.")
        if len(set(values)) < len(values):
            raise UsageError(f"vary {option_name(name)}: a value repeats. Give each once.")
        if fixed.get(name) is not None:
            raise UsageError(f"{option_name(name)}: both set and varied. Leave one out.")
        result[name] = tuple(values)
    return result


def option_name(name: str) -> str:
    """Return the name of a setting as the command line writes it."""
    return name.replace("_", "-")


def value_text(value: Any) -> str:
    """Return a value as the command line writes it; of a flag, ``yes`` or ``no``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _known(name: str) -> str:
    known = name.replace("-", "_")
    if known not in NAMES:
        listed = ", ".join(map(option_name, NAMES))
        raise UsageError(f"vary {printable(name)}: not a setting that can be varied. Choose one of {listed}.")
    return known


def _value(name: str, text: str) -> Any:
    shown = f"vary {option_name(name)}: {printable(text)!r}"
    if name in _FLAGS:
        if text.lower() not in _YES_NO:
            raise UsageError(f"{shown}: expected yes or no.")
        return _YES_NO[text.lower()]
    if name in _CHOICES and text not in _CHOICES[name]:
        raise UsageError(f"{shown}: expected one of {', '.join(_CHOICES[name])}.")
    if name in _INTEGERS or name in _NUMBERS:
        try:
            return int(text) if name in _INTEGERS else float(text)
        except ValueError:
            kind = "a whole number" if name in _INTEGERS else "a number"
            raise UsageError(f"{shown}: expected {kind}. Write {option_name(name)}=VALUE,VALUE,...") from None
    if not text:
        raise UsageError(f"{shown}: expected a value. Write {option_name(name)}=VALUE,VALUE,...")
    return text
